"""soak's own pages: the index, and the page that says why a profile cannot be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from soak.profiles import MERGED, ComponentProfile, FunctionTime, Statistics, summarise
from soak.reporting.commands.profile import function_name, overhead_words, place_words
from soak.reporting.templating import render
from soak.units import format_count, format_duration
from soak.verdict import Verdict
from soak.web.catalogue import FILES, Entry, Profile


@dataclass(frozen=True)
class Chip:
    """A component and its verdict."""

    name: str
    verdict: str
    style: str
    """The class of the badge's colour; empty for a verdict that is not known here."""
    is_so_far: bool


@dataclass(frozen=True)
class ProfileRow:
    """A profile in the index; empty texts for what is not known."""

    name: str
    address: str
    is_merged: bool
    cycle: str
    profiled_cycle: str
    cycles: str
    function: str
    place: str


@dataclass(frozen=True)
class EntryView:
    """A run in the index."""

    name: str
    kind: str
    report: str | None
    live: str | None
    verdicts: list[Chip]
    profiles: list[ProfileRow]


def index_page(entries: Sequence[Entry]) -> str:
    """List runs, newest first, with their reports and profiles."""
    return render("index.html", title="Runs and profiles", entries=[_view(entry) for entry in entries])


def undrawable_page(profile: str, statistics: Statistics) -> str:
    """List the functions of a profile in which no function calls another, because there is nothing to draw."""
    totals = summarise(statistics)
    words = "It is empty." if not totals.top else "No function in it calls another, so there is nothing to draw."
    rows = [
        f"{function_name(function)} {place_words(function)}: {format_count(function.calls)} calls, "
        f"{format_duration(function.own_s)} own time"
        for function in totals.top
    ]
    return render("message.html", title=profile, paragraphs=[words, *rows])


def part_words(drawn: int, functions: int) -> str:
    """Say that a profile is too large to be drawn whole; nothing if it is drawn whole."""
    if drawn == functions:
        return ""
    return (
        f"Drawn: the {format_count(drawn)} functions with the largest cumulative time, of {format_count(functions)}, "
        "and the calls among them. pstats shows them all."
    )


def failure_page(title: str, reason: str) -> str:
    """Say why something is not shown."""
    return render("message.html", title=title, paragraphs=[reason])


def profile_address(entry: Entry, profile: Profile) -> str:
    """Return the address of a profile in SnakeViz."""
    return f"/snakeviz/{quote(entry.name, safe='')}/{quote(profile.name, safe='')}"


def report_address(entry: Entry) -> str:
    """Return the address of a run's report; that of a matrix ends so that its relative links lead to its cells."""
    return f"/report/{quote(entry.name, safe='')}{'' if entry.cells is None else '/'}"


def live_address(entry: Entry) -> str:
    """Return the address of the page that shows a run while it goes on."""
    return f"/live/{quote(entry.name, safe='')}"


def _view(entry: Entry) -> EntryView:
    return EntryView(
        name=entry.name,
        kind=_kind(entry),
        report=report_address(entry) if entry.report else None,
        live=live_address(entry) if entry.is_running and entry.cells is None else None,
        verdicts=[
            Chip(name, verdict, verdict if verdict in Verdict.__members__ else "", name in entry.at_work)
            for name, verdict in entry.verdicts
        ],
        profiles=[_profile(entry, profile) for profile in entry.profiles],
    )


def _kind(entry: Entry) -> str:
    if entry.name == FILES:
        return "named on the command line"
    if entry.cells is None:
        return "profile" if entry.profiled else "soak run"
    done = sum(int(count) for count, _ in entry.verdicts)
    matrix = f"{'merge' if entry.is_merge else 'matrix'} of {format_count(entry.cells)} cells"
    if done == entry.cells or entry.is_merge:
        return matrix
    return f"{matrix}, {format_count(done)} of them done{', it goes on' if entry.is_running else ''}"


def _profile(entry: Entry, profile: Profile) -> ProfileRow:
    name = profile.name.removesuffix(".prof")
    component = entry.component(profile)
    first = _hottest(entry, component, is_merged=name == MERGED)
    cycle, profiled_cycle, cycles = _times(component)
    return ProfileRow(
        name=name,
        address=profile_address(entry, profile),
        is_merged=name == MERGED,
        cycle=cycle,
        profiled_cycle=profiled_cycle,
        cycles=cycles,
        function=function_name(first) if first else "",
        place=place_words(first) if first else "",
    )


def _hottest(entry: Entry, component: ComponentProfile | None, *, is_merged: bool) -> FunctionTime | None:
    """Return the function with the largest own time, if the run recorded it."""
    totals = component.totals if component else entry.profiled.merged if is_merged and entry.profiled else None
    return totals.top[0] if totals is not None and totals.top else None


def _times(component: ComponentProfile | None) -> tuple[str, str, str]:
    if component is None or component.cycle_s is None or component.profiled_cycle_s is None:
        return "", "", ""
    cost = f" ({overhead_words(component.slowdown)})" if component.slowdown is not None else ""
    return (
        format_duration(component.cycle_s),
        f"{format_duration(component.profiled_cycle_s)}{cost}",
        format_count(component.cycles),
    )
