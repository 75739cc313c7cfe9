"""Prove from who is alive that no thread and no child process stays, however much their number varies.

Threads and processes have identities. So at a few looks it is noted which are alive. Those that began between two looks
and are alive at a third, long after, stay. In a component with a pool whose size varies these are none or few, and
their number per cycle is exact. The series of the count would need thousands of cycles to show as much.

    cycle    0      n/8                  n/2                    n
             |-------|---------------------|--------------------|
                     |-- began here ... ---|          and are alive here

A pool may also grow while all its threads are replaced. Then nobody stays, and the count rises. So its highest value
since n/8 must not be further above its lowest than the tolerance allows in these cycles. What has begun to grow late
shows in the mean: that must not rise either, between two halves of the later cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from soak.analysis.looks import Tolerance, tolerance_at
from soak.analysis.sites.survivors import NEXT_LOOK, WARMED_UP
from soak.measurements import Identity
from soak.verdict import SeriesState, SeriesVerdict, Verdict

FIRST_LOOK = 32
"""Cycles; the next look is after `NEXT_LOOK` times as many."""
_BEGAN = 1 / 2
"""Of n: who began up to here, and is alive, stays."""
_LATE_PARTS = ((1 / 4, 1 / 2), (1 / 2, 1 / 2**0.5))
"""Of n: counts between these are compared with those after. Once over most cycles, once for what began to grow late."""
_WANDER = 1.1
"""Checkpoints come this much later than they are due."""
_NARROWEST = 0.7
"""Of the span: less than this is left of it where looks are missing."""
_FEWEST_READINGS = 8
"""In each of the parts whose counts are compared."""
_OLDEST = WARMED_UP / 2
"""Of n: looks before this are of no use to any later one."""


@dataclass
class _Part:
    """The counts that were read between two looks."""

    since: int
    until: int = 0
    readings: int = 0
    values: float = 0.0
    cycles: float = 0.0
    lowest: float = float("inf")
    highest: float = float("-inf")

    def add(self, cycle: int, value: float) -> None:
        self.until = cycle
        self.readings += 1
        self.values += value
        self.cycles += cycle
        self.lowest, self.highest = min(self.lowest, value), max(self.highest, value)


@dataclass(frozen=True)
class _Look:
    cycle: int
    living: frozenset[Identity]


class StayingJudge:
    """Takes in the counts and, at looks, who is alive. Says CLEAN or nothing: who stays may be part of a pool."""

    def __init__(self, tolerance: Tolerance, grain: float = 1.0) -> None:
        """Begin with nothing read; ``tolerance``: accepted growth per cycle. ``grain``: the resolution of the count."""
        self._tolerance, self._grain = tolerance, grain
        self._looks: list[_Look] = []
        self._parts = [_Part(0)]

    def add_count(self, cycle: int, value: float) -> None:
        """Take in a count at a checkpoint."""
        self._parts[-1].add(cycle, value)

    def look(self, cycle: int, living: frozenset[Identity]) -> None:
        """Take in who is alive after ``cycle`` cycles."""
        self._looks = [look for look in self._looks if look.cycle >= cycle * _OLDEST] + [_Look(cycle, living)]
        self._parts = [part for part in self._parts if part.until >= cycle * _OLDEST] + [_Part(cycle)]

    def completed(self, series: SeriesVerdict) -> SeriesVerdict:
        """Return what the series of the count says, or CLEAN where that is undecided and the newest look proves it."""
        if series.verdict is not Verdict.INCONCLUSIVE or series.is_growing or series.n_min is None or not self._looks:
            return series
        newest = self._looks[-1]
        n = newest.cycle
        if self._parts[-1].until > n * NEXT_LOOK * _WANDER:
            return series  # Threads may be too many by now to be read.
        first, last = self._latest_look(n * WARMED_UP * _WANDER), self._latest_look(n * _BEGAN * _WANDER)
        if n < series.n_min or first is None or last is None:
            return series
        span = last.cycle - first.cycle
        rises = self._rises(n)
        if span < n * (_BEGAN - WARMED_UP) * _NARROWEST or not rises:
            return series
        staying = len((newest.living & last.living) - first.living)
        bound = max((staying + self._grain) / span, *rises)
        tolerance = tolerance_at(self._tolerance, n)
        if bound >= tolerance:
            return series
        return replace(
            series,
            verdict=Verdict.CLEAN,
            state=SeriesState.NOTHING_STAYS,
            rate=staying / span,
            low=staying / span,
            high=bound,
            decided_at=n,
            since=first.cycle + 1,
            until=last.cycle,
            needed=None,
            cycles=n,
            tolerance=tolerance,
        )

    def _latest_look(self, until: float) -> _Look | None:
        return next((look for look in reversed(self._looks) if look.cycle <= until), None)

    def _rises(self, n: int) -> list[float]:
        """Return by how much the count may have risen per cycle; nothing where too few counts were read."""
        whole = _together([part for part in self._parts if part.until > n * WARMED_UP * _WANDER])
        if whole is None:
            return []
        found = [(whole.highest - whole.lowest + self._grain) / (whole.until - whole.since)]
        for since, until in _LATE_PARTS:
            bounds = n * since * _WANDER, n * until * _WANDER
            early = _together([part for part in self._parts if bounds[0] < part.until <= bounds[1]])
            late = _together([part for part in self._parts if part.until > bounds[1]])
            if early is None or late is None:
                return []
            means = late.values / late.readings - early.values / early.readings
            distance = late.cycles / late.readings - early.cycles / early.readings
            found.append((means + self._grain) / distance)
        return found


def _together(parts: Sequence[_Part]) -> _Part | None:
    readings = sum(part.readings for part in parts)
    if readings < _FEWEST_READINGS:
        return None
    return _Part(
        parts[0].since,
        parts[-1].until,
        readings,
        sum(part.values for part in parts),
        sum(part.cycles for part in parts),
        min(part.lowest for part in parts),
        max(part.highest for part in parts),
    )
