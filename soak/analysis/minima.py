"""Running minima of a series: all the rule needs of it, in bounded memory however long it gets."""

from __future__ import annotations

import numpy as np

from soak.analysis.rule import PARTS, FloatArray, IntArray

CELLS_PER_N_MIN = 4096
"""The finest cell is n_min / 4096. A multiple of 8 × 128, so that the parts of every regular look are whole cells;
and fine enough for a look at the end to use all but 1/32 of a run that has reached n_min."""


class RunningMinima:
    """The smallest value, and the number of readings, in equal cells of the cycles (0, n], for many runs at once.

    Cell k holds the cycles (k × cell, (k + 1) × cell]. When a reading lies beyond the last cell, cells are merged in
    pairs and become twice as long: between 4,096 and 8,192 are in use once n_min is reached. A minimum over whole
    cells is therefore exact, whatever was merged.
    """

    def __init__(self, n_min: float, runs: int = 1) -> None:
        self.cell = n_min / CELLS_PER_N_MIN
        """The present length of a cell in cycles."""
        self._minima: FloatArray = np.full((runs, 2 * CELLS_PER_N_MIN), np.inf)
        self._counts: IntArray = np.zeros(2 * CELLS_PER_N_MIN, dtype=np.int64)

    def extend(self, cycles: FloatArray, values: FloatArray) -> None:
        """Take in readings: ``cycles`` ``(m,)`` ascending and above 0, ``values`` ``(runs, m)``."""
        if not cycles.size:
            return
        while cycles[-1] > self.cell * len(self._counts):
            self._merge_pairs()
        cells = np.ceil(cycles / self.cell).astype(np.int64) - 1
        firsts = np.flatnonzero(np.diff(cells, prepend=-1))
        filled = cells[firsts]
        lowest = np.minimum.reduceat(values, firsts, axis=1)
        self._minima[:, filled] = np.minimum(self._minima[:, filled], lowest)
        self._counts[filled] += np.diff(firsts, append=len(cells))

    def parts(self, n: float, end: float) -> tuple[FloatArray, IntArray]:
        """Return minima ``(runs, 128)`` and counts ``(128,)`` of the 128 equal parts of ``(end - n, end]``.

        ``end`` must be a whole number of cells and ``n`` a whole number of 128 cells.
        """
        last = round(end / self.cell)
        first = last - round(n / self.cell)
        minima = self._minima[:, first:last].reshape(len(self._minima), PARTS, -1).min(axis=2)
        counts = self._counts[first:last].reshape(PARTS, -1).sum(axis=1)
        return minima, counts

    def _merge_pairs(self) -> None:
        half = CELLS_PER_N_MIN
        self._minima[:, :half] = self._minima.reshape(len(self._minima), half, 2).min(axis=2)
        self._minima[:, half:] = np.inf
        self._counts[:half] = self._counts.reshape(half, 2).sum(axis=1)
        self._counts[half:] = 0
        self.cell *= 2
