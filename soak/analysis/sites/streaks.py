"""Growth in every interval between two readings: as exact as the readings, so that few cycles show it."""

from __future__ import annotations

from soak.grounds import Streak

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
            self._since, self._first, self._intervals = *latest, 0
        self._rate = rate
        self._intervals += 1

    @property
    def streak(self) -> Streak | None:
        """The streak that the latest reading belongs to; None where it did not rise, or fell by as much before."""
        if not self._intervals or self._latest is None:
            return None
        cycle, value = self._latest
        if value - self._first <= _LARGER_THAN_FALLS * self._largest_fall:
            return None
        return Streak(self._since, cycle - self._since, self._intervals, self._first, value)
