"""Read what survives of some past cycles, with all that points to it: among these blocks their owners are found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from soak.attribution.pointers.distinct import distinct
from soak.attribution.pointers.owners import MaybeGObject, Survivors
from soak.attribution.pointers.reachability import Objects, Piece, Pointers, PointerSearch, search
from soak.native.layout import PYTHON_OBJ
from soak.native.ledger import Checkpoint
from soak.probes.gobjects import GObjects, has_glib
from soak.probes.ledgers.live_blocks import LiveBlocks
from soak.probes.ledgers.shadow import Blocks
from soak.probes.mappings import Mapping
from soak.probes.memory import ProcessMemory
from soak.probes.python_types import PythonTypes

_RECENT = 8
"""Blocks of the last 1/8 of the cycles may still be on their way."""
_MOST_SURVIVORS = 10_000
_MOST_PLACES = 6
"""In a block, at which an object may begin."""


class Scan(Protocol):
    """What a scan of the memory of a process that is held still gives (soak.running.scanning.scan.memory_scan)."""

    memory: ProcessMemory
    checkpoint: Checkpoint
    mappings: list[Mapping]
    types: PythonTypes

    @property
    def blocks(self) -> Blocks | LiveBlocks:
        """The live blocks."""

    def pieces(self) -> Iterable[Piece]:
        """Give the memory in which a program may keep pointers."""

    def objects_in(self, blocks: Blocks, found: PointerSearch) -> Objects:
        """Tell which blocks are Python objects."""

    def counted(self, found: PointerSearch, blocks: Blocks, objects: Objects) -> Pointers:
        """Return the pointers that may keep a block alive."""

    def site_of(self, sites: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the sites with each stack in the place of the site that it splits."""


def find_survivors(scan: Scan) -> Survivors | None:
    """Return blocks of past cycles that are alive, with all pointers to them; None if one cycle leaves too many."""
    born = scan.blocks.born_in_cycles()
    chosen = _of_some_cycles(born, scan.checkpoint.cycle)
    if not len(chosen):
        return None
    blocks = born.take(chosen)
    found = search(blocks.addresses, blocks.sizes, scan.pieces())
    objects = scan.objects_in(blocks, found)
    pointers = scan.counted(found, blocks, objects)
    sources, targets = blocks.covering(pointers.sources), pointers.targets
    is_root = np.zeros(len(blocks), np.bool_)
    is_root[targets[sources < 0]] = True
    inner = (sources >= 0) & (sources != targets)
    names = {kind: scan.types.name(int(kind)) if kind else "" for kind in distinct(objects.types).tolist()}
    return Survivors(
        sources[inner],
        targets[inner],
        is_root,
        scan.site_of(blocks.sites).tolist(),
        blocks.sites.tolist(),
        blocks.sizes.tolist(),
        [names[kind] for kind in objects.types.tolist()],
        _last_old_cycle(scan.checkpoint.cycle) - int(blocks.cycles.min()) + 1,
        tuple(_gobjects_in(blocks, pointers, GObjects(scan.memory))) if has_glib(scan.mappings) else (),
    )


def _of_some_cycles(blocks: Blocks, cycle: int) -> NDArray[np.intp]:
    """Return the youngest of the old blocks, of whole cycles of birth: positions, in the order of addresses."""
    old = np.flatnonzero((blocks.cycles > 0) & (blocks.cycles <= _last_old_cycle(cycle)))
    born, counts = np.unique(blocks.cycles[old], return_counts=True)
    fit = int((np.cumsum(counts[::-1]) <= _MOST_SURVIVORS).sum())
    return old[np.isin(blocks.cycles[old], born[len(born) - fit :])]


def _last_old_cycle(cycle: int) -> int:
    return cycle - max(1, cycle // _RECENT)


def _gobjects_in(blocks: Blocks, pointers: Pointers, objects: GObjects) -> Iterator[MaybeGObject]:
    """Give what may be objects of GLib, of each block the likeliest first."""
    places, counts = np.unique(blocks.addresses[pointers.targets] + pointers.offsets, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    covering = blocks.covering(places)
    by_block: dict[int, list[int]] = {}
    for place, block in zip(places[order].tolist(), covering[order].tolist(), strict=True):
        if blocks.domains[block] != PYTHON_OBJ:
            by_block.setdefault(block, []).append(place)
    for block, addresses in by_block.items():
        yield from (MaybeGObject(block, *told) for told in objects.candidates(addresses[:_MOST_PLACES]))
