"""Judge the tracker's ledger: at which call sites live blocks grow, by the same rule as for any other series.

What is summed up over all sites (``tracked``) is a signal of its own and hides what one site does; a leak of 16 B a
cycle under a sawtooth of megabytes shows only here. Space: a site's live counts are kept where they change, so a
program of a thousand quiet sites costs nothing. Of a long run only every second, fourth, ... checkpoint is kept, and
the latest: a thousand sites that never stand still take 50 MB at most, however long it lasts.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from soak.analysis.falls import Drop, largest_drop
from soak.analysis.series import SeriesJudge
from soak.analysis.sites.steps import judge_steps
from soak.verdict import SeriesVerdict, Verdict

BLOCKS_TOLERANCE = 0.01
_RARE_BLOCKS_PER_CYCLE = 0.5
MOST_SUSPECTS = 32
_READ_LATE, _MOST_READ_LATE = 1 / 32, 8
"""A site of one block a cycle may have this share more, and at most so many blocks beyond a hundredth of the cycles."""
_FEWEST_CHECKPOINTS = 8
SAME_RATE = 0.8
"""Two rates are the same when neither is less than this share of the other."""
_PARTS, _FEWEST_PARTS = 8, 6
"""Growth is the same in each of so many parts of a run where each has the same rate as all; of a slow program with rare
checkpoints some parts are longer."""
_ENOUGH_BLOCKS, _BY_CHANCE = 64, 4.0
"""Requests come at random: by chance, a part of the run has up to this many standard deviations fewer new blocks."""
MOST_CHECKPOINTS = 2048
"""At half of them the smallest block that the rule looks at still has sixteen readings."""


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
    size_of_new: float | None = None
    """Bytes of each new block of that half, on average; None if there are not more blocks."""
    is_alike_in_each_part: bool = False
    """Its live blocks have grown by much the same in each eighth of the cycles but the first, up to the last one."""

    @property
    def is_leak(self) -> bool:
        """Whether the rule has called it a leak; until then it only grows."""
        return self.verdict.verdict is Verdict.LEAK

    @property
    def goes_on(self) -> bool:
        """Whether it has grown at its rate over the later half of the cycles too, up to the latest checkpoint."""
        recent = self.recent_bytes_per_cycle
        return recent is None or recent >= SAME_RATE * (self.verdict.rate or 0.0)

    @property
    def bytes_per_cycle(self) -> float:
        """The rate, with 0 for none."""
        if not self.is_leak and self.recent_bytes_per_cycle is not None:
            return self.recent_bytes_per_cycle
        return self.verdict.rate or 0.0


@dataclass(frozen=True)
class Falling:
    """The sites that have less live memory than at half of the cycles."""

    left_bytes: float
    """What they have, and may still lose."""
    bytes_per_cycle: float
    """What they lose, of those that have lost much the same in each part of the run."""


@dataclass(slots=True)
class _Changes:
    """What is alive of one site, if it differs from the checkpoint before."""

    positions: array[int] = field(default_factory=lambda: array("q"))
    """Of checkpoints, ascending."""
    blocks: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    """Bytes, as requested."""

    def set(self, position: int, blocks: int, sizes: int) -> None:
        """Note what is alive from a checkpoint on, which is not before those that were noted."""
        if self.positions and self.positions[-1] == position:
            self.blocks[-1], self.sizes[-1] = blocks, sizes
            return
        self.positions.append(position)
        self.blocks.append(blocks)
        self.sizes.append(sizes)

    def at(self, position: int) -> tuple[int, int]:
        """Return live blocks and bytes as they stood at a checkpoint."""
        last = bisect_right(self.positions, position) - 1
        return (self.blocks[last], self.sizes[last]) if last >= 0 else (0, 0)

    def thinned(self) -> _Changes:
        """Return the changes between every second checkpoint."""
        kept = _Changes()
        for position, blocks, sizes in zip(self.positions, self.blocks, self.sizes, strict=True):
            kept.set((position + 1) // 2, blocks, sizes)
        return kept


class LedgerJudge:
    """Takes in the ledger's checkpoints and finds the sites that grow."""

    def __init__(self, tolerance_bytes: float) -> None:
        self._tolerance_bytes = tolerance_bytes
        self._cycles = array("q")
        self._blocks = np.zeros(0, np.int64)
        self._bytes = np.zeros(0, np.int64)
        self._first_blocks, self._first_bytes = self._blocks, self._bytes  # at the first checkpoint
        self._changes: dict[int, _Changes] = {}  # since then
        self._changed_at = np.zeros(0, np.int64)  # the last position in each site's changes; -1 before the first
        self._newest, self._stride = -1, 1  # number of the newest checkpoint; one in so many of the older is kept
        self._drops_since = 0
        self._followed: dict[int, _Followed] = {}  # the suspects of the latest look

    def add(self, cycle: int, blocks: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        """Take in one checkpoint: live blocks and live bytes ``(sites,)`` int64, indexed by site; sites only come."""
        position = self._make_place(cycle)
        before_blocks = np.zeros(len(blocks), np.int64)
        before_bytes = np.zeros(len(blocks), np.int64)
        before_blocks[: len(self._blocks)] = self._blocks
        before_bytes[: len(self._bytes)] = self._bytes
        changed = np.flatnonzero((blocks != before_blocks) | (sizes != before_bytes))
        new = len(blocks) - len(self._changed_at)
        self._changed_at = np.concatenate((self._changed_at, np.full(new, -1))) if new else self._changed_at
        self._changed_at[changed] = position
        self._blocks, self._bytes = blocks, sizes
        if not self._newest:
            self._first_blocks, self._first_bytes = blocks, sizes
            return
        for site in changed.tolist():
            if site not in self._changes:
                self._changes[site] = self._unchanged(site)
            self._changes[site].set(position, int(blocks[site]), int(sizes[site]))

    def _unchanged(self, site: int) -> _Changes:
        """Return what was alive of a site at the first checkpoint, as its only change."""
        changes = _Changes()
        if site < len(self._first_blocks) and (self._first_blocks[site] or self._first_bytes[site]):
            changes.set(0, int(self._first_blocks[site]), int(self._first_bytes[site]))
        return changes

    def _make_place(self, cycle: int) -> int:
        """Return the position of a new checkpoint: that of the last one, if that one is not to be kept."""
        is_last_kept = self._newest % self._stride == 0
        if is_last_kept and len(self._cycles) == MOST_CHECKPOINTS:
            self._stride *= 2
            self._cycles = self._cycles[::2]
            self._changes = {site: changes.thinned() for site, changes in self._changes.items()}
            self._changed_at = (self._changed_at + 1) // 2 - (self._changed_at < 0)
        if not is_last_kept:
            self._cycles.pop()
        self._newest += 1
        self._cycles.append(cycle)
        return len(self._cycles) - 1

    def suspects(self, n_min: int, *, at_end: bool = False) -> list[Suspect]:
        """Return the sites that grow by more than the tolerance, the fastest first, 32 at most.

        Each is judged by the regular looks so far, and with ``at_end`` by the one more at the end: more looks than
        those would break the rule's error rate.
        """
        cycles = np.array(self._cycles, np.float64)
        growing = self._growing(cycles)[:MOST_SUSPECTS]
        found = [self._judge(site, rate, size, cycles, n_min, at_end=at_end) for rate, _, site, size in growing]
        self._followed = {site: self._followed[site] for _, _, site, _ in growing}
        return found

    def growing_sites(self) -> list[int]:
        """Return all sites that grow by more than the tolerance, the fastest first: an object may have a hundred."""
        return [site for _, _, site, _ in self._growing(np.array(self._cycles, np.float64))]

    def _growing(self, cycles: NDArray[np.float64]) -> list[tuple[float, float, int, float]]:
        """Return of each site that grows: bytes and blocks a cycle, its number, the size of a new block on average."""
        if len(cycles) < _FEWEST_CHECKPOINTS:
            return []
        half = later_half(cycles)
        span = cycles[-1] - cycles[half]
        if span <= 0:
            return []
        grown = []
        for site in np.flatnonzero(self._changed_at > half).tolist():  # thousands of others stand still
            changes = self._changes[site]
            blocks, sizes = changes.at(half)
            last_blocks, last_bytes = changes.blocks[-1], changes.sizes[-1]
            bytes_rate, blocks_rate = (last_bytes - sizes) / span, (last_blocks - blocks) / span
            if bytes_rate > self._tolerance_bytes or (blocks_rate > BLOCKS_TOLERANCE and bytes_rate > 0):
                size = (last_bytes - sizes) / (last_blocks - blocks) if last_blocks > blocks else 0.0
                grown.append((bytes_rate, blocks_rate, site, size))
        return sorted(grown, reverse=True)

    def falling(self) -> Falling:
        """Return what is left at the sites that have less than at half of the cycles, and how fast they lose it."""
        if len(self._cycles) < _FEWEST_CHECKPOINTS:
            return Falling(0.0, 0.0)
        half = later_half(np.array(self._cycles, np.float64))
        left_bytes, rate = 0, 0.0
        for site in np.flatnonzero(self._changed_at > half).tolist():
            changes = self._changes[site]
            lost = changes.at(half)[1] - changes.sizes[-1]
            if lost <= 0:
                continue
            left_bytes += changes.sizes[-1]
            cycles, _, sizes = self.series(site)
            if _is_alike_in_each_part(cycles, -sizes, _FEWEST_PARTS):
                rate += lost / float(cycles[-1] - cycles[half])
        return Falling(float(left_bytes), rate)

    def drop(self, site: int | None) -> Drop:
        """Return the largest drop of a site's live bytes, or with None of those of all sites together."""
        if site is not None:
            cycles, _, sizes = self.series(site)
            return largest_drop(cycles, sizes, self._drops_since)
        cycles, changed = np.array(self._cycles, np.int64), np.zeros(len(self._cycles), np.int64)
        for changes in self._changes.values():
            np.add.at(changed, np.array(changes.positions), np.diff(np.array(changes.sizes), prepend=0))
        return largest_drop(cycles, np.cumsum(changed), self._drops_since)

    def forget_drops(self) -> None:
        """Count drops from the next checkpoint on: memory went with a process that has ended."""
        self._drops_since = self._cycles[-1] + 1 if self._cycles else 0

    def series(self, site: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return cycles, live blocks and live bytes of a site, ``(checkpoints,)`` each."""
        blocks = np.zeros(len(self._cycles), np.int64)
        sizes = np.zeros(len(self._cycles), np.int64)
        changes = self._changes.get(site) or self._unchanged(site)
        for position, live_blocks, live_bytes in zip(changes.positions, changes.blocks, changes.sizes, strict=True):
            blocks[position:], sizes[position:] = live_blocks, live_bytes
        return np.array(self._cycles, np.int64), blocks, sizes

    def mean_growth(self, site: int) -> float:
        """Return the bytes a cycle by which a site has grown since the first checkpoint; 0 before there is a second."""
        cycles, _, sizes = self.series(site)
        return float(sizes[-1] - sizes[0]) / float(cycles[-1] - cycles[0]) if len(cycles) > 1 else 0.0

    def grows_in_each_cycle(self, site: int) -> bool:
        """Whether a site's live blocks have grown by much the same in each part of the run, but for its beginning."""
        cycles, blocks, _ = self.series(site)
        return _is_alike_in_each_part(cycles, blocks, _FEWEST_PARTS)

    def goes_on(self, site: int) -> bool:
        """Whether a site's blocks have grown in each part of the run but its beginning, by as many as chance allows.

        As `grows_in_each_cycle`, of a program whose cycles are of several kinds that come at random.
        """
        cycles, blocks, _ = self.series(site)
        marks = _parts(cycles)
        if len(marks) < _FEWEST_PARTS:
            return False
        grown, spans = np.diff(blocks[marks]), np.diff(cycles[marks])
        expected = float(grown.sum()) * spans / spans.sum()
        fewest = np.maximum(expected - _BY_CHANCE * np.sqrt(np.maximum(expected, 0.0)), 1.0)
        return bool(grown.sum() >= _ENOUGH_BLOCKS and (grown >= fewest).all())

    def has_fallen(self, site: int) -> bool:
        """Whether a site's live blocks are less than half of the most that there were."""
        _, blocks, _ = self.series(site)
        return bool(len(blocks)) and 2 * int(blocks[-1]) < int(blocks.max())

    def _follow(
        self, site: int, cycles: NDArray[np.float64], sizes: NDArray[np.int64], tolerance: float, n_min: int
    ) -> SeriesJudge:
        """Return the judge of a site's bytes, with all checkpoints taken in.

        It is the judge of the look before if that asked for the same, and no checkpoint was left out since.
        """
        known = self._followed.get(site)
        goes_on = known is not None and self._stride == 1 and (known.tolerance, known.n_min) == (tolerance, n_min)
        if known is None or not goes_on:
            known = self._followed[site] = _Followed(SeriesJudge(tolerance, n_min), tolerance, n_min)
        known.judge.extend(cycles[known.taken :], sizes[known.taken :])
        known.taken = len(cycles)
        return known.judge

    def _judge(
        self, site: int, bytes_rate: float, size: float, cycles: NDArray[np.float64], n_min: int, *, at_end: bool
    ) -> Suspect:
        _, blocks, sizes = self.series(site)
        # A site that loses few but real bytes a cycle is judged by its own smallest sensible tolerance.
        tolerance = min(self._tolerance_bytes, max(BLOCKS_TOLERANCE * size, 1e-3)) if size else self._tolerance_bytes
        series = self._follow(site, cycles, sizes, tolerance, n_min)
        verdict = series.finish() if at_end else series.verdict
        if verdict.verdict is not Verdict.LEAK:
            verdict = judge_steps(cycles, sizes, n_min, tolerance) or verdict
        start = float(cycles[-1] + cycles[0]) / 2 if verdict.since is None else float(cycles[0] + verdict.since)
        first = min(int(np.searchsorted(cycles, start)), len(cycles) - 2)
        grown = int(np.argmax(blocks[first:] != blocks[first]))
        if grown <= len(cycles) - first - _FEWEST_CHECKPOINTS:
            first += grown
        blocks_rate = _blocks_per_cycle(cycles, blocks, first)
        size_of_each = _size_of_each(blocks[first:], sizes[first:], float(cycles[-1] - cycles[first]))
        is_alike = _is_alike_in_each_part(cycles, blocks, _PARTS)
        return Suspect(site, verdict, blocks_rate, size_of_each, float(bytes_rate), size or None, is_alike)


@dataclass(slots=True)
class _Followed:
    """A site's series that is judged as it goes on: to judge all of it anew each time would take a core of its own."""

    judge: SeriesJudge
    tolerance: float
    n_min: int
    taken: int = 0
    """Checkpoints that it has taken in."""


def _parts(cycles: NDArray[np.float64] | NDArray[np.int64]) -> list[int]:
    """Return at which checkpoints the parts of the run begin and end, from the second part on.

    A busy machine may leave no time for readings during most of a run. Those cycles then are one part, and the
    checkpoints after them make shorter ones.
    """
    if len(cycles) < _FEWEST_CHECKPOINTS:
        return []
    ends = np.linspace(cycles[-1] / _PARTS, cycles[-1], _PARTS)
    marks = sorted(set(np.searchsorted(cycles, ends).tolist()))
    if len(marks) >= _FEWEST_PARTS:
        return marks
    after = np.linspace(marks[0], len(cycles) - 1, _PARTS).astype(int)
    return sorted({max(marks[0] - 1, 0), *after.tolist()})


def _is_alike_in_each_part(
    cycles: NDArray[np.float64] | NDArray[np.int64], live: NDArray[np.int64], fewest_parts: int
) -> bool:
    """Whether live blocks, or bytes, have grown by much the same in each of at least so many parts of the run."""
    marks = _parts(cycles)
    if len(marks) < fewest_parts:
        return False
    rates = np.diff(live[marks]) / np.diff(cycles[marks])
    mean = float(live[marks[-1]] - live[marks[0]]) / float(cycles[marks[-1]] - cycles[marks[0]])
    return bool(mean > 0 and rates.min() >= SAME_RATE * mean and rates.max() <= mean / SAME_RATE)


def later_half(cycles: NDArray[np.float64] | NDArray[np.int64]) -> int:
    """Return at which checkpoint the later half of the cycles begins; before the last, however rare they are."""
    half = int(np.searchsorted(cycles, (cycles[0] + cycles[-1]) / 2))
    return max(min(half, len(cycles) - 2), 0)


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


def _size_of_each(blocks: NDArray[np.int64], sizes: NDArray[np.int64], cycles: float) -> int | None:
    """Return the size of a site's new blocks when it was the same between all checkpoints, else None.

    With more than one block a cycle that proves nothing: two sizes that take turns have a mean as well. In a watched
    program, which goes on while it is read, there may be some blocks more than cycles.
    """
    more = int(blocks[-1] - blocks[0])
    if more <= 0 or more >= 1.01 * cycles + min(_READ_LATE * cycles, _MOST_READ_LATE):
        return None
    size = int(sizes[-1] - sizes[0]) // more
    return size if size > 0 and bool((np.diff(sizes) == size * np.diff(blocks)).all()) else None
