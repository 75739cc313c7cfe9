"""What is kept of a series: all the rule needs, in bounded memory however long the series gets."""

from __future__ import annotations

import numpy as np

from soak.analysis.rule import PARTS, FloatArray, IntArray, RunParts, lowest

CELLS_PER_N_MIN = 4096
"""The finest cell is n_min / 4096. A multiple of 8 × 128, so that the parts of every regular look are whole cells;
and fine enough for a look at the end to use all but 1/32 of a run that has reached n_min."""


class RunningCells:
    """Minima, readings and climbs in equal cells of the cycles (0, n], for many runs read at the same cycles.

    Cell k holds the cycles (k × cell, (k + 1) × cell]. When a reading lies beyond the last cell, cells are merged in
    pairs and become twice as long: between 4,096 and 8,192 are in use once n_min is reached. Minima and sums over
    whole cells are therefore exact, whatever was merged.
    """

    def __init__(self, n_min: float, runs: int = 1) -> None:
        shape = (runs, 2 * CELLS_PER_N_MIN)
        self.cell = n_min / CELLS_PER_N_MIN
        """The present length of a cell in cycles."""
        # Written in full now: pages touched only as the run goes on would make soak itself grow.
        self._minima: FloatArray = np.full(shape, np.inf)
        self._at: FloatArray = np.full(shape, 0.0)
        self._readings: IntArray = np.full(shape[1], 0)
        self._climbed: FloatArray = np.full(shape, 0.0)
        self._climbs: IntArray = np.full(shape, 0)
        self._last: FloatArray = np.full((runs, 1), np.inf)

    def extend(self, cycles: FloatArray, values: FloatArray) -> None:
        """Take in readings: ``cycles`` ``(m,)`` ascending and above 0, ``values`` ``(runs, m)``."""
        if not cycles.size:
            return
        self._make_room(float(cycles[-1]))
        cells = np.ceil(cycles / self.cell).astype(np.int64) - 1
        firsts = np.flatnonzero(np.diff(cells, prepend=-1))
        filled = cells[firsts]
        rises = np.maximum(np.diff(values, axis=1, prepend=self._last), 0)
        self._last = values[:, -1:].copy()
        lengths = np.diff(firsts, append=len(cells))
        minima = np.minimum.reduceat(values, firsts, axis=1)
        when = np.where(values == np.repeat(minima, lengths, axis=1), cycles, np.inf)
        lower = minima < self._minima[:, filled]
        self._minima[:, filled] = np.where(lower, minima, self._minima[:, filled])
        self._at[:, filled] = np.where(lower, np.minimum.reduceat(when, firsts, axis=1), self._at[:, filled])
        self._readings[filled] += lengths
        self._climbed[:, filled] += np.add.reduceat(rises, firsts, axis=1)
        self._climbs[:, filled] += np.add.reduceat(rises > 0, firsts, axis=1, dtype=np.int64)

    def parts(self, n: float, end: float) -> RunParts:
        """Return the 128 equal parts of ``(end - n, end]``.

        ``end`` must be a whole number of cells and ``n`` a whole number of 128 cells.
        """
        self._make_room(end)
        last = round(end / self.cell)
        first = last - round(n / self.cell)
        by_part = (-1, PARTS, (last - first) // PARTS)
        minima, at = lowest(self._minima[:, first:last].reshape(by_part), self._at[:, first:last].reshape(by_part))
        return RunParts(
            minima=minima,
            at=at,
            readings=self._readings[first:last].reshape(by_part[1:]).sum(axis=1),
            climbed=self._climbed[:, first:last].reshape(by_part).sum(axis=2),
            climbs=self._climbs[:, first:last].reshape(by_part).sum(axis=2),
        )

    def _make_room(self, cycle: float) -> None:
        while cycle > self.cell * len(self._readings):
            self._merge_pairs()

    def _merge_pairs(self) -> None:
        half = CELLS_PER_N_MIN
        pairs = (-1, half, 2)
        self._minima[:, :half], self._at[:, :half] = lowest(self._minima.reshape(pairs), self._at.reshape(pairs))
        self._minima[:, half:] = np.inf
        self._readings[:half] = self._readings.reshape(pairs[1:]).sum(axis=1)
        self._readings[half:] = 0
        for sums in (self._climbed, self._climbs):
            sums[:, :half] = sums.reshape(pairs).sum(axis=2)
            sums[:, half:] = 0
        self.cell *= 2
