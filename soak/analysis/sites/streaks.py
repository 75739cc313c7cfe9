"""Growth in every interval between two readings: as exact as the readings, so that few cycles show it.

A streak is followed while a signal is read. How long one must be, and when it counts, is said below.
"""

from __future__ import annotations

from dataclasses import replace

from soak.analysis.evidence import COUNTS, Evidence
from soak.grounds import Streak
from soak.measurements import SIGNALS
from soak.verdict import Verdict

FEWEST_CYCLES_OF_A_STREAK = 20
"""A count that rises in each of this many last cycles is a leak; so is memory that rises by much."""
FEWEST_INTERVALS = 8
"""Fewer, with many cycles in each, are a few steps."""
MOST_OF_RUN = 0.75
"""Growth that lasts this share of the run is the run's own; the rule's two windows have at least as much of n_min."""
_SHARE_OF_RUN = 1 / 8
"""A streak is at least this share of the run, as n_min is of the budget: in a long run 20 cycles are a moment."""
_FEWEST_CYCLES_TO_TELL = 3
_EARLIER_SHARE = 0.75

_LARGER_THAN_FALLS = 2.0
"""Teeth of one sawtooth differ, but seldom by more than this."""


class StreakCounter:
    """Follows one signal while it is read, in constant memory.

    Only a new maximum continues a streak, and it counts only if it is larger than what the signal gave back before: a
    sawtooth rises in each cycle too, and falls.
    """

    def __init__(self, *, at_one_rate: bool) -> None:
        """``at_one_rate``: a count, whose streak is one or more in each cycle, the same in every interval."""
        self._at_one_rate = at_one_rate
        self._latest: tuple[int, float] | None = None
        self._highest = float("-inf")
        self._largest_fall = 0.0
        self._rate = 0.0
        self._since, self._first, self._intervals = 0, 0.0, 0
        self._marks: list[tuple[int, float]] = []
        """Readings of the streak, each after twice as many of its cycles as the one before."""

    def add(self, cycle: int, value: float) -> None:
        """Take in the next reading."""
        latest, self._latest = self._latest, (cycle, value)
        is_highest, self._highest = value > self._highest, max(value, self._highest)
        self._largest_fall = max(self._largest_fall, self._highest - value)
        if latest is None:
            return
        cycles = cycle - latest[0]
        rate = (value - latest[1]) / cycles if cycles > 0 else 0.0
        if not is_highest or rate <= 0 or (self._at_one_rate and rate < 1):
            self._intervals = 0
            return
        if not self._intervals or (self._at_one_rate and rate != self._rate):
            self._since, self._first, self._intervals, self._marks = *latest, 0, []
        self._rate = rate
        self._intervals += 1
        if not self._marks or cycle - self._since >= 2 * (self._marks[-1][0] - self._since):
            self._marks.append((cycle, value))

    @property
    def streak(self) -> Streak | None:
        """The streak that the latest reading belongs to; None if it did not rise, or fell by as much before."""
        if not self._intervals or self._latest is None:
            return None
        cycle, value = self._latest
        if value - self._first <= _LARGER_THAN_FALLS * self._largest_fall:
            return None
        return Streak(self._since, cycle - self._since, self._intervals, self._first, value, self._later_rate)

    @property
    def _later_rate(self) -> float | None:
        """The rate since the latest mark in the first three quarters of the streak."""
        if self._latest is None:
            return None
        cycle, value = self._latest
        until = self._since + _EARLIER_SHARE * (cycle - self._since)
        mark = next((mark for mark in reversed(self._marks) if mark[0] <= until), None)
        return None if mark is None else (value - mark[1]) / (cycle - mark[0])


def is_of_run(evidence: Evidence, name: str, streak: Streak) -> bool:
    """Whether a streak of memory is nearly the whole run."""
    is_long = streak.cycles >= MOST_OF_RUN * evidence.cycles and streak.intervals >= FEWEST_INTERVALS
    return is_long and (SIGNALS[name].unit != "bytes" or (streak.goes_on and streak.rate > evidence.tolerance_bytes))


def rises_at_one_rate(evidence: Evidence, name: str) -> bool:
    """Whether a count rose in each of the last cycles of a run that is over, or in each of n_min cycles."""
    if evidence.is_last or evidence.n_min is None or name not in evidence.streaks:
        return rose_to_the_end(evidence, name)
    is_long = evidence.streaks[name].cycles >= SIGNALS[name].own_n_min(evidence.n_min)
    return is_long and rose_to_the_end(replace(evidence, is_last=True), name)


def rose_to_the_end(evidence: Evidence, name: str) -> bool:
    """Whether a signal rose in each of the last cycles, the run is over, and its series does not say that it slows."""
    streak, series = evidence.streaks.get(name), evidence.series.get(name)
    if not evidence.is_last or streak is None or series is None:
        return False
    if series.verdict not in (Verdict.INCONCLUSIVE, Verdict.LEAK):
        return False
    return streak.intervals >= FEWEST_INTERVALS and streak.cycles >= cycles_of_a_streak(evidence.cycles)


def cycles_of_a_streak(cycles: int) -> float:
    """Return how long a streak must be at the end of a run of ``cycles`` cycles."""
    return max(FEWEST_CYCLES_OF_A_STREAK, _SHARE_OF_RUN * cycles)


def told_streak(evidence: Evidence, name: str) -> Streak | None:
    """Return the streak of a count if it is long enough to be reported, though it decides nothing."""
    streak = evidence.streaks.get(name) if name in COUNTS else None
    return streak if streak is not None and streak.cycles >= _FEWEST_CYCLES_TO_TELL else None
