"""What a person sees in the terminal: progress while a run goes on, and its results."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from soak.attribution.grouping import group_causes
from soak.progress import Progress
from soak.reporting import words as say
from soak.reporting.outcome import excuse, known_fingerprints
from soak.reporting.words.audit import growth_sentence
from soak.results import ComponentResult, RunResult
from soak.units import format_count, format_duration, format_size
from soak.verdict import Verdict

STYLES = {
    Verdict.LEAK: "bold red",
    Verdict.CLEAN: "green",
    Verdict.SETTLING: "cyan",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.FAILED: "bold magenta",
}
_REDRAW_S = 0.1
_PLACE_WIDTH = 7
_LEAST_SHOWN = 0.05
"""Bytes per cycle: what is smaller is not shown as growth while a component is at work."""
_MOST_FRAMES = 12
_MOST_CAUSES, _MOST_SITES = 3, 5
_NARROW, _WIDE = 100, 120
"""Columns of a terminal. A narrower one gets rates without their intervals, only a wide one what decided and why; what
is not clean is explained below the table."""
_ENDLESS = 10_000
"""Columns where a line may be as long as it is."""


def print_result(result: RunResult, console: Console) -> None:
    """Print a run for a person: a table of verdicts, what is known of those that are not clean, the run in a sentence.

    The very first line says so when the controls failed or the run did not come to its end. Nothing that comes from
    the run is taken for rich's markup, and its control characters do not reach the terminal. On a terminal sentences
    are wrapped between words; lines of a stack never are, so that their paths can be opened and copied. Into a pipe or
    a file nothing is wrapped: a sentence is a line, for grep.
    """
    known = known_fingerprints(result)
    console = with_whole_lines(console)
    controls = say.controls_sentence(result.controls)
    controls_failed = result.controls is not None and not result.controls.ok
    if controls_failed:
        _print(console, _text(controls, "bold red"))
    if unfinished := say.state_sentence(result):
        _print(console, _text(unfinished, "bold yellow"))
    if result.components:
        console.print(_verdicts(result, known, console))
    for component in result.components:
        _explain(component, excuse(component, known), say.progress_of(result, component), console)
    console.print()
    if result.parts is not None:
        parts = say.parts_sentence(result.parts)
        _print(console, _text(f"parts: {parts} {say.combination_sentence(result.parts)}"))
    if not controls_failed:
        _print(console, _text(controls, "dim"))
    _print(console, _text(say.headline(result), "bold"))


def with_whole_lines(console: Console) -> Console:
    """Return the console where it is a terminal, else one for the same file that leaves lines as long as they are."""
    return console if console.is_terminal else Console(file=console.file, width=_ENDLESS)


class LiveDisplay:
    """What is redrawn on a terminal until it is left; to be used as a context manager."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._drawn_at = float("-inf")

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()


class ProgressDisplay(LiveDisplay):
    """Shows a run while it goes on: a line per component at work, and one that stays for each that is done.

    On a terminal the lines at work are redrawn at most ten times a second, by the caller's own thread (soak starts
    none to measure). Elsewhere (a pipe, a log file) only what stays is written. To be used
    as a context manager; several components may be at work at once.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._console = console
        self._at_work: dict[str, RenderableType] = {}
        self._places: dict[str, str] = {}
        self._provisional: set[str] = set()

    def limit_memory(self, max_rss_bytes: float) -> None:
        """Say at what RSS a component is stopped."""
        self._console.print(_plain(say.memory_limit_sentence(max_rss_bytes)), style="dim", soft_wrap=True)

    def stage(self, note: str) -> None:
        """Show what the run as a whole is at; an empty ``note``: nothing that its components' lines do not say."""
        self._at_work.pop("", None)
        if note:
            self._at_work[""] = _work_line("", "", note)
        self._redraw()

    def begin(self, component: str, position: int, total: int, note: str = "starting") -> None:
        """Say that ``component``, the ``position``-th of ``total`` (from 1), is at work."""
        self._places[component] = f"{position}/{total}"
        self._show(component, _work_line(self._places[component], component, note))

    def update(self, component: str, progress: Progress) -> None:
        """Show how far a component is, how fast, and what it grows by.

        Everything stands in 80 columns: where a name is long, what matters least is left out.
        """
        cycles, elapsed_s, growth_bytes = progress.cycles, progress.elapsed_s, progress.growth_bytes
        left_s = say.time_left_s(cycles, elapsed_s, progress.budget_s, progress.iterations)
        spent = format_duration(elapsed_s) if left_s is None else f"{format_duration(left_s)} left"
        words = [
            say.count_words(cycles, "cycle"),
            f"{say.short_number(cycles / elapsed_s)}/s" if elapsed_s > 0 and cycles else "",
            format_size(progress.rss_bytes) if progress.rss_bytes else "",
            f"{growth_bytes:+.3g} B/cycle" if growth_bytes is not None and abs(growth_bytes) >= _LEAST_SHOWN else "",
            spent,
            progress.note,
        ]
        place = self._places.get(component, "")
        room = self._console.width - max(len(place), _PLACE_WIDTH) - len(component) - 3
        self._show(component, _work_line(place, component, _fitted(words, room)))

    def so_far(self, result: ComponentResult) -> None:
        """Write once, in a line that stays, what grows before the run itself can decide."""
        sentence = say.provisional_sentence(result)
        if sentence is not None and result.name not in self._provisional:
            self._provisional.add(result.name)
            self._redraw()
            self._console.print(
                _text(f"{self._places.get(result.name, ''):>{_PLACE_WIDTH}} {sentence}"), soft_wrap=True
            )

    def done(self, result: ComponentResult) -> None:
        """Write the line of a finished component, which stays."""
        self.end(result.name, result.verdict, say.component_sentence(result))

    def end(self, component: str, verdict: Verdict | None, sentence: str) -> None:
        """Write a line that stays in place of a component at work; ``verdict``: None when there is none."""
        self._at_work.pop(component, None)
        place = self._places.pop(component, "")
        words, style = (f"{say.SYMBOLS[verdict]} {verdict:<12} ", STYLES[verdict]) if verdict else (f"{'–':<15}", "dim")
        self._redraw()
        line = Text.assemble((f"{place:>7} ", "dim"), (words, style), _plain(sentence))
        self._console.print(line, soft_wrap=not self._console.is_terminal)

    def _show(self, component: str, line: RenderableType) -> None:
        self._at_work[component] = line
        if time.monotonic() - self._drawn_at >= _REDRAW_S:
            self._redraw()

    def _redraw(self) -> None:
        if self._live is not None:
            self._live.update(Group(*self._at_work.values()), refresh=True)
            self._drawn_at = time.monotonic()


def _fitted(words: Sequence[str], room: int) -> str:
    """Join words; where they have too little room, without the note, then the cycles."""
    chosen = [word for word in words if word]
    for dropped in (words[-1], words[0]):
        if len("  ".join(chosen)) > room and dropped in chosen:
            chosen.remove(dropped)
    return "  ".join(chosen)


def _work_line(place: str, component: str, words: str) -> RenderableType:
    line = Text(f"{place:>{_PLACE_WIDTH}} ", "dim", no_wrap=True, overflow="ellipsis")
    return line.append(_plain(component), "bold not dim").append(f" {_plain(words)}")


def _verdicts(result: RunResult, known: Collection[str], console: Console) -> Table:
    wide = console.width >= _WIDE
    with_why = wide and console.is_terminal
    brief = console.width < _NARROW
    planted = say.planted_components(result)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("component", "verdict", "growth", *(("decided by",) if wide else ())):
        table.add_column(title, no_wrap=wide, overflow="fold")
    for title in ("cycles", "time"):
        table.add_column(title, justify="right", no_wrap=True)
    if with_why:
        table.add_column("why")
    for component in result.components:
        excused = excuse(component, known)
        why = _text(_first_sentence(say.why_sentence(component)))
        why.no_wrap, why.overflow = True, "ellipsis"
        table.add_row(
            _text(component.name, "bold"),
            Text(
                say.verdict_words(component, say.asides(component, known, planted)),
                "dim" if excused else STYLES[component.verdict],
            ),
            _text(say.growth_cell(component, brief=brief)),
            *((_text(say.decided_cell(component)),) if wide else ()),
            format_count(component.iterations),
            format_duration(component.seconds),
            *((why,) if with_why else ()),
        )
    return table


def _explain(component: ComponentResult, excused: str | None, progress: str | None, console: Console) -> None:
    """Print what there is to say of a component; of a clean one its messages only."""
    messages = [_text(progress)] if progress else []
    messages += [_text(sentence) for sentence in say.role_sentences(component)]
    messages += [_text(message, "yellow") for message in component.messages]
    if component.verdict is Verdict.CLEAN:
        for message in messages:
            _print(console, Text.assemble((f"{_plain(component.name)}: ", "bold"), message))
        return
    console.print()
    _print(console, _text(component.name, "bold"))
    sentences = (
        say.component_sentence(component),
        say.why_sentence(component),
        say.lookalike_sentence(component),
        say.excuse_sentence(excused) if excused else None,
        growth_sentence(component.audit),
    )
    for line in (*(_text(sentence) for sentence in sentences if sentence), *messages):
        _print(console, line, indent=2)
    if needed := say.needed_sentence(component):
        _print_whole(console, _text(f"  {needed}"))
    if component.failure is not None:
        _print_frames(console, say.telling_frames(component.failure, _MOST_FRAMES))
    groups, noun = group_causes(component.causes), component.cycle_noun
    for group in groups[:_MOST_CAUSES]:
        _print(console, _text(say.group_sentence(group, noun), "red" if group.confirmed else "yellow"), indent=2)
        for site in say.site_lines(group, noun, most=_MOST_SITES):
            _print(console, _text(site), indent=4)
        _print_frames(console, say.where_lines(group, _MOST_FRAMES))
        _print(console, _text(say.advise_on_group(group, noun)), indent=2)
    if more := say.more_causes_sentence(groups[_MOST_CAUSES:], noun):
        _print(console, _text(more, "dim"), indent=2)


def _print_frames(console: Console, frames: Iterable[str]) -> None:
    for frame in frames:
        _print_whole(console, _text(f"    {frame}", "dim"))


def _print_whole(console: Console, line: Text) -> None:
    """Print a line that holds a path or a command: the terminal may break it, and still copies it as one."""
    console.print(line, soft_wrap=True)


def _print(console: Console, text: Text, *, indent: int = 0) -> None:
    """Print a sentence, on a terminal wrapped between its words and indented as a whole."""
    for line in text.wrap(console, max(console.width - indent, 1)):
        line.rstrip()
        console.print(Text.assemble(" " * indent, line), soft_wrap=True)


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".")


def _text(text: str, style: str = "") -> Text:
    return Text(_plain(text), style)


def _plain(text: str) -> str:
    return say.printable(text).replace("\t", "    ")
