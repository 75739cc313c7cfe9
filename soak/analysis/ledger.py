"""Judge the tracker's ledger: which call sites' live blocks grow, each by the same rule as any other series.

What is summed up over all sites (``tracked``) is a signal of its own and hides what one site does; a leak of 16 B a
cycle under a sawtooth of megabytes shows only here. Space: a site's live counts are kept where they change, so a
program of a thousand quiet sites costs nothing, and one that leaks costs one entry a checkpoint.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soak.analysis.series import SeriesJudge
from soak.verdict import SeriesVerdict, Verdict

BLOCKS_TOLERANCE = 0.01
_RARE_BLOCKS_PER_CYCLE = 0.5
MOST_SUSPECTS = 32
_FEWEST_CHECKPOINTS = 8


@dataclass(frozen=True)
class Suspect:
    """A site whose live memory grows; rates per cycle."""

    site: int
    verdict: SeriesVerdict
    """Of its live bytes, as requested."""
    blocks_per_cycle: float
    requested_size: int | None
    """Bytes of each of its new blocks, when they are all of one size."""
    recent_bytes_per_cycle: float | None = None
    """Over the later half of the cycles, judged or not."""

    @property
    def is_leak(self) -> bool:
        """Whether the rule has called it a leak; until then it only grows."""
        return self.verdict.verdict is Verdict.LEAK

    @property
    def bytes_per_cycle(self) -> float:
        """The rate, with 0 for none."""
        if not self.is_leak and self.recent_bytes_per_cycle is not None:
            return self.recent_bytes_per_cycle
        return self.verdict.rate or 0.0


class LedgerJudge:
    """Takes in the ledger's checkpoints and tells which sites grow."""

    def __init__(self, tolerance_bytes: float) -> None:
        self._tolerance_bytes = tolerance_bytes
        self._cycles: list[int] = []
        self._blocks = np.zeros(0, np.int64)
        self._bytes = np.zeros(0, np.int64)
        self._changes: dict[int, list[tuple[int, int, int]]] = {}

    def add(self, cycle: int, blocks: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        """Take in one checkpoint: live blocks and live bytes ``(sites,)`` int64, indexed by site; sites only come."""
        position = len(self._cycles)
        self._cycles.append(cycle)
        before_blocks = np.zeros(len(blocks), np.int64)
        before_bytes = np.zeros(len(blocks), np.int64)
        before_blocks[: len(self._blocks)] = self._blocks
        before_bytes[: len(self._bytes)] = self._bytes
        for site in np.flatnonzero((blocks != before_blocks) | (sizes != before_bytes)).tolist():
            self._changes.setdefault(site, []).append((position, int(blocks[site]), int(sizes[site])))
        self._blocks, self._bytes = blocks, sizes

    def suspects(self, n_min: int, *, at_end: bool = False) -> list[Suspect]:
        """Return the sites that grow by more than the tolerance, the fastest first, 32 at most.

        Each is judged by the regular looks so far, and with ``at_end`` by the one more at the end: more looks than
        those would break the rule's error rate.
        """
        if len(self._cycles) < _FEWEST_CHECKPOINTS:
            return []
        cycles = np.array(self._cycles, np.float64)
        half = int(np.searchsorted(cycles, (cycles[0] + cycles[-1]) / 2))
        span = cycles[-1] - cycles[half]
        if span <= 0:
            return []
        grown = []
        for site, changes in self._changes.items():
            blocks, sizes = self._at(changes, half)
            last_blocks, last_bytes = changes[-1][1:]
            bytes_rate, blocks_rate = (last_bytes - sizes) / span, (last_blocks - blocks) / span
            if bytes_rate > self._tolerance_bytes or (blocks_rate > BLOCKS_TOLERANCE and bytes_rate > 0):
                size = (last_bytes - sizes) / (last_blocks - blocks) if last_blocks > blocks else 0.0
                grown.append((bytes_rate, blocks_rate, site, size))
        grown.sort(reverse=True)
        return [
            self._judge(site, bytes_rate, size, cycles, n_min, at_end=at_end)
            for bytes_rate, _, site, size in grown[:MOST_SUSPECTS]
        ]

    def series(self, site: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return cycles, live blocks and live bytes of a site, ``(checkpoints,)`` each."""
        blocks = np.zeros(len(self._cycles), np.int64)
        sizes = np.zeros(len(self._cycles), np.int64)
        for position, live_blocks, live_bytes in self._changes.get(site, []):
            blocks[position:], sizes[position:] = live_blocks, live_bytes
        return np.array(self._cycles, np.int64), blocks, sizes

    def _judge(
        self, site: int, bytes_rate: float, size: float, cycles: NDArray[np.float64], n_min: int, *, at_end: bool
    ) -> Suspect:
        _, blocks, sizes = self.series(site)
        # A site that loses few but real bytes a cycle is judged by its own smallest sensible tolerance.
        tolerance = min(self._tolerance_bytes, max(BLOCKS_TOLERANCE * size, 1e-3)) if size else self._tolerance_bytes
        series = SeriesJudge(tolerance, n_min, unit="B")
        series.extend(cycles, sizes)
        verdict = series.finish() if at_end else series.verdict
        start = float(cycles[-1] + cycles[0]) / 2 if verdict.since is None else float(cycles[0] + verdict.since)
        first = min(int(np.searchsorted(cycles, start)), len(cycles) - 2)
        grown = int(np.argmax(blocks[first:] != blocks[first]))
        if grown <= len(cycles) - first - _FEWEST_CHECKPOINTS:
            first += grown
        blocks_rate = _blocks_per_cycle(cycles, blocks, first)
        size_of_each = _size_of_each(blocks[first:], sizes[first:], blocks_rate)
        return Suspect(site, verdict, blocks_rate, size_of_each, float(bytes_rate))

    @staticmethod
    def _at(changes: list[tuple[int, int, int]], position: int) -> tuple[int, int]:
        """Return live blocks and bytes as they stood at a checkpoint."""
        last = bisect_right(changes, position, key=lambda change: change[0])
        return changes[last - 1][1:] if last else (0, 0)


def _blocks_per_cycle(cycles: NDArray[np.float64], blocks: NDArray[np.int64], first: int) -> float:
    """Return by how many blocks a site grows a cycle since checkpoint ``first``.

    Of a rare leak the ends of those cycles cut a period, so it is counted from its first block to its last where
    that is much the same pace.
    """
    rate = float((blocks[-1] - blocks[first]) / (cycles[-1] - cycles[first]))
    rises = np.flatnonzero(np.diff(blocks) > 0) + 1
    if not 0 < rate < _RARE_BLOCKS_PER_CYCLE or len(rises) < 3:
        return rate
    between = float((blocks[rises[-1]] - blocks[rises[0]]) / (cycles[rises[-1]] - cycles[rises[0]]))
    return between if 0.8 * rate <= between <= 1.25 * rate else rate


def _size_of_each(blocks: NDArray[np.int64], sizes: NDArray[np.int64], blocks_rate: float) -> int | None:
    """Return the size of a site's new blocks when it was the same between all checkpoints, else None.

    With more than one block a cycle that proves nothing: two sizes that take turns have a mean as well.
    """
    more = int(blocks[-1] - blocks[0])
    if more <= 0 or blocks_rate >= 1.01:
        return None
    size = int(sizes[-1] - sizes[0]) // more
    return size if size > 0 and bool((np.diff(sizes) == size * np.diff(blocks)).all()) else None
