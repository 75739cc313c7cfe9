"""The rate of live bytes over the later half of the cycles, with an interval that the readings themselves give."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from soak.analysis.sites.ledger import later_half
from soak.verdict import SeriesState, SeriesVerdict, Verdict

PARTS = 8
"""Of what is lost at random, the rate of each part is as often above the true one as below: that all eight are on one
side is 1 in 128. Of four it would be 1 in 8."""


def later_growth(cycles: NDArray[np.int64], sizes: NDArray[np.int64], parts: int = PARTS) -> SeriesVerdict | None:
    """Return the growth per cycle; None if there are too few readings.

    ``cycles`` ``(m,)`` ascending, ``sizes`` ``(m,)``. The interval is that of the rates in so many equal parts of the
    later half of the cycles. It is wider where there are too few readings for these.
    """
    if not len(cycles):
        return None
    ends = np.searchsorted(cycles, np.linspace((cycles[0] + cycles[-1]) / 2, cycles[-1], parts + 1))
    marks = sorted({later_half(cycles), *ends.tolist()})
    if len(marks) < 2:
        return None
    rates = np.diff(sizes[marks]) / np.diff(cycles[marks])
    rate = float((sizes[marks[-1]] - sizes[marks[0]]) / (cycles[marks[-1]] - cycles[marks[0]]))
    low, high = float(rates.min()), float(rates.max())
    if len(rates) < parts:
        low, high = max(2 * low - high, min(low, 0.0)), 2 * high - low
    return SeriesVerdict(
        Verdict.LEAK, SeriesState.MEASURED, rate, min(low, rate), max(high, rate), since=int(cycles[marks[0]])
    )
