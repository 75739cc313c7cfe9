"""What a profile says, and what a run of profiles found.

Times are in seconds and measured under the profiler, which slows every call down; ``ComponentProfile`` tells by how
much. They are multiples of 2**-30 s, so sums of them are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from soak.results import Failure

SCHEMA_VERSION = 1
MERGED = "merged"

FunctionKey = tuple[str, int, str]
"""File (``~`` for C), first line (0 for C), name: as pstats has it."""
CallTotals = tuple[int, int, float, float]
Entry = tuple[int, int, float, float, dict[FunctionKey, CallTotals]]
Statistics = dict[FunctionKey, Entry]
"""What pstats keeps: function -> (primitive calls, calls, own s, cumulative s, {caller: the calls' totals})."""


@dataclass(frozen=True)
class FunctionTime:
    """One function's share of a profile."""

    file: str
    line: int
    name: str
    calls: int
    own_s: float
    cumulative_s: float


@dataclass(frozen=True)
class Totals:
    """A profile as a whole: all its calls, all the time spent in them, the functions that took most of it."""

    calls: int
    primitive_calls: int
    own_s: float
    top: tuple[FunctionTime, ...]


@dataclass(frozen=True)
class ComponentProfile:
    """One component under the profiler."""

    name: str
    target: str
    file: str | None
    """The profile's file in the run's folder; None when there is nothing in it."""
    cycles: int = 0
    """Cycles under the profiler; as many ran without it, in turn."""
    warm_up_cycles: int = 0
    cycle_s: float | None = None
    """Median time of a cycle without the profiler, over ``pairs`` blocks."""
    profiled_cycle_s: float | None = None
    slowdown: float | None = None
    """Median ratio of neighbouring blocks, with over without."""
    pairs: int = 0
    function_calls: int | None = None
    """Calls of the one function that is profiled; None when the whole cycle is."""
    coverage: str = ""
    """Which threads the profile covers."""
    totals: Totals | None = None
    failure: Failure | None = None
    messages: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProfileRun:
    """All components of one ``soak profile``."""

    schema: int
    run: str
    folder: str
    started: str
    finished: str | None
    soak: str
    environment: dict[str, Any]
    settings: dict[str, Any]
    function: str | None
    """The one function that was profiled, or None."""
    merged: Totals | None
    components: tuple[ComponentProfile, ...] = ()


def summarise(statistics: Statistics, most: int = 25) -> Totals:
    """Return a profile's totals and its ``most`` functions of the largest own time."""
    by_own_time = sorted(statistics.items(), key=lambda item: (-item[1][2], item[0]))
    return Totals(
        calls=sum(entry[1] for entry in statistics.values()),
        primitive_calls=sum(entry[0] for entry in statistics.values()),
        own_s=sum(entry[2] for entry in statistics.values()),
        top=tuple(
            FunctionTime(*key, calls=entry[1], own_s=entry[2], cumulative_s=entry[3])
            for key, entry in by_own_time[:most]
        ),
    )
