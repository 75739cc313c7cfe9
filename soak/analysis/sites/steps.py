"""Growth that shows in steps only: a table or an arena that is made larger by a factor each time it is full.

The table of a hash map doubles when it is full, and then nothing is to be seen until it is full again. So the cycles
between two steps tell how fast it fills: what a step adds is used up when the next one comes.

    cycles     n        2n                4n                                    8n
    live bytes |--------|-----------------|-------------------------------------|----
               s        2s                4s                                    8s
    fills by       s/n        2s/2n                     4s/4n                         B per cycle

Only content that grows at one rate fills each addition at the same rate. A cache stops, a logarithm and a root slow
down, and chance is not regular six times.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from soak.verdict import SeriesState, SeriesVerdict, Verdict

FILLS = 5
"""This many additions in a row must have been filled at one rate."""
_WITHIN = 1.2
"""The largest of these rates is at most this many times the smallest."""
_SMALLEST_STEP = 0.05
"""Of what has been added before. Lists of CPython grow by an eighth."""
_LARGEST_FACTOR, _FACTORS_WITHIN = 5.0, 1.6
"""Each step adds up to this many times what the one before has added, always about as many times."""
_SHRINKS = 0.1
"""This share of what a step has added may go again."""
_LAST_AFTER = 1.2
"""The last step has to come after this many times n_min. The table of a dict from which entries are removed as well is
made larger once more when as many as it has room for have come and gone: of a cache that fills within 0.6 n_min, after
less than twice as many cycles."""
_OVERDUE = 1.25
"""A table that is not full after this many times the cycles that it should take has stopped."""
_BETWEEN = 0.1
"""This share of what a step adds may have come between it and the one before. More, and it is no table that grows but
what grows at each reading, and the windows judge that."""


@dataclass(frozen=True)
class _Step:
    after: float
    """The cycle of the last reading before it."""
    at: float
    """The cycle of the first reading after it."""
    added: float
    before: float
    is_sudden: bool
    """What it added came between two readings, but for a little."""

    @property
    def middle(self) -> float:
        """The cycle in the middle of the two readings."""
        return (self.after + self.at) / 2


def judge_steps(
    cycles: NDArray[np.float64], values: NDArray[np.float64] | NDArray[np.int64], n_min: float, tolerance: float
) -> SeriesVerdict | None:
    """Return LEAK with the rate at which a table fills, or None if these readings are no such table.

    Once six steps have shown a LEAK, it holds until the table stops growing or is emptied. The last of them must come
    after 1.2 ``n_min`` cycles: until then it may be a cache that fills. Arrays are
    ``(readings,)``, from cycle 0 on.
    """
    found = _steps(cycles, values)
    showing = [
        last
        for last in range(FILLS, len(found))
        if found[last].at - cycles[0] >= _LAST_AFTER * n_min and _are_regular(found[last - FILLS : last + 1], tolerance)
    ]
    if not showing:
        return None
    steps = found[showing[-1] - FILLS : showing[-1] + 1]
    rate = sum(step.added for step in steps[:-1]) / (steps[-1].middle - steps[0].middle)
    since_last = float(values.max()) - steps[-1].before
    if (cycles[-1] - steps[-1].middle) * rate > since_last + (_OVERDUE - 1) * steps[-1].added:
        return None
    if _has_shrunk(steps, cycles, values):
        return None
    low = min(one.added / (two.at - one.after) for one, two in pairwise(steps))
    high = max(one.added / max(two.after - one.at, 1.0) for one, two in pairwise(steps))
    return SeriesVerdict(
        Verdict.LEAK,
        SeriesState.MEASURED,
        rate,
        low,
        high,
        decided_at=int(found[showing[0]].at - cycles[0]),
        since=int(steps[0].after - cycles[0]),
        is_growing=True,
        cycles=int(cycles[-1] - cycles[0]),
        tolerance=tolerance,
        n_min=int(n_min),
    )


def _steps(cycles: NDArray[np.float64], values: NDArray[np.float64] | NDArray[np.int64]) -> list[_Step]:
    """Return the positions at which the highest value so far rises by at least a twentieth of all added before."""
    highest = np.maximum.accumulate(values).astype(float)
    found = []
    start = before = float(highest[0])
    for place in (np.flatnonzero(np.diff(highest)) + 1).tolist():
        level = float(highest[place])
        if level - before >= _SMALLEST_STEP * (before - start):
            jump, added = level - float(highest[place - 1]), level - before
            is_sudden = jump >= (1 - _BETWEEN) * added
            found.append(_Step(float(cycles[place - 1]), float(cycles[place]), added, before, is_sudden))
            before = level
    return found


def _are_regular(steps: list[_Step], tolerance: float) -> bool:
    """Whether a table was made larger by much the same factor each time, and each addition was filled at one rate.

    Between two steps it was read twice at least. From one reading nobody can tell whether it stood still there: what
    grows at one pace, and is read seldom, would have steps, and by them a wrong rate.
    """
    factors = [two.added / one.added for one, two in pairwise(steps)]
    rates = [one.added / (two.middle - one.middle) for one, two in pairwise(steps)]
    return (
        all(step.is_sudden for step in steps)
        and all(one.at < two.after for one, two in pairwise(steps))
        and max(factors) <= min(_LARGEST_FACTOR, _FACTORS_WITHIN * min(factors))
        and tolerance < min(rates)
        and max(rates) <= _WITHIN * min(rates)
    )


def _has_shrunk(
    steps: list[_Step], cycles: NDArray[np.float64], values: NDArray[np.float64] | NDArray[np.int64]
) -> bool:
    """Whether what steps have added went again. A table that is emptied is made anew, and need not leak."""
    for step in steps:
        later = values[np.searchsorted(cycles, step.at) :]
        if later.min() < step.before + (1 - _SHRINKS) * step.added:
            return True
    return False
