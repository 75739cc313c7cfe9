"""One scan: which blocks of some call sites are lost, which are held, and by what."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from soak.attribution.holders import (
    FEWEST_SURVIVORS,
    MOST,
    Memory,
    SiteScan,
)
from soak.attribution.native.symbols import Symbols
from soak.attribution.pointers.distinct import distinct
from soak.attribution.pointers.reachability import (
    reach,
    search,
)
from soak.native.ledger import Checkpoint
from soak.probes.ledgers.shadow import Blocks
from soak.probes.memory import ProcessMemory
from soak.running.scanning.scan.holders import HolderSearch, Targets, before_own
from soak.running.scanning.scan.seen_memory import SeenMemory, TooLongError

LONGEST_SCAN_S = 5.0
"""How long a process may be held still."""
NO_SITES = np.zeros(0, np.uint32)
_RECENT = 8
"""Blocks of the last 1/8 of the cycles may still be on their way."""
_MOST_BLOCKS, _MOST_BLOCKS_BESIDE = 2_000_000, 500_000
_FEWEST_BIRTHS = 3
"""A pace needs births in this many cycles."""
_SAMPLES = 12
"""Objects of a site that the process is asked about: of all ages, because several holders may each hold some."""
_NOTABLE_SHARE = 0.05
"""Of the bytes of the type that takes most at a site: others are not looked at."""
_MOST_TYPES = 3
"""Of a site's objects: the process is asked about these, and their references are compared with the pointers."""


class MemoryScan(SeenMemory):
    """One scan of a process that is held still: what became of the blocks of some call sites."""

    def __init__(
        self,
        memory: ProcessMemory,
        checkpoint: Checkpoint,
        sites: NDArray[np.uint32],
        type_at: int,
        longest_s: float = LONGEST_SCAN_S,
        blocks: Blocks | None = None,
        *,
        beside: NDArray[np.uint32] = NO_SITES,
        is_collected: bool = False,
        is_last: bool = False,
    ) -> None:
        """Prepare to look for the blocks of these sites, for at most this long.

        ``type_at``: the address of ``type`` in that process. ``blocks``: all live blocks, where they were read before.
        ``beside``: other sites whose blocks hold nothing on their own. ``is_collected``: gc has looked at all objects
        since the last cycle. ``is_last``: no cycle follows, so that young blocks stay as well.
        """
        self._begun_s = time.thread_time()
        super().__init__(memory, checkpoint, type_at, longest_s, blocks)
        self._is_last = is_last
        self._is_collected = is_collected
        self._suspects, self._beside = sites, beside

    def run(self) -> None:
        """Read all that is needed."""
        self._targets = self._find_targets()
        found = search(self._targets.blocks.addresses, self._targets.blocks.sizes, self.pieces())
        self._objects = self.objects_in(self._targets.blocks, found)
        pointers = self.counted(found, self._targets.blocks, self._objects)
        sources_in = self._targets.blocks.covering(pointers.sources)
        self._reached = reach(
            pointers,
            sources_in,
            self._objects,
            self.is_static(pointers.sources),
            is_collected=self._is_collected,
        )
        # Not kept: it refers to this object, and soak's own process collects reference cycles rarely.
        holders = HolderSearch(self, self._targets, self._objects, self._reached)
        self._holders = holders.find(self._suspects, self._begun_s)
        self._found = [(int(site), self._sum_up(int(site))) for site in self._suspects]

    def memory_map(self) -> Memory:
        """Return what was mapped."""
        maps = "\n".join(f"{m.start:x}-{m.end:x} {m.permissions} 0 0 0 {m.path}" for m in self.mappings)
        return Memory(tuple(self.mappings), tuple(self.stack_pointers), Symbols(maps))

    def sites(self) -> list[tuple[int, SiteScan]]:
        """Return what was found of each site."""
        return self._found

    def _find_targets(self) -> Targets:
        in_question = np.isin(self.owners, self._suspects)
        # What setup made is left out where it is much: setup itself may hold it, and the cycles have not made it.
        of_cycles = self._count(in_question) > _MOST_BLOCKS_BESIDE
        blocks = self.blocks.of_sites(in_question | np.isin(self.owners, self._beside), of_cycles=of_cycles)
        if len(blocks) > _MOST_BLOCKS_BESIDE:
            blocks = self.blocks.of_sites(in_question, of_cycles=of_cycles)
        if len(blocks) > _MOST_BLOCKS:
            raise TooLongError(f"{len(blocks):,} blocks are in question")
        cycle = self.checkpoint.cycle
        is_old = (blocks.cycles > 0) & (blocks.cycles <= cycle - max(1, cycle // _RECENT))
        return Targets(blocks, self.site_of(blocks.sites), is_old)

    def _count(self, is_wanted: NDArray[np.bool_]) -> int:
        """Return how many blocks some call sites have, without a look at any. ``is_wanted``: by number of the site."""
        rows = self.checkpoint.rows
        return int(rows["live_blocks"][is_wanted[np.minimum(rows["site"], len(is_wanted) - 1)]].sum())

    def _sum_up(self, site: int) -> SiteScan:
        targets, reached = self._targets, self._reached
        own = np.flatnonzero(targets.sites == site)
        all_old = own[targets.is_old[own]]
        old = self._alike(all_old)
        lost = old[reached.lost[old]]
        stays = own if self._is_last and not len(old) else old
        types = self._types_by_size(stays)
        before = before_own(self._targets, self._reached, site, lost)
        foreign = targets.sites[before[before >= 0]]
        all_lost = all_old[reached.lost[all_old]]
        forgotten = all_lost[reached.deficits[all_lost] > 0]
        return SiteScan(
            cycle=self.checkpoint.cycle,
            alive=targets.blocks.addresses[old],
            lost=targets.blocks.addresses[lost],
            held=int(reached.reached[old].sum()),
            is_all_held=bool(len(own)) and bool(reached.reached[own].all()),
            forgotten_type=self._forgotten_type(old, types),
            forgotten_lost=len(forgotten),
            forgotten_lost_type=self._first_name(self._types_by_size(forgotten)),
            type=self._first_name(types),
            holders=self._holders.get(site, ()),
            lost_with=int(np.bincount(foreign).argmax()) if 2 * len(foreign) > len(lost) else None,
            samples=tuple(self._samples(stays, types)),
            blocks_per_cycle=_pace(targets.blocks.cycles[own]),
        )

    def _types_by_size(self, blocks: NDArray[np.intp]) -> list[int]:
        """Return the addresses of the types of the objects in some blocks, those that take most bytes first.

        Not those that take next to nothing of it: a line that lists cursors has made one statement as well.
        """
        kinds, positions = np.unique(self._objects.types[blocks], return_inverse=True)
        sizes = np.bincount(positions, self._targets.blocks.sizes[blocks].astype(float), len(kinds))
        largest = max(sizes[kinds != 0], default=0.0)
        order = np.argsort(-sizes, kind="stable")
        return [int(kinds[at]) for at in order if kinds[at] and sizes[at] >= _NOTABLE_SHARE * largest]

    def _first_name(self, types: Sequence[int]) -> str | None:
        return self.types.name(types[0]) if types else None

    def _forgotten_type(self, old: NDArray[np.intp], types: Sequence[int]) -> str | None:
        """Return the type of which nearly all objects have one reference more than there are pointers to them.

        What held the first of them before (a list that has been moved since) may stand in freed memory still: only the
        younger half is looked at.
        """
        for kind in types[:_MOST_TYPES]:
            of_type = old[self._objects.types[old] == kind]
            if not len(of_type):
                continue
            born = self._targets.blocks.cycles[of_type]
            younger = of_type[born >= np.median(born)]
            forgotten = int((self._reached.deficits[younger] > 0).sum())
            if len(younger) >= FEWEST_SURVIVORS and forgotten >= MOST * len(younger):
                return self.types.name(kind)
        return None

    def _samples(self, old: NDArray[np.intp], types: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Give some objects of the types that take most bytes: the process does not find the strings of a class."""
        for kind in types[:_MOST_TYPES]:
            of_type = old[self._objects.types[old] == kind]
            for block in of_type[:: len(of_type) // (_SAMPLES // min(len(types), _MOST_TYPES)) + 1]:
                yield int(self._targets.blocks.addresses[block]) + int(self._objects.offsets[block]), kind

    def _alike(self, old: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return a site's survivors of one type where nearly all of those are lost, else all.

        Python's free lists give the blocks of one site to objects of another: what is lost is then mixed with others.
        """
        types = self._objects.types[old]
        lost = np.array([self._reached.lost[old[types == kind]].sum() for kind in distinct(types)], np.intp)
        if not len(lost):
            return old
        worst = old[types == distinct(types)[np.argmax(lost)]]
        return worst if lost.max() >= max(FEWEST_SURVIVORS, MOST * len(worst)) else old


def _pace(born: NDArray[np.uint64]) -> float | None:
    """Return how many blocks are born a cycle, from the first birth to the last; None where few cycles tell."""
    cycles, counts = np.unique(born[born > 0].astype(np.int64), return_counts=True)
    if len(cycles) < _FEWEST_BIRTHS:
        return None
    return float(counts[1:].sum() / (cycles[-1] - cycles[0]))
