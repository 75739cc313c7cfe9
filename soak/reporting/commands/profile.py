"""A run of profiles for people: the table in the terminal and ``report.html``."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from soak.profiles import MERGED, ComponentProfile, FunctionTime, ProfileRun, Totals
from soak.reporting.formats.terminal import with_whole_lines
from soak.reporting.templating import render
from soak.reporting.words import printable
from soak.reporting.write import write_text
from soak.units import format_count, format_duration

_NUMBERS_WIDTH = 50
_NARROWEST_NAME = 10
_TITLES = ("own", "share", "total", "calls", "function")
_LIBRARY_FOLDER = re.compile(r"site-packages|dist-packages|python\d\.\d+")


def headline(run: ProfileRun) -> str:
    """Give the run in one sentence."""
    profiled = [component for component in run.components if component.totals is not None]
    of = f"{run.function} in " if run.function else ""
    parts = f"{len(profiled)} component" if len(profiled) == 1 else f"{len(profiled)} components"
    if run.merged is None or not run.merged.top:
        return f"profiled {of}{parts}: nothing was measured"
    first = run.merged.top[0]
    share = first.own_s / run.merged.own_s if run.merged.own_s else 0.0
    return f"profiled {of}{parts}: {function_name(first)} has the most own time, {share:.0%}"


def component_sentence(component: ComponentProfile) -> str:
    """Say how long a cycle takes with and without the profiler, and what was covered."""
    if component.failure is not None:
        failure = component.failure
        place = f"cycle {failure.cycle:,}" if failure.phase == "cycle" else failure.phase
        return f"failed in {place}: {failure.detail}"
    if component.cycle_s is None or component.profiled_cycle_s is None or component.slowdown is None:
        return " ".join(component.messages)
    calls = "" if component.function_calls is None else f", {component.function_calls:,} calls of the function"
    overhead = (
        f"A cycle takes {format_duration(component.cycle_s)}, under the profiler "
        f"{format_duration(component.profiled_cycle_s)}: {overhead_words(component.slowdown)} "
        f"(median of {component.pairs:,} pairs of blocks in turn; {component.cycles:,} cycles profiled{calls}, "
        f"after {component.warm_up_cycles:,} to warm up)."
    )
    return " ".join((overhead, component.coverage, *component.messages))


def overhead_words(slowdown: float) -> str:
    """Say what profiling costs; below what blocks tell apart it says so."""
    if slowdown < 1.005:
        return "profiling costs too little to be seen"
    return f"profiling costs {slowdown - 1:.0%}" if slowdown < 10 else f"profiling makes it {slowdown:.0f} times slower"


def function_name(function: FunctionTime) -> str:
    """Give the function's name without its place."""
    return function.name.strip("<>") if function.file == "~" else function.name


def place_words(function: FunctionTime) -> str:
    """Give file and line: relative to here or to the library it is in; empty for C."""
    if function.file == "~":
        return ""
    parts = Path(function.file).parts
    library = max((place for place, part in enumerate(parts) if _LIBRARY_FOLDER.fullmatch(part)), default=None)
    here = f"{Path.cwd()}{os.sep}"
    file = function.file.removeprefix(here) if library is None else "/".join(parts[library + 1 :])
    return f"{file}:{function.line}"


def print_profile_run(run: ProfileRun, console: Console, most: int) -> None:
    """Print each component with its ``most`` functions of the largest own time, then all of them merged."""
    console = with_whole_lines(console)
    for component in run.components:
        console.print(
            Text.assemble((printable(component.name), "bold"), "  ", printable(component_sentence(component)))
        )
        if component.totals is not None:
            console.print(_terminal_table(component.totals, component.cycles, most, console.width))
        console.print()
    if run.merged is not None and len(run.components) > 1:
        console.print(Text.assemble((MERGED, "bold"), "  all components together; times are sums over their cycles"))
        console.print(_terminal_table(run.merged, None, most, console.width))
        console.print()
    console.print(Text(printable(headline(run)), "bold"))


def _terminal_table(totals: Totals, cycles: int | None, most: int, width: int) -> Table:
    table = Table(box=None, pad_edge=True, padding=(0, 2, 0, 0), header_style="dim")
    for position, title in enumerate(_titles(cycles)):
        table.add_column(title, justify="left" if position == len(_TITLES) - 1 else "right", no_wrap=True)
    for function in totals.top[:most]:
        *numbers, name = _cells(function, totals, cycles)
        place = place_words(function)
        words = Text.assemble((printable(name), "bold"), (f"  {printable(place)}" if place else "", "dim"))
        words.truncate(max(_NARROWEST_NAME, width - _NUMBERS_WIDTH), overflow="ellipsis")
        table.add_row(*numbers, words)
    return table


@dataclass(frozen=True)
class FunctionRow:
    """A function in a table of the page."""

    numbers: tuple[str, ...]
    name: str
    place: str


@dataclass(frozen=True)
class FunctionsTable:
    """The functions that take most of a profile's time."""

    titles: list[str]
    rows: list[FunctionRow]


@dataclass(frozen=True)
class ProfileView:
    """What the page shows of a component."""

    name: str
    sentence: str
    stack: str
    functions: FunctionsTable | None


def render_profile_html(run: ProfileRun) -> str:
    """Write the run as one self-contained page without script; whatever it contains is escaped."""
    return render(
        "profile.html",
        title=headline(run),
        finished=run.finished is not None,
        about=f"soak {run.soak} · profile {run.run} · {run.environment.get('python', '')}",
        how_to_read=_HOW_TO_READ,
        components=[_view(component) for component in run.components],
        merged=None if run.merged is None else _functions(run.merged, None),
        merged_name=MERGED,
        command=run.settings.get("command", "soak profile"),
        run=run.run,
    )


def write_profile_report(run: ProfileRun, folder: Path) -> None:
    """Write ``report.html`` into the run's folder. Raises SoakError."""
    write_text(folder / "report.html", render_profile_html(run))


_HOW_TO_READ = (
    "Own time is the time in the function itself. Total time includes the functions that it calls. The profiler costs "
    "the same for each call, so short functions that are called often look slower than they are. C functions have no "
    "line. Operators, types and numpy's ufuncs send cProfile no event: their time counts as own time of the function "
    "that uses them. Other processes are not profiled."
)


def _view(component: ComponentProfile) -> ProfileView:
    return ProfileView(
        name=component.name,
        sentence=component_sentence(component),
        stack="" if component.failure is None else "\n".join(component.failure.stack),
        functions=None if component.totals is None else _functions(component.totals, component.cycles),
    )


def _functions(totals: Totals, cycles: int | None) -> FunctionsTable:
    rows = []
    for function in totals.top:
        *numbers, name = _cells(function, totals, cycles)
        rows.append(FunctionRow(tuple(numbers), name, place_words(function)))
    return FunctionsTable(_titles(cycles), rows)


def _titles(cycles: int | None) -> list[str]:
    per = "" if cycles is None else "/cycle"
    return [f"{title}{per}" if title in ("own", "total", "calls") else title for title in _TITLES]


def _cells(function: FunctionTime, totals: Totals, cycles: int | None) -> tuple[str, str, str, str, str]:
    """Give own time, its share, cumulative time, calls and name; per cycle unless ``cycles`` is None."""
    per = cycles or 1
    return (
        format_duration(function.own_s / per),
        f"{function.own_s / totals.own_s:.1%}" if totals.own_s else "–",
        format_duration(function.cumulative_s / per),
        _calls_words(function.calls / per),
        function_name(function),
    )


def _calls_words(calls: float) -> str:
    if calls < 0.01:
        return "<0.01"
    return format_count(round(calls)) if calls == round(calls) or calls >= 100 else f"{calls:.3g}"
