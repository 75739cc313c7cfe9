"""The records of ``soak profile``: one profile, and a run of profiles.

Times are in seconds and measured under the profiler, which makes every call slower; ``ComponentProfile.slowdown`` says
by which factor. They are multiples of 2**-30 s, so their sums are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from soak.results import Failure

SCHEMA_VERSION = 1
MERGED = "merged"

FunctionKey = tuple[str, int, str]
"""File (``~`` for C), first line (0 for C) and name, as in pstats."""
CallTotals = tuple[int, int, float, float]
Entry = tuple[int, int, float, float, dict[FunctionKey, CallTotals]]
Statistics = dict[FunctionKey, Entry]
"""The data of pstats: function -> (primitive calls, calls, own s, cumulative s, {caller: totals of its calls})."""


_ROOT_FILE, _ROOT_FUNCTION = "soak/inside/profiler/profiled.py", "run_cycles"
"""Soak's loop around the cycles, in which each profile begins."""


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
    """A whole profile: the number of calls, their total time, and the functions with the largest own time."""

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
    """The profile's file in the run's folder; None if the profile is empty."""
    cycles: int = 0
    """Cycles under the profiler; the same number ran without it, in alternating blocks."""
    warm_up_cycles: int = 0
    cycle_s: float | None = None
    """Median time of a cycle without the profiler, over ``pairs`` blocks."""
    profiled_cycle_s: float | None = None
    slowdown: float | None = None
    """Median of the ratios of neighbouring blocks: time with the profiler divided by time without it."""
    pairs: int = 0
    function_calls: int | None = None
    """Calls of the function of ``--function``; None if the whole cycle was profiled."""
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
    """The function of ``--function``, or None."""
    merged: Totals | None
    components: tuple[ComponentProfile, ...] = ()


def summarise(statistics: Statistics, most: int = 25) -> Totals:
    """Return a profile's totals, with the ``most`` functions of the program that have the largest own time.

    The loop that runs the cycles is the root of the profile and counts in its totals; it is no function of the program.
    """
    of_program = (item for item in statistics.items() if not _is_root(item[0]))
    by_own_time = sorted(of_program, key=lambda item: (-item[1][2], item[0]))
    return Totals(
        calls=sum(entry[1] for entry in statistics.values()),
        primitive_calls=sum(entry[0] for entry in statistics.values()),
        own_s=sum(entry[2] for entry in statistics.values()),
        top=tuple(
            FunctionTime(*key, calls=entry[1], own_s=entry[2], cumulative_s=entry[3])
            for key, entry in by_own_time[:most]
        ),
    )


def _is_root(key: FunctionKey) -> bool:
    return key[2] == _ROOT_FUNCTION and key[0].endswith(_ROOT_FILE)


def largest_part(statistics: Statistics, *, most_functions: int, most_characters: int) -> Statistics:
    """Return the functions with the largest cumulative time, and the calls among them.

    So many that there are no more than ``most_functions``, and that no more than ``most_characters`` name them where
    each call names both of its functions.
    """
    by_time = sorted(statistics, key=lambda key: (-statistics[key][3], key))
    count = min(len(by_time), most_functions)
    while count:
        kept = set(by_time[:count])
        part: Statistics = {}
        characters = 0
        for key in by_time[:count]:
            *totals, callers = statistics[key]
            part[key] = (*totals, {caller: share for caller, share in callers.items() if caller in kept})  # type: ignore[assignment]  # four totals
            characters += _characters(key) + sum(_characters(key) + _characters(caller) for caller in part[key][4])
        if characters <= most_characters:
            return part
        count //= 2
    return {}


def _characters(key: FunctionKey) -> int:
    return len(key[0]) + len(key[2])
