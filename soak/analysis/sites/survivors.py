"""Prove from the birth cycles of what is alive that nothing stays: exact, whatever comes and goes in between.

Every live block is tagged with the cycle it was born in, so at cycle n one may ask how much is still there of what
the cycles (n/8, 3n/4] allocated, long after they ended. In a component that does not grow it is nothing, under
sawteeth and caches of any height whose blocks live shorter than n/4 cycles. A block that was resized keeps its birth,
so a table that grows shows as growth of what was there before: that is added, site by site.

    cycle    0      n/8        n/4                            3n/4         n
             |-------|----------|-------------------------------|-----------|
    baseline  alive at n/4 of these                                 read here
    survivors        |---- born here and still alive at n ------|

A table may also be copied into a larger block when it is full, as a std::vector is. The old block is freed, so nothing
survives. Therefore the least that a site has after n/2 is compared with the most that it had before n/4. A table that
doubles has doubled in between. Blocks that come and go take about as much at both times.

The table of a dict is also made larger, once, when entries come and go: CPython uses the place of an entry that was
removed only when it makes the table anew. Such a table stays and is no growth: its entries would fit into half of it,
and all memory has grown by no more than the difference. More entries would need more objects, and these are counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from soak.analysis.sites.garbage import LARGEST_TUPLE_BYTES
from soak.analysis.sites.ledger import BLOCKS_TOLERANCE
from soak.analysis.sites.work import WorkOfOthers
from soak.measurements import SIGNALS
from soak.verdict import SeriesState, SeriesVerdict, Verdict

FEWEST_CYCLES = 1792
"""When soak chooses n_min, survivors may prove CLEAN from here on: the span of births is then 1,056 cycles, in which a
leak of one in a thousand has had its turn."""
_FIRST_LOOK = 448
_LOOKS_PER_DOUBLING = 4
"""What is lost is there at every look, and what lives long by chance at some: dead objects on CPython's free lists are
reused in no order. Of several looks the one that finds nothing is as good a proof as any."""
_FIRST_MARK = 56
_MARKS_KEPT = 3 * _LOOKS_PER_DOUBLING + 1
SETTLED = 3 / 4
"""Of n, as drawn above."""
SETTLED_OF_WATCHED = 1 / 2
"""Of n, where the program collects its garbage when it wants to: once in n/2 cycles is often enough. What is born
between this and `SETTLED` may wait, but no more of it than waited at a look before n/2."""
WARMED_UP = 1 / 8
"""Of n, as drawn above."""
_BASELINE = 1 / 4
_STARTED = 1 / 16
"""Of a mark's cycle: what is born before that a program takes when it starts, and keeps."""
_LATE = 1 / 2
"""Of n: a table that doubles is made anew between _BASELINE and this, twice as many cycles."""
_LARGER = 1.4
"""Tables are made larger by a half at least. What comes and goes varies by less, or seldom at all marks alike."""
NEXT_LOOK = 2 ** (1 / _LOOKS_PER_DOUBLING)
"""Times n: the next look is there."""
OUT_OF_SIGHT = SETTLED_OF_WATCHED / WARMED_UP
"""Times n: what was born up to the end of the span is then before its beginning."""
_WANDER = 1.1
"""Checkpoints come this much later than they are due."""
_MOST_LOOKED_AT, _MOST_LOOKED_AT_TOGETHER = 16, 64
"""Sites whose blocks are looked at, whether an interpreter keeps them free, and whether they are garbage together."""
_NARROWEST = 0.7
"""Of the span: births are known by buckets of cycles, and less than this is left of it only where those are coarse."""


@dataclass(frozen=True)
class HalfEmptyTable:
    """The table of a dict of CPython, whose entries would fit into one of half as many places."""

    site: int
    born: int
    """The first cycle of the epoch in which it was allocated."""
    size_bytes: int
    half_bytes: int
    """The size of the table with half as many places."""


@dataclass(frozen=True)
class Cohorts:
    """What is alive at one checkpoint, by site and by the cycle it was born in."""

    cycle: int
    sites: NDArray[np.int64]
    """``(rows,)``: of live blocks, as many rows as there are pairs of site and span of birth."""
    born_from: NDArray[np.int64]
    """``(rows,)``: the first cycle in which a row's blocks may have been born."""
    born_by: NDArray[np.int64]
    """``(rows,)``: the last cycle in which a row's blocks may have been born; 0 is before the first cycle."""
    blocks: NDArray[np.int64]
    """``(rows,)``"""
    sizes: NDArray[np.int64]
    """``(rows,)``: bytes in all, as requested."""
    spans_end: NDArray[np.int64]
    """``(spans,)``, ascending: the last cycle of every span of births, whether anything of it is alive or not."""
    in_use: Mapping[int, int] = field(default_factory=dict)
    """Of some sites how many blocks are in use; an interpreter keeps the others free for the next object."""
    half_empty: Sequence[HalfEmptyTable] = ()
    """Of the large blocks that survive, those that are such tables."""

    def last_birth_before(self, cycle: float) -> int:
        """Return the largest end of a span of births that is not above ``cycle``."""
        return int(self.spans_end[np.searchsorted(self.spans_end, cycle, side="right") - 1])

    def sizes_by_site(self, *, born_after: int = -1, born_by: int | None = None) -> NDArray[np.int64]:
        """Return the live bytes ``(sites,)``, of all or of what was born between two cycles, indexed by site."""
        told = self.born_from > born_after
        if born_by is not None:
            told &= self.born_by <= born_by
        return self.sums_by_site(told, self.sizes)

    def sums_by_site(self, told: NDArray[np.bool_], amounts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add up amounts by site, of no more blocks than are in use at it: any of them may be the ones asked for.

        Only where all blocks of a site have one size: else the one that is in use may be the largest.
        """
        sums = np.bincount(self.sites[told], amounts[told])
        for site, used in self.in_use.items():
            here = told & (self.sites == site)
            blocks, size = int(self.blocks[here].sum()), _common_size(self.blocks[here], self.sizes[here])
            if blocks > used and size:
                sums[site] *= used / blocks
        return sums.astype(np.int64)

    def known_as(self, other: Cohorts) -> Cohorts:
        """Return these where what is in use counts only at sites of which it is known of others as well."""
        return replace(self, in_use={site: used for site, used in self.in_use.items() if site in other.in_use})

    def half_empty_between(self, first: int, last: int) -> list[HalfEmptyTable]:
        """Return the tables that were born in ``(first, last]`` and are alive."""
        told = (self.born_by > first) & (self.born_from <= last)
        return [table for table in self.half_empty if (told & self._may_hold(table)).any()]

    def sizes_with_half_tables(self) -> NDArray[np.int64]:
        """Return the live bytes ``(sites,)``; half-empty tables count with what half of them takes."""
        sizes = self.sizes_by_site()
        for table in self.half_empty:
            if self._may_hold(table).any():
                sizes[table.site] -= table.size_bytes - table.half_bytes
        return sizes

    def _may_hold(self, table: HalfEmptyTable) -> NDArray[np.bool_]:
        is_of_birth = (self.born_from <= table.born) & (table.born <= self.born_by)
        found: NDArray[np.bool_] = (self.sites == table.site) & is_of_birth & (self.sizes >= table.size_bytes)
        return found

    def small_survivors(self, settled: float) -> list[int]:
        """Return the sites of small blocks that stay, those with most bytes first: some may be free objects."""
        sizes, blocks = self._staying(settled)
        is_small = (blocks > 0) & (sizes <= LARGEST_TUPLE_BYTES * blocks)
        found: list[int] = [site for site in np.argsort(-sizes).tolist() if is_small[site]]
        return found[:_MOST_LOOKED_AT]

    def survivors(self, settled: float) -> list[int]:
        """Return the sites of blocks that stay, those with most bytes first: no program may hold some of them."""
        sizes, _ = self._staying(settled)
        found: list[int] = [site for site in np.argsort(-sizes).tolist() if sizes[site] > 0]
        return found[:_MOST_LOOKED_AT_TOGETHER]

    def _staying(self, settled: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the bytes and the blocks of each site that were born in the cycles that are looked at."""
        told = (self.born_by > self.cycle * WARMED_UP) & (self.born_from <= self.cycle * settled)
        sizes, blocks = (np.bincount(self.sites[told], each[told]) for each in (self.sizes, self.blocks))
        return sizes.astype(np.int64), blocks.astype(np.int64)


def _common_size(blocks: NDArray[np.int64], sizes: NDArray[np.int64]) -> int:
    """Return the size that all blocks of some rows have; 0 where they have several."""
    size = int(sizes[0] // blocks[0]) if len(blocks) and blocks[0] else 0
    return size if (sizes == size * blocks).all() else 0


class SurvivorJudge:
    """Takes in cohorts at checkpoints and says CLEAN when nothing of them stays.

    It looks four times in each doubling of the cycles, from 448 on, and at the end of a shorter run. It never says
    LEAK: what stays has a holder, and may be a cache that is still being filled.
    """

    def __init__(self, tolerance_bytes: float, *, settled: float = SETTLED, work: WorkOfOthers | None = None) -> None:
        """Begin with nothing read.

        ``settled``: where in n the births end that are looked at. ``work``: what other processes do in these cycles;
        the tolerance is then for each of their marks.
        """
        self._tolerance_bytes, self._settled = tolerance_bytes, settled
        self._work = work or WorkOfOthers()
        self._marks_due = 0
        self._marks: list[Cohorts] = []
        self._newest: Cohorts | None = None

    def is_due(self, cycle: int) -> bool:
        """Whether the cohorts of this cycle are wanted: making them takes a moment."""
        return cycle >= self._next_mark

    @property
    def _next_mark(self) -> float:
        return float(_FIRST_MARK * 2.0 ** (self._marks_due / _LOOKS_PER_DOUBLING))

    def add(self, cohorts: Cohorts) -> None:
        """Take in a checkpoint that was due."""
        while self._next_mark <= cohorts.cycle:
            self._marks_due += 1
        self._marks = [*self._marks[-_MARKS_KEPT + 1 :], cohorts]

    def judge(self, n_clean: float, at_end: Cohorts | None = None) -> SeriesVerdict | None:
        """Return what the latest look says, or one more at the end, which leaves no trace; None before the first.

        CLEAN is said after ``n_clean`` cycles at the earliest. It is growing where tables have been made larger since
        n/2: one that doubles does so once in each doubling of the cycles, and no series shows that from within.
        """
        newest = at_end or (self._marks[-1] if self._marks else None)
        self._newest = newest
        if newest is None or newest.cycle < (min(n_clean, _FIRST_LOOK) if at_end else _FIRST_LOOK):
            return None
        return self._look(newest, n_clean)

    @property
    def grows_by_free_objects(self) -> bool:
        """Whether since n/2 memory has grown by objects that an interpreter keeps free, and what is in use has not."""
        newest = self._newest
        before = [] if newest is None else [mark for mark in self._marks if mark.cycle <= newest.cycle * _LATE]
        if newest is None or not before:
            return False
        grown = newest.sizes.sum() - before[-1].sizes.sum()
        in_use = newest.sizes_by_site().sum() - before[-1].sizes_by_site().sum()
        return bool(in_use <= self._tolerance_bytes * (newest.cycle - before[-1].cycle) < grown)

    @property
    def looked_at(self) -> set[int]:
        """The sites of which it was asked what is in use: ask for them again, so that looks can be compared."""
        return {site for mark in self._marks for site in mark.in_use}

    def _look(self, newest: Cohorts, n_clean: float) -> SeriesVerdict | None:
        n = newest.cycle
        marks = [mark.known_as(newest) for mark in self._marks]
        baselines = [mark for mark in marks if mark.cycle <= n * _BASELINE * _WANDER]
        if not baselines:
            return None
        baseline = baselines[-1]
        first = newest.last_birth_before(n * WARMED_UP)
        last = newest.last_birth_before(n * self._settled)
        if last - first < n * (self._settled - WARMED_UP) * _NARROWEST:
            return None
        blocks, sizes = _survivors(baseline, newest, first, last)
        sizes -= _half_empty(marks, newest, first, last)
        sizes = max(sizes, _risen(marks, newest, n * _BASELINE * _WANDER, n * _LATE * _WANDER))
        is_doubled = _risen(marks, newest, n * _LATE, n) > self._tolerance_bytes * (last - first)
        sizes += (
            self._late(marks, newest) * (last - first) / (n * (SETTLED - self._settled))
            if self._settled < SETTLED
            else 0
        )
        rate, blocks_rate = sizes / (last - first), blocks / (last - first)
        bound = rate + SIGNALS["tracked"].grain / (last - first)
        pieces = self._work.marks_per_cycle(first, last)
        tolerance_bytes = self._tolerance_bytes * pieces
        is_clean = n >= n_clean and bound < tolerance_bytes and blocks_rate < BLOCKS_TOLERANCE * pieces
        return SeriesVerdict(
            Verdict.CLEAN if is_clean else Verdict.INCONCLUSIVE,
            SeriesState.NOTHING_STAYS if is_clean else SeriesState.UNDECIDED,
            rate,
            rate,
            bound,
            decided_at=n if is_clean else None,
            since=first + 1,
            until=last,
            cycles=n,
            tolerance=tolerance_bytes,
            is_growing=is_doubled,
        )

    def _late(self, marks: Sequence[Cohorts], newest: Cohorts) -> float:
        """Return the bytes that stay of the cycles before `SETTLED`, at sites where less stayed at looks before n/2.

        Garbage that waits for its collection waited then too; a leak that has begun since did not.
        """
        n = newest.cycle
        since = newest.last_birth_before(n * self._settled)
        late = newest.sizes_by_site(born_after=since, born_by=newest.last_birth_before(n * SETTLED))
        most = np.zeros(len(late))
        for mark in marks:
            if n * _BASELINE <= mark.cycle <= n * _LATE * _WANDER:
                first = mark.last_birth_before(mark.cycle * _STARTED)
                waited = mark.sizes_by_site(born_after=first, born_by=mark.last_birth_before(mark.cycle * SETTLED))
                most = np.maximum(most, np.pad(waited, (0, max(len(late) - len(waited), 0)))[: len(late)])
        return float(late[late >= _LARGER * most].sum())


def _half_empty(marks: Sequence[Cohorts], newest: Cohorts, first: int, last: int) -> float:
    """Return the bytes of half-empty tables among the survivors, but for what all memory has grown by beside them.

    A table that has replaced a smaller one adds the difference. A dict that was lost with its table adds all of it.
    """
    tables = newest.half_empty_between(first, last)
    before = [mark for mark in marks if all(mark.cycle < table.born for table in tables)]
    if not tables or not before:
        return 0.0
    added = sum(table.size_bytes - table.half_bytes for table in tables)
    beside = int(newest.sizes.sum()) - int(before[-1].sizes.sum()) - added
    return max(float(sum(table.size_bytes for table in tables) - max(beside, 0)), 0.0)


def _risen(marks: Sequence[Cohorts], newest: Cohorts, until: float, since: float) -> float:
    """Return the bytes by which sites have much more at each mark since a cycle than at any before another.

    A site that had nothing before is left out: a table that doubles was there with a part of its size.
    """
    early = [mark for mark in marks if mark.cycle <= until]
    late = [*(mark for mark in marks if since <= mark.cycle < newest.cycle), newest]
    sizes = [mark.sizes_with_half_tables() for mark in (*early, *late)]
    sites = max(map(len, sizes))
    table = np.stack([np.pad(each, (0, sites - len(each))) for each in sizes])
    most, least = table[: len(early)].max(axis=0), table[len(early) :].min(axis=0)
    return float((least - most)[(most > 0) & (least >= _LARGER * most)].sum())


def _survivors(baseline: Cohorts, newest: Cohorts, first: int, last: int) -> tuple[float, float]:
    """Return blocks and bytes that were born in ``(first, last]`` and live, and bytes older ones have grown by.

    Blocks that may have been born outside as well count: of several processes not all spans end at the same cycle.
    """
    survive = (newest.born_by > first) & (newest.born_from <= last)
    before, now = baseline.sizes_by_site(born_by=first), newest.sizes_by_site(born_by=first)
    grown = np.maximum(now - np.pad(before, (0, max(len(now) - len(before), 0)))[: len(now)], 0).sum()
    blocks, sizes = newest.sums_by_site(survive, newest.blocks), newest.sums_by_site(survive, newest.sizes)
    return float(blocks.sum()), float(sizes.sum() + grown)
