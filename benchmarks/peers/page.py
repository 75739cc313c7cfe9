"""The results of the bench as text lines, as a page and as a figure."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from peers.cases import ROOT, Case
from peers.scores import RIGHT, SKIPPED, UNDECIDED, WRONG, Score, best_peer, summarise

from soak.reporting.figures.palette import FIGURE
from soak.reporting.figures.svg import restyle

PAGE = ROOT / "docs" / "bench.md"
PICTURE = ROOT / "docs" / "images" / "bench.svg"
GROUPS = {
    "planted": "Planted leaks",
    "repaired": "The same, repaired",
    "look-alike": "Clean look-alikes",
    "driver": "Drivers of the decoder",
    "real leak": "Leaks of released packages",
    "real clean": "Clean code of released packages",
}
MARKS = {RIGHT: "●", WRONG: "✕", UNDECIDED: "○", SKIPPED: "–"}
SETTINGS: dict[Any, Any] = {"svg.fonttype": "none", "text.parse_math": False, "svg.hashsalt": "soak", "font.size": 9.0}


def progress_line(score: Score) -> str:
    """Return one line about one tool on one case."""
    return f"{MARKS[score.verdict]} {score.case.name}: {score.tool}: {' · '.join(details(score))}"


def terminal_table(scores: list[Score]) -> str:
    """Return one line per answer, then one line of totals per tool."""
    head = ("case", "tool", "", "said", "cycles", "seconds", "place", "rate error", "peak", "files")
    rows = [head] + [(score.case.name, score.tool, MARKS[score.verdict], *cells(score)) for score in scores]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.append("")
    for tool in tools_of(scores):
        total = summarise(scores, tool)
        lines.append(
            f"{tool}: {total['found']} of {total['leaks']} leaks found, {total['flagged']} of {total['clean']} clean "
            f"ones flagged, {total['leaks undecided'] + total['clean undecided']} undecided"
        )
    return "\n".join(lines)


def details(score: Score) -> list[str]:
    """Return the parts of an answer that are not empty."""
    if score.answer is None:
        return [score.why]
    said, cycles, seconds, place, error, peak, files = cells(score)
    named = {"right": "place right", "wrong": "place wrong"}.get(place, "")
    parts = [said, f"{cycles} cycles", f"{seconds} s", named, error and f"rate off by {error}", peak, files]
    parts += [score.why] if score.verdict == UNDECIDED else []
    return [part for part in parts if part]


def cells(score: Score) -> tuple[str, str, str, str, str, str, str]:
    """Return an answer as table cells: said, cycles, seconds, place, rate error, peak memory, bytes of file."""
    answer = score.answer
    if answer is None:
        return ("not asked", "", "", "", "", "", "")
    return (
        answer.verdict if answer.verdict != "FAILED" else "no answer",
        "" if answer.cycles is None else f"{answer.cycles:,}",
        "" if answer.seconds is None else f"{answer.seconds:.1f}",
        {True: "right", False: "wrong", None: ""}[score.place],
        "" if score.rate_error is None else percent(score.rate_error),
        size(answer.peak_bytes),
        size(answer.file_bytes),
    )


def percent(share: float) -> str:
    """Return a share as a percentage: two digits, or whole."""
    return f"{share * 100:,.0f} %" if share >= 0.1 else f"{share * 100:.2g} %"


def size(count: float | None) -> str:
    """Return bytes in the largest unit in which the number is at least 1."""
    if count is None:
        return ""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f} B"


def tools_of(scores: list[Score]) -> list[str]:
    """Return the tools that ran, in their order."""
    return list(dict.fromkeys(score.tool for score in scores))


def write(scores: list[Score], versions: dict[str, str], day: date) -> None:
    """Write docs/bench.md and its figure."""
    PAGE.write_text(render(scores, versions, day), encoding="utf-8")
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw(scores), encoding="utf-8")


# --- the page -------------------------------------------------------------------------------------------------------


def render(scores: list[Score], versions: dict[str, str], day: date) -> str:
    """Return the page."""
    real = " --real-leaks FOLDER" if any(score.case.group.startswith("real") for score in scores) else ""
    command = f"python benchmarks/against_peers.py{real} --write-docs"
    installed = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [
        "# soak compared with other tools",
        "",
        f"{day:%d %B %Y}. {installed}. Written by `{command}`; do not edit.",
        "",
        f"![Each tool on each case: right, wrong or undecided](images/{PICTURE.name})",
        "",
        *INTRODUCTION,
        "",
        "## Totals",
        "",
        *summary_table(scores),
        "",
        "## soak compared with the best peer that finds the same leak",
        "",
        "A ratio below 1 means that soak needed less. A peer that blames something else, or also blames the repaired",
        "twin, has not found the leak. Seconds are those of the whole command. *loop* is the part in which soak",
        "measured the suspected call; the rest is its controls, a second pass for the place, and the report.",
        "",
        *ratio_table(scores),
        "",
    ]
    asked = [score for score in scores if score.tool == "soak" and score.verdict != SKIPPED]
    wrong = [score for score in asked if score.verdict != RIGHT or score.place is False]
    if wrong:
        lines += ["## Where soak is not right", ""]
        lines += [f"- {score.case.name}: {not_right(score)}" for score in wrong]
        lines.append("")
    for group, title in GROUPS.items():
        own = [score for score in scores if score.case.group == group]
        if own:
            lines += [f"## {title}", "", *case_table(own), ""]
    return "\n".join(lines).rstrip() + "\n"


INTRODUCTION = """\
Every tool ran as its documentation says, in a process of its own. The tools ran one after another on a busy, shared
machine with two processors. Verdicts, places and cycles can be compared freely; compare seconds only within a case.
soak had its default budget of 60 s; a busy machine does fewer cycles in that time.

- **soak**: `soak run case.py:iteration` without options; the drivers with the settings of this project.
- **psleak**: one `execute` under `PYTHONMALLOC=malloc`, with its defaults. For slow calls `times` is smaller, so that
  its ten rounds take about 20 s. It names no places. It reports garbage in reference cycles on purpose.
- **pytest-memray**: `limit_leaks("10 KB")` around 1,000 calls (as many as fit in 20 s, at least 50). The place is the
  one that it prints with 30 frames.
- **tracemalloc**: 500 calls, a snapshot, 5,000 calls, a snapshot, with a collection of garbage before each. It gives no
  verdict: a line that grew by 1 B per call counts as a leak.

A verdict is *right* (●), *wrong* (✕: a leak missed, or a clean call flagged) or *undecided* (○: INCONCLUSIVE, or no
answer in four minutes). SETTLING is right for a clean call and wrong for a leak. A place is right when the tool's first
place, or the stack that it shows there, contains the function that leaks (for a package: the package). psleak blames
something else when it counts neither memory nor descriptors, but garbage in cycles or a thread. There are several true
rates, in requested and in allocated bytes; the error is relative to the nearest one. *Peak* is the resident memory of
all processes of a tool together, interpreters included.""".splitlines()


def summary_table(scores: list[Score]) -> list[str]:
    """Return a column for each tool."""
    tools = tools_of(scores)
    totals = [summarise(scores, tool) for tool in tools]

    def row(name: str, texts: list[str]) -> str:
        return f"| {name} | {' | '.join(texts)} |"

    def number(value: float | None, spelled: str) -> str:
        return "–" if value is None else format(value, spelled)

    return [
        row("", tools),
        f"|---|{'--:|' * len(tools)}",
        row("leaks found", [f"{t['found']} of {t['leaks']}" for t in totals]),
        row("leaks where something else was blamed", [str(t["something else"]) for t in totals]),
        row("planted leaks found, repaired twin passed", [f"{t['told apart']} of {t['planted']}" for t in totals]),
        row("leaks called clean or settling", [str(t["leaks"] - t["found"] - t["leaks undecided"]) for t in totals]),
        row("clean calls passed", [f"{t['passed']} of {t['clean']}" for t in totals]),
        row("clean calls flagged", [str(t["flagged"]) for t in totals]),
        row("undecided", [str(t["leaks undecided"] + t["clean undecided"]) for t in totals]),
        row("leaks found at the right place", ["–" if t["places"] is None else f"{t['places']}" for t in totals]),
        row("rate error, median", ["–" if t["rate error"] is None else percent(t["rate error"]) for t in totals]),
        row("cycles to a leak, median", [number(t["cycles to a leak"], ",.0f") for t in totals]),
        row("seconds to a leak, median", [number(t["seconds to a leak"], ".1f") for t in totals]),
        row("seconds to clean, median", [number(t["seconds to clean"], ".1f") for t in totals]),
        row("peak memory, median", [size(t["peak bytes"]) for t in totals]),
        row("bytes of file, median", [size(t["file bytes"]) for t in totals]),
    ]


def ratio_table(scores: list[Score]) -> list[str]:
    """Return soak's cycles and seconds compared with the best peer's, for each leak that soak found."""
    lines = [
        "| leak | cycles | best peer | ratio | seconds (loop) | best peer | ratio |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for score in scores:
        if score.tool != "soak" or not score.case.leaks or score.verdict != RIGHT or not score.answer:
            continue
        answer = score.answer
        lines.append(
            f"| {score.case.name} | {answer.cycles:,} | {against(scores, score.case, 'cycles', answer.cycles)} "
            f"| {answer.seconds:.1f} ({answer.seconds_of_loop:.1f}) "
            f"| {against(scores, score.case, 'seconds', answer.seconds)} |"
        )
    return lines


def against(scores: list[Score], case: Case, quantity: str, own: float | None) -> str:
    """Return two cells: the best peer's figure, and the ratio of soak's to it."""
    best = best_peer(scores, case, quantity)
    if best is None or own is None:
        return "no peer finds it |"
    value, tool = best
    ratio = own / value
    spelled = f"{value:,.0f}" if quantity == "cycles" else f"{value:.1f}"
    return f"{spelled} {tool} | {ratio:,.0f}" if ratio >= 10 else f"{spelled} {tool} | {ratio:.2g}"


def not_right(score: Score) -> str:
    """Return one line with soak's answer and the reason."""
    assert score.answer is not None
    if score.verdict == RIGHT:
        named = score.answer.place.splitlines()[0] if score.answer.place else "no place"
        return f"found, but the place named first is {shorten(named)}"
    return f"{score.answer.verdict}. {shorten(score.why)}"


def shorten(text: str) -> str:
    """Return a text without the folders of this machine."""
    words = [word if word.count("/") < 2 else word.rsplit("/", 1)[-1] for word in text.split()]
    return " ".join(words)


def case_table(scores: list[Score]) -> list[str]:
    """Return a row for each answer."""
    lines = [
        "| case | tool | | said | cycles | seconds | place | rate error | peak | files |",
        "|---|---|---|---|--:|--:|---|--:|--:|--:|",
    ]
    before = None
    for score in scores:
        name = "" if score.case.name == before else score.case.name
        before = score.case.name
        lines.append(f"| {name} | {score.tool} | {MARKS[score.verdict]} | {' | '.join(cells(score))} |")
    return [line.replace("|  |", "| |").replace("|  |", "| |") for line in lines]


# --- the figure -----------------------------------------------------------------------------------------------------

COLOURS = {RIGHT: "free", WRONG: "fit", UNDECIDED: "muted", SKIPPED: "muted"}


@mpl.rc_context(SETTINGS)
def draw(scores: list[Score]) -> str:
    """Draw a table of cases and tools as SVG text: a mark for the verdict, and whether the place was right."""
    tools = tools_of(scores)
    rows: list[Case | str] = []
    for group, title in GROUPS.items():
        cases = list({score.case.name: score.case for score in scores if score.case.group == group}.values())
        rows += [title, *cases] if cases else []
    by_cell = {(score.case.name, score.tool): score for score in scores}
    height = 0.21 * (len(rows) + 4)
    figure = Figure(figsize=(9.6, height))
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0.0, 10.0)
    axes.set_ylim(len(rows) + 3.5, -0.5)
    ink, muted = FIGURE["ink"].light, FIGURE["muted"].light
    columns = [3.7 + 1.6 * number for number in range(len(tools))]
    for x, tool in zip(columns, tools, strict=True):
        axes.text(x, 0.6, tool, color=ink, weight="bold", va="center")
    for y, row in enumerate(rows, 2):
        if isinstance(row, str):
            axes.text(0.2, y + 0.15, row, color=ink, weight="bold", va="center")
            continue
        axes.text(0.4, y, row.name, color=ink, va="center")
        axes.plot([0.2, 9.8], [y + 0.5, y + 0.5], color=FIGURE["rule"].light, linewidth=0.4)
        for x, tool in zip(columns, tools, strict=True):
            score = by_cell.get((row.name, tool))
            if score is not None:
                axes.text(x, y, MARKS[score.verdict], color=FIGURE[COLOURS[score.verdict]].light, va="center", size=11)
                axes.text(x + 0.2, y, beside(score), color=muted, va="center", size=8)
    axes.text(
        0.2,
        len(rows) + 2.7,
        "● right  ·  ✕ wrong: a leak missed, or a clean call flagged  ·  ○ undecided  ·  – not asked",
        color=muted,
        va="center",
    )
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True)
    return restyle(text.getvalue(), title="soak and its peers, case by case", prefix="bench")


def beside(score: Score) -> str:
    """Return the text beside a mark: whether the place is right, and the seconds."""
    if score.answer is None or score.answer.seconds is None:
        return ""
    place = {True: "place ✓, ", False: "place ✕, ", None: ""}[score.place]
    seconds = score.answer.seconds
    return f"{place}{seconds:.0f} s" if seconds >= 10 else f"{place}{seconds:.1f} s"
