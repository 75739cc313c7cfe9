"""Who holds the blocks in question: the blocks, static variables and stacks that point to them, level by level."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from soak.attribution.holders import (
    MOST,
    Holder,
)
from soak.attribution.pointers.reachability import (
    HEAD_WORDS,
    Objects,
    Reached,
)
from soak.inside.clock import TimeLimit
from soak.native.layout import PYTHON_OBJ
from soak.probes.ledgers.shadow import Blocks
from soak.probes.memory import Range
from soak.running.scanning.scan.seen_memory import SeenMemory, TooLongError

_LEVELS = 7
"""Holders are asked for up to this many blocks above the one in question."""
_CLIMB_WITHIN_S, _CLIMB_SHARE = 0.15, 0.5
"""Each level up takes another look through all memory: where that takes long (CPU time), also as a share of the scan
before, only static data follows."""
_OWN_STEPS, _MOST_NODES = 2, 1024
"""Steps to a block of another site; and nodes of a linked list that are read for its first one."""


def usual_word(words: NDArray[np.uint64], weights: NDArray[np.float64], starts: Sequence[int]) -> int:
    """Return the word that weighs most, in the mapping whose words weigh most together.

    A table has a word for each block. One that was left behind somewhere else weighs as much as each of these, and is
    no holder. A stack weighs less: what stands there comes and goes. ``starts``: of the mappings, by address.
    """
    mappings = np.searchsorted(np.array(starts, np.uint64), words, side="right")
    here = mappings == np.argmax(np.bincount(mappings, weights))
    return int(words[here][np.argmax(weights[here])])


@dataclass(frozen=True)
class Targets:
    """The blocks in question."""

    blocks: Blocks
    sites: NDArray[np.uint32]
    """The suspect each block belongs to; a stack counts for the site that it splits."""
    is_old: NDArray[np.bool_]


def _up_to_first(block: int, before: Mapping[int, set[int]]) -> list[int]:
    """Return a block and those before it, up to the first; itself alone where two are before one, or it is a ring."""
    nodes = [block]
    while leading := before.get(nodes[-1], set()):
        if len(leading) > 1 or leading <= set(nodes):
            return [block]
        nodes += leading
    return nodes


def before_own(targets: Targets, reached: Reached, site: int, blocks: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the block of another site that leads to each block of a site; -1 if there is none.

    A list's items are in a block of their own, from the same site as the list.
    """
    before = reached.before[blocks]
    for _ in range(_OWN_STEPS):
        own = (before >= 0) & (targets.sites[before] == site)
        before = np.where(own, reached.before[before], before)
    return np.where((before >= 0) & (targets.sites[before] == site), -1, before)


class HolderSearch:
    """Finds what points to the blocks in question, what points to that, and so on up to a root."""

    def __init__(self, seen: SeenMemory, targets: Targets, objects: Objects, reached: Reached) -> None:
        """Search for the holders of these blocks. ``objects``: what is in them. ``reached``: how they are reached."""
        self._seen, self._targets, self._objects, self._reached = seen, targets, objects, reached

    def find(self, suspects: NDArray[np.uint32], begun_s: float) -> dict[int, tuple[Holder, ...]]:
        """Return what points to most of each site's held blocks, what points to that, and so on up to a root.

        ``begun_s``: when the scan began, in CPU time of this thread.
        """
        found: dict[int, list[Holder]] = {}
        words: dict[int, NDArray[np.uint64]] = {}
        for site in suspects.tolist():
            held = np.flatnonzero((self._targets.sites == site) & self._reached.reached)
            if len(held):
                found[site], words[site] = self._direct_holder(site, held), self._reached.roots[held]
        taken_s = time.thread_time() - begun_s
        limit = TimeLimit(max(_CLIMB_WITHIN_S - taken_s, _CLIMB_SHARE * taken_s))
        for level in range(_LEVELS + 1):
            steps = {site: self._step_up(found[site], here, of_each=not level) for site, here in words.items()}
            blocks = sorted({block for block in steps.values() if block is not None})
            if not blocks:
                break
            is_last = level == _LEVELS or limit.is_over()
            try:
                pointers = self._pointers_to(blocks, self._seen.static_ranges() if is_last else None)
            except TooLongError:
                break  # what is lost and what is held is known without it
            words = {site: pointers[block] for site, block in steps.items() if block is not None and block in pointers}
            if is_last:
                for site, here in words.items():
                    self._step_up(found[site], here)
                break
        return {site: tuple(holders) for site, holders in found.items()}

    def _pointers_to(self, blocks: list[int], ranges: Sequence[Range] | None) -> dict[int, NDArray[np.uint64]]:
        """Return where pointers to each of these blocks stand; of a node of a linked list to the list's first node.

        Else each node would be a level; and a pointer that was left behind leads to any node.
        """
        lists = self._lists_before(blocks)
        found = self._seen.pointers_to(np.unique([nodes[-1] for nodes in lists.values()]), ranges)
        return {block: found[nodes[-1]] for block, nodes in lists.items() if nodes[-1] in found}

    def _lists_before(self, blocks: list[int]) -> dict[int, list[int]]:
        """Return each block with the nodes of its linked list that come before it, up to the first.

        A ring has none, nor has an object of Python. The nodes of a list are of one call site and size.
        """
        seen = self._seen.blocks
        sites, sizes, domains = self._seen.site_of(seen.sites), seen.sizes, seen.domains
        kinds = {block: (int(sites[block]), int(sizes[block])) for block in blocks if domains[block] != PYTHON_OBJ}
        before = {
            (site, size): self._pointing(np.flatnonzero((sites == site) & (sizes == size)))
            for site, size in set(kinds.values())
        }
        return {block: _up_to_first(block, before.get(kinds[block], {}) if block in kinds else {}) for block in blocks}

    def _pointing(self, alike: NDArray[np.intp]) -> dict[int, set[int]]:
        """Return which blocks of some of one size point to the beginning of each other; nothing of too many."""
        if not 1 < len(alike) <= _MOST_NODES:
            return {}
        blocks = self._seen.blocks
        alike = alike[np.argsort(blocks.addresses[alike])]
        starts, words_each = blocks.addresses[alike], int(blocks.sizes[alike[0]]) // 8
        found: defaultdict[int, set[int]] = defaultdict(set)
        for node, start in zip(alike.tolist(), starts.tolist(), strict=True):
            words = self._seen.memory.read(start, words_each)
            places = np.minimum(np.searchsorted(starts, words), len(starts) - 1)
            for other in alike[places[starts[places] == words]].tolist():
                if other != node:
                    found[other].add(node)
        return found

    def _direct_holder(self, site: int, held: NDArray[np.intp]) -> list[Holder]:
        """Return the blocks in question from another site that hold most of these, if there are such."""
        before = before_own(self._targets, self._reached, site, held)
        before = before[before >= 0]
        if 2 * len(before) <= len(held):
            return []
        sites, targets = self._targets.sites[before], self._targets.blocks
        main = int(np.bincount(sites).argmax())
        block = int(before[sites == main][-1])
        kind = int(self._objects.types[block])
        start, size = int(targets.addresses[block]), int(targets.sizes[block])
        holder = self._block_holder(start, main, size, kind, start + int(self._objects.offsets[block]))
        return [replace(holder, is_alone=int((sites == main).sum()) >= MOST * len(held))]

    def _step_up(self, found: list[Holder], words: NDArray[np.uint64], *, of_each: bool = False) -> int | None:
        """Add the holder in which most of these words stand; return its block, None outside all and in a circle.

        ``of_each``: there is one word for each block that is held, else all words that lead to one block.
        """
        places = self._seen.blocks.covering(words)
        sites = np.where(places < 0, 0, self._seen.site_of(self._seen.blocks.sites[places]))
        if found and (is_other := ~self._is_link(found[-1], places)).any():
            words, places, sites = words[is_other], places[is_other], sites[is_other]
        main = int(np.bincount(sites).argmax())
        these, counts = np.unique(words[sites == main], return_counts=True)
        starts = [mapping.start for mapping in self._seen.mappings]
        word = usual_word(these, counts - 0.5 * self._seen.is_on_stack(these), starts)
        told = (places >= 0) | self._seen.is_static(words)  # else on a stack, or on one of a thread that has ended
        voting = sites[told] if of_each else sites[told][np.unique(places[told], return_index=True)[1]]
        is_alone = len(voting) == 0 or int(np.bincount(voting).max()) >= MOST * len(voting)
        if not main:
            found.append(Holder(word, None, sample=self._seen.object_around(word), is_alone=is_alone))
            return None
        block = int(places[words == word][0])
        start, size = int(self._seen.blocks.addresses[block]), int(self._seen.blocks.sizes[block])
        is_object = self._seen.blocks.domains[block] == PYTHON_OBJ
        head = self._seen.memory.read(start, min(HEAD_WORDS, size // 8))
        is_circle = any(start <= holder.address < start + size for holder in found)
        offset, kind = self._seen.object_of(head) if is_object else (0, 0)
        holder = self._block_holder(word, main, size, kind, start + offset)
        found.append(replace(holder, is_alone=is_alone, gtypes=() if is_object else self._seen.gtypes_in(block)))
        return None if is_circle else block

    def _is_link(self, below: Holder, places: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Tell which blocks are of the same linked list of C code as one: of its size. They lead to others of it."""
        is_link = (places >= 0) & (below.type is None)
        is_link[is_link] = self._seen.blocks.sizes[places[is_link]] == below.size_bytes
        return is_link

    def _block_holder(self, word: int, site: int, size_bytes: int, kind: int, object_at: int) -> Holder:
        """Return a tracked block as a holder. ``kind``: the address of its object's type, 0 for what is no object."""
        if not kind:
            return Holder(word, site, size_bytes=size_bytes)
        return Holder(word, site, self._seen.types.name(kind), (object_at, kind), size_bytes)
