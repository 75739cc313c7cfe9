"""When the rule looks at a series, and what stands after several looks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from soak.analysis.rule import BLOCKS, MIN_READINGS_PER_BLOCK, PARTS, FloatArray, Look, LookOutcome, look
from soak.analysis.sites.cells import RunningCells

Tolerance = float | Callable[[float], float]
"""Growth per cycle that does not matter: a number, or a function of the cycles n a look has seen."""
_LOOKS_TO_THE_NEXT = 8
"""After so many parts of the cycles up to the next regular look one that had too few readings is taken again."""
_PARTS_WITHOUT_GAP = 4
"""The part of all cycles without a gap in the readings may be this small a part."""
_MOST_WAITING = 1024
"""So many readings are taken in at the latest, whether a look is due or not: memory stays bounded."""
_GROWING = np.isin(tuple(LookOutcome), (LookOutcome.LEAK, LookOutcome.SETTLING, LookOutcome.UNSTEADY))
"""``(outcomes,)``: whether a look that found this saw growth."""


@dataclass(frozen=True)
class Standing:
    """What stands in each run after the latest look: its finding, except that a LEAK once found is final."""

    look: Look
    """The latest look, in runs that leak replaced by the first look that found it."""
    decided_at: FloatArray
    """``(runs,)``: the cycle of the first look of the unbroken row of looks with this finding."""
    until: FloatArray
    """``(runs,)``: where a leak was followed by nothing but CLEAN: the cycle it ended at the latest; else NaN."""
    is_growing: NDArray[np.bool_]
    """``(runs,)``: the latest look with readings enough saw growth, at one rate or not, whatever stands."""


def next_look(at: float, n_min: float) -> float:
    """Return the cycle at which a look may follow the one at cycle ``at``: see `RunningLooks`."""
    return at * 2 if at < n_min else at + n_min * 2.0 ** math.floor(math.log2(at / n_min)) / _LOOKS_TO_THE_NEXT


def tolerance_at(tolerance: Tolerance, cycles: float) -> float:
    """Return the tolerance after ``cycles`` cycles."""
    return tolerance(cycles) if callable(tolerance) else tolerance


class RunningLooks:
    """Looks at many runs, read at the same cycles, as soon as n reaches n_min/8, /4, /2, n_min, 2 n_min, ...

    n is the number of cycles since the start of the series. A look from n_min on that has too few readings somewhere
    leaves out the first cycles, so that what is left has no gap; n_min cycles must be left. Where that does not help,
    it is taken again after an eighth of its cycles more, until the next one: it has seen nothing, so this is no further
    look. Memory is bounded, see `RunningCells`.
    """

    def __init__(
        self, *, tolerance: Tolerance, n_min: float, grain: float = 0.0, runs: int = 1, leak_is_final: bool = True
    ) -> None:
        """Begin. Without ``leak_is_final`` a later look takes back a LEAK, as it does any other finding."""
        self.leak_is_final = leak_is_final
        """It may be changed until n_min is reached."""
        self.standing: Standing | None = None
        """None before the first look."""
        self._tolerance = tolerance
        self._n_min = n_min
        self._grain = grain
        self._cells = RunningCells(n_min, runs)
        self._next_look = n_min / 8
        self._again: float | None = None
        """The cycle at which to look again; None if the latest look had readings enough."""
        self._waiting: list[tuple[FloatArray, FloatArray]] = []
        self._readings_waiting = 0

    def extend(self, cycles: FloatArray, values: FloatArray) -> None:
        """Take in readings at ``cycles`` ``(m,)``, ascending and above 0, ``values`` ``(runs, m)``; look when due."""
        if not cycles.size:
            return
        # A few at a time would cost much more than many at once, and no look asks for them before it is due.
        self._waiting.append((cycles, values))
        self._readings_waiting += len(cycles)
        if cycles[-1] >= self._due or self._readings_waiting >= _MOST_WAITING:
            self._take_in()

    def _take_in(self) -> None:
        """Put the readings that wait into the cells, and take the looks that are due."""
        if not self._waiting:
            return
        columns, rows = zip(*self._waiting, strict=True)
        self._waiting.clear()
        self._readings_waiting = 0
        cycles, values = np.concatenate(columns), np.concatenate(rows, axis=1)
        while cycles.size and cycles[-1] >= self._due:
            at = self._due
            due = int(np.searchsorted(cycles, at, side="right"))
            self._cells.extend(cycles[:due], values[:, :due])
            newest = self._look_without_gap(at, at)
            self.standing = stand(self.standing, newest, leak_is_final=self.leak_is_final)
            self._next_look *= 2 if at == self._next_look else 1
            self._again = self._cycle_to_look_again(at, newest)
            cycles, values = cycles[due:], values[:, due:]
        self._cells.extend(cycles, values)

    @property
    def _due(self) -> float:
        return self._next_look if self._again is None else self._again

    def _cycle_to_look_again(self, at: float, newest: Look) -> float | None:
        later = next_look(at, self._n_min)
        return later if _has_seen_nothing(newest) and later < self._next_look else None

    def _look_without_gap(self, n: float, end: float) -> Look:
        """Look at ``n`` cycles up to ``end``; where they have a gap in the readings, at the latest half or quarter."""
        newest = self._look(n, end)
        cycles = self._n_min * 2.0 ** math.floor(math.log2(max(n / self._n_min, 1.0)))
        while _has_seen_nothing(newest) and max(self._n_min, end / _PARTS_WITHOUT_GAP) <= cycles <= n:
            later = self._look(cycles, end)
            newest = newest if _has_seen_nothing(later) else later
            cycles /= 2
        return newest

    def at_end(self, last: float, spacing: float) -> Standing | None:
        """Return what stands with one more look at the end, cycle ``last``; change nothing, so that more can follow.

        A regular look less than one ``spacing`` of readings away counts as reached: readings at 128, 256, ... 1,024
        count 896 cycles between the first and the last, and are the whole of a look at 1,024. Otherwise the look
        takes in whole cells only: the newest, and as many before it as make 128 equal parts.
        """
        self._take_in()
        if last <= self._next_look / 2 and self.standing is not None:
            return self.standing
        dense = spacing * MIN_READINGS_PER_BLOCK * 4 * BLOCKS <= self._next_look
        if dense and self._next_look - last <= spacing:
            return self._after_looking(self._next_look, self._next_look)
        cell = self._cells.cell
        cells = math.floor(last / cell)
        if cells < PARTS:
            return self.standing
        return self._after_looking(cells // PARTS * PARTS * cell, cells * cell)

    def _after_looking(self, n: float, end: float) -> Standing:
        return stand(self.standing, self._look_without_gap(n, end), leak_is_final=self.leak_is_final)

    def _look(self, n: float, end: float) -> Look:
        parts = self._cells.parts(n, end)
        tolerance = tolerance_at(self._tolerance, n)
        return look(parts, n=n, end=end, tolerance=tolerance, n_min=self._n_min, grain=self._grain)


def _has_seen_nothing(look: Look) -> bool:
    """Whether a look had too few readings. All runs are read at the same cycles."""
    return bool((look.finding == LookOutcome.TOO_FEW).any())


def _stands_over(look: Look, cycle: float) -> bool:
    is_open = (look.finding == LookOutcome.TOO_FEW) | (look.finding == LookOutcome.EARLY)
    return not is_open.any() and cycle <= 2 * look.end


def stand(before: Standing | None, newest: Look, *, leak_is_final: bool = True) -> Standing:
    """Return what stands after the newest look. LEAK is final: later looks only add the cycle it lasted until.

    Where it is not final, a look that had too few readings does not take it back either: it has seen nothing. What
    else stood from n_min on stands over such looks until the cycles have doubled.
    """
    if before is not None and _has_seen_nothing(newest) and _stands_over(before.look, newest.end):
        return before
    here = np.full(newest.finding.shape, newest.end)
    grows = _GROWING[newest.finding]
    if before is None:
        return Standing(newest, decided_at=here, until=np.full(here.shape, np.nan), is_growing=grows)
    leaked = (before.look.finding == LookOutcome.LEAK) & (leak_is_final | (newest.finding == LookOutcome.TOO_FEW))
    same = before.look.finding == newest.finding
    ended = leaked & (newest.finding == LookOutcome.CLEAN)
    ended_at = np.where(np.isnan(before.until), newest.end - newest.n / 2, before.until)
    return Standing(
        look=replace(
            newest,
            **{
                name: np.where(leaked, getattr(before.look, name), getattr(newest, name))
                for name in ("finding", "rate", "low", "high", "since", "needed")
            },
        ),
        decided_at=np.where(leaked | same, before.decided_at, here),
        until=np.where(ended, ended_at, np.nan),
        is_growing=np.where(newest.finding == LookOutcome.TOO_FEW, before.is_growing, grows),
    )
