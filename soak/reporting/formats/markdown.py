"""``report.md``: the run as a pull request comment."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from soak.attribution.grouping import CauseGroup, group_causes
from soak.reporting import words as say
from soak.reporting.outcome import excuse, known_fingerprints, worst_first
from soak.reporting.words.audit import growth_sentence
from soak.results import ComponentResult, RunResult
from soak.units import format_count, format_duration
from soak.verdict import Verdict

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")
_MOST_ROWS = 60
_MOST_EXPLAINED = 12
_MOST_CAUSES, _MOST_SITES = 3, 5
_MOST_LINES = 15
_LONGEST_LINE = 200
_LONGEST_TEXT = 400


def render_markdown(result: RunResult) -> str:
    """Write a run as GitHub-flavoured Markdown, below the 65,536 characters that a comment may have.

    The headline, a table with the worst components on top, and what is known of those that are not clean; long lists
    are cut and say so. Everything that comes from the run is escaped.
    """
    components = worst_first(result)
    known = known_fingerprints(result)
    explained = [component for component in components if component.verdict is not Verdict.CLEAN]
    again = _code(say.command_line(result))
    blocks = [
        *_alarms(result),
        f"### soak: {escape(say.headline(result))}",
        _table(components, known, say.planted_components(result)),
        *(_explanation(component, excuse(component, known)) for component in explained[:_MOST_EXPLAINED]),
        _more(len(explained) - _MOST_EXPLAINED, "component that is not clean", "components that are not clean"),
        "" if result.parts is None else f"**Sum of parts:** {escape(say.parts_sentence(result.parts))}",
        escape(say.controls_sentence(result.controls)) if result.controls is None or result.controls.ok else "",
        f"<sub>soak {escape(result.soak)}, run {escape(result.run)}, again with {again}</sub>",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _alarms(result: RunResult) -> list[str]:
    failed = result.controls is not None and not result.controls.ok
    texts = (say.controls_sentence(result.controls) if failed else None, say.state_sentence(result))
    return [f"**{escape(text)}**" for text in texts if text]


def _table(components: Sequence[ComponentResult], known: Collection[str], planted: Collection[str]) -> str:
    if not components:
        return ""
    rows = [
        (
            escape(component.name),
            say.verdict_words(component, say.asides(component, known, planted)),
            escape(say.growth_cell(component)),
            escape(say.decided_cell(component)),
            format_count(component.iterations),
            format_duration(component.seconds),
        )
        for component in components[:_MOST_ROWS]
    ]
    titles = ("component", "verdict", "growth", "decided by", "cycles", "time")
    lines = [titles, ("---", "---", "---", "---", "---:", "---:"), *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    more = _more(len(components) - _MOST_ROWS, "component", "components")
    return f"{table}\n\n{more}" if more else table


def _explanation(component: ComponentResult, excused: str | None) -> str:
    failure, groups = component.failure, group_causes(component.causes)
    texts = (
        say.why_sentence(component),
        say.lookalike_sentence(component),
        say.excuse_sentence(excused) if excused else None,
        growth_sentence(component.audit),
    )
    blocks = [
        f"**{escape(say.component_sentence(component))}** {' '.join(escape(text) for text in texts if text)}".rstrip(),
        *(_group(group, component.cycle_noun) for group in groups[:_MOST_CAUSES]),
        escape(say.more_causes_sentence(groups[_MOST_CAUSES:], component.cycle_noun) or ""),
        f"To decide it: {_code(needed)}" if (needed := say.needed_command(component)) else "",
        _folded("Stack", say.telling_frames(failure, _MOST_LINES)) if failure is not None and failure.stack else "",
    ]
    return "\n\n".join(block for block in blocks if block)


def _group(group: CauseGroup, noun: str) -> str:
    said = [f"- {escape(say.group_sentence(group, noun))} {escape(say.advise_on_group(group, noun))}".rstrip()]
    said += [f"  - {escape(site)}" for site in say.site_lines(group, noun, most=_MOST_SITES)]
    trail = say.where_lines(group, _MOST_LINES)
    return "\n".join([*said, "", _folded(say.stack_title(group.head), trail)] if trail else said)


def _folded(title: str, lines: Sequence[str]) -> str:
    shown = [line.replace("\n", " ")[:_LONGEST_LINE] for line in map(say.printable, lines[:_MOST_LINES])]
    if len(lines) > _MOST_LINES:
        shown.append(f"… {len(lines) - _MOST_LINES} more")
    fence = "`" * (max((len(run) for line in shown for run in re.findall("`+", line)), default=0) + 3)
    return "\n".join(["<details><summary>", title, "</summary>", "", fence, *shown, fence, "", "</details>"])


def _more(count: int, one: str, many: str) -> str:
    return f"… and {format_count(count)} more {one if count == 1 else many}." if count > 0 else ""


def escape(text: str) -> str:
    """Return text from a run such that it is plain text in Markdown: on one line, short, nothing special in it."""
    plain = " ".join(say.printable(text).split())
    short = plain if len(plain) <= _LONGEST_TEXT else f"{plain[:_LONGEST_TEXT]}…"
    return _SPECIAL.sub(r"\\\1", short).replace("&", "&amp;")


def _code(text: str) -> str:
    return f"`{' '.join(say.printable(text).replace('`', chr(39)).split())[:_LONGEST_TEXT]}`"
