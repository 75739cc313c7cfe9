"""Which blocks can still be reached: from the words of a process's memory to lost and held.

Everything outside the blocks in question is a root: data segments, stacks, and all other live blocks. A block to which
no root leads, directly or through others of these blocks, cannot be given back any more. The search is conservative,
as LeakSanitizer's: any word that looks like an address within a block counts as a pointer to it, so a block may be
taken for held by chance and is never taken for lost by chance. What it cannot see are pointers that are not stored as
such: compressed, scrambled, unaligned, in a register alone, or kept by the kernel.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from soak.attribution.pointers.distinct import distinct

Addresses = NDArray[np.uint64]
Positions = NDArray[np.intp]
Piece = tuple[int, Addresses]
"""An address, and the words ``(n,) uint64`` that stand there."""

HEAD_WORDS = 6
_CLUSTER_GAP = np.uint64(1 << 30)
_PAGE_SHIFT = np.uint64(12)
_OBJECT_OFFSETS = (0, 16, 32)
"""Where in its block a Python object may begin: at once, behind the head of gc, or behind the pre-header too."""
_HEAD_BYTES = np.uint64(16)
"""Of a Python object: its reference count and its type; the fields of its own follow."""
_GENERATOR_OFFSETS = np.array([88, 96], np.uint64)
"""Of PyFrameObject.f_gen, in CPython 3.10 and before."""
_DIGITS_WORD, _DIGIT_BITS = 3, 30
_NO_OBJECT = -1
_FEW, _MANY = 64, 1024
"""This many blocks are followed one by one, until they have become so many: numpy takes some microseconds a step."""
_IMMORTAL, _LARGEST_COUNT = 1 << 30, np.uint64((1 << 32) - 1)


@dataclass(frozen=True)
class Pointers:
    """Every word that points into one of the blocks; arrays ``(n,)``."""

    sources: Addresses
    """Where the word stands."""
    targets: Positions
    """Position of the block it points into."""
    offsets: Addresses
    """Bytes from the block's first."""
    words_before: Addresses
    """The word before each: the type, where the pointer is the first field of a Python object."""
    words_after: Addresses
    """The word after each: the key, where the word is not a pointer but a hash in a dict's table."""

    def take(self, chosen: NDArray[np.bool_]) -> Pointers:
        """Return the pointers for which ``chosen`` is true."""
        return Pointers(*(getattr(self, column.name)[chosen] for column in fields(self)))


@dataclass(frozen=True)
class Objects:
    """What is known of the Python objects in the blocks; arrays ``(blocks,)``."""

    offsets: NDArray[np.int64]
    """Where in its block the object begins; -1 for a block that holds none."""
    types: Addresses
    """Address of the type; 0 where there is no object."""
    references: NDArray[np.int64]
    """The reference count; 0 where there is no object, and for objects that are never given back."""


class PointerSearch:
    """Looks for pointers into blocks, piece by piece, and keeps the blocks' own first words."""

    def __init__(self, addresses: Addresses, sizes: Addresses) -> None:
        """Look for pointers into the blocks at ``addresses``, ascending, ``(n,)``; of ``sizes`` bytes."""
        self._starts = addresses
        self._ends = addresses + np.maximum(sizes, np.uint64(1))
        self.heads = np.zeros((len(addresses), HEAD_WORDS), np.uint64)
        self._found: list[tuple[Addresses, Positions, Addresses, Addresses, Addresses]] = []
        self._clusters = [self._cluster(part) for part in self._parts()] if len(addresses) else []

    def take(self, piece: Piece) -> None:
        """Look through one piece."""
        address, words = piece
        self._take_heads(address, words)
        for low, span, pages, first, last in self._clusters:
            distances = words - low  # wraps below
            hits = np.flatnonzero(distances < span)
            if len(hits):
                hits = hits[pages[distances[hits] >> _PAGE_SHIFT]]
            if not len(hits):
                continue
            values = words[hits]
            targets = np.searchsorted(self._starts[first:last], values, "right") - 1 + first
            inside = (targets >= first) & (values < self._ends[targets])
            hits, targets = hits[inside], targets[inside]
            self._found.append(
                (
                    np.uint64(address) + (hits.astype(np.uint64) << np.uint64(3)),
                    targets,
                    values[inside] - self._starts[targets],
                    np.where(hits > 0, words[hits - 1], np.uint64(0)),
                    np.where(hits + 1 < len(words), words[np.minimum(hits + 1, len(words) - 1)], np.uint64(0)),
                )
            )

    def pointers(self) -> Pointers:
        """Return what was found so far."""
        if not self._found:
            nothing = np.zeros(0, np.uint64)
            return Pointers(nothing, np.zeros(0, np.intp), nothing, nothing, nothing)
        return Pointers(*(np.concatenate(column) for column in zip(*self._found, strict=True)))

    def _parts(self) -> list[tuple[int, int]]:
        """Split the blocks where more than a gibibyte lies between: the heap is far from what mmap gives."""
        breaks = np.flatnonzero(np.diff(self._starts) > _CLUSTER_GAP) + 1
        edges = [0, *breaks.tolist(), len(self._starts)]
        return list(itertools.pairwise(edges))

    def _cluster(self, part: tuple[int, int]) -> tuple[np.uint64, np.uint64, NDArray[np.bool_], int, int]:
        first, last = part
        low = self._starts[first] >> _PAGE_SHIFT << _PAGE_SHIFT
        span = self._ends[first:last].max() - low
        pages = np.zeros(int(span >> _PAGE_SHIFT) + 2, np.int32)
        # +1 where a block begins, -1 behind its last page: the running sum tells which pages hold part of one.
        np.add.at(pages, ((self._starts[first:last] - low) >> _PAGE_SHIFT).astype(np.intp), 1)
        np.add.at(pages, ((self._ends[first:last] - np.uint64(1) - low) >> _PAGE_SHIFT).astype(np.intp) + 1, -1)
        return low, span, np.cumsum(pages) > 0, first, last

    def _take_heads(self, address: int, words: Addresses) -> None:
        end = np.uint64(address + 8 * len(words))
        first, last = np.searchsorted(self._starts, np.array([address, end], np.uint64))
        places = ((self._starts[first:last] - np.uint64(address)) >> np.uint64(3)).astype(np.intp)
        for number in range(HEAD_WORDS):
            # A block of 16 bytes has two words; those of its neighbour are not its own.
            own = (places + number < len(words)) & (
                self._ends[first:last] - self._starts[first:last] >= np.uint64(8 * number + 8)
            )
            self.heads[first:last, number][own] = words[places[own] + number]


def find_objects(heads: Addresses, find_types: Callable[[Addresses], NDArray[np.bool_]]) -> Objects:
    """Tell which blocks hold a Python object, by the word where its type would stand and a count before it.

    ``heads``: the first words of each block ``(n, HEAD_WORDS)``, zeros for blocks that cannot hold one: what malloc
    gives still contains what was there before, and that may have been an object. ``find_types(candidates)`` tells which
    of some distinct addresses are types.
    """
    counts_in = {offset: heads[:, offset // 8] for offset in _OBJECT_OFFSETS}
    is_count = {offset: (count > 0) & (count <= _LARGEST_COUNT) for offset, count in counts_in.items()}
    candidates = distinct(np.concatenate([heads[is_count[at], at // 8 + 1] for at in _OBJECT_OFFSETS]))
    types = candidates[find_types(candidates)] if len(candidates) else candidates
    found = np.full(len(heads), _NO_OBJECT, np.int64)
    kinds = np.zeros(len(heads), np.uint64)
    counts = np.zeros(len(heads), np.int64)
    for offset in _OBJECT_OFFSETS:
        kind = heads[:, offset // 8 + 1]
        here = (found == _NO_OBJECT) & is_count[offset] & np.isin(kind, types)
        found[here], kinds[here] = offset, kind[here]
        counts[here] = counts_in[offset][here].astype(np.int64)
    counts[counts >= _IMMORTAL] = 0
    return Objects(found, kinds, counts)


def without_gc_links(pointers: Pointers, objects: Objects) -> Pointers:
    """Return the pointers without those into the head that gc puts before an object.

    Only gc's own list points there: each object's neighbours in it would be taken for its holders.
    """
    return pointers.take(pointers.offsets.astype(np.int64) >= objects.offsets[pointers.targets])


def is_good_witness(pointers: Pointers, objects: Objects) -> NDArray[np.bool_]:
    """Tell which pointers are the best witnesses of their blocks; ``(pointers,)``.

    Those to the beginning of a block, or of the object in it, and those to a place to which several lead: an object of
    GLib stands behind its private data. All of a block that has none of these.
    """
    is_good = (pointers.offsets == 0) | (pointers.offsets.astype(np.int64) == objects.offsets[pointers.targets])
    places = np.stack([pointers.targets.astype(np.uint64), pointers.offsets], axis=1)
    _, numbers, counts = np.unique(places, axis=0, return_inverse=True, return_counts=True)
    is_good |= counts[numbers.reshape(-1)] > 1
    found: NDArray[np.bool_] = is_good | ~np.isin(pointers.targets, pointers.targets[is_good])
    return found


def is_weak(
    pointers: Pointers, starts: Addresses, find_weak_types: Callable[[Addresses], NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    """Tell which pointers are those of weak references, which keep nothing alive; ``(pointers,)``.

    Each class has its subclasses in weak references; without this a lost class would always be held. ``starts``: where
    the block begins in which each pointer stands. ``find_weak_types(candidates)`` tells which of some distinct
    addresses are types of weak references. PyWeakReference.wr_object follows the head of the object
    (Include/cpython/weakrefobject.h).
    """
    is_first_field = np.isin(pointers.sources - starts, np.array(_OBJECT_OFFSETS, np.uint64) + _HEAD_BYTES)
    candidates = distinct(pointers.words_before[is_first_field])
    types = candidates[find_weak_types(candidates)] if len(candidates) else candidates
    found: NDArray[np.bool_] = is_first_field & np.isin(pointers.words_before, types)
    return found


def is_of_frame_to_generator(pointers: Pointers, objects: Objects, heads: Addresses) -> NDArray[np.bool_]:
    """Tell which pointers to generators go back from their frames, without a reference; ``(pointers,)``.

    Up to CPython 3.10 the frame is an object of its own: the generator's first field, gi_frame, points to it, and its
    f_gen, which points back, is borrowed (Include/cpython/frameobject.h). All ``pointers`` lead to a generator or
    coroutine. ``heads``: the first words of all blocks, ``(blocks, HEAD_WORDS)``.
    """
    fields = (objects.offsets[pointers.targets] + int(_HEAD_BYTES)) // 8
    frames = heads[pointers.targets, np.minimum(fields, HEAD_WORDS - 1)]
    return np.isin(pointers.sources - frames, _GENERATOR_OFFSETS)


def may_be_hash(pointers: Pointers, objects: Objects) -> NDArray[np.bool_]:
    """Tell which words lead to the beginning of an object and stand before a pointer to something; ``(pointers,)``."""
    found: NDArray[np.bool_] = (pointers.words_after != 0) & (
        pointers.offsets.astype(np.int64) == objects.offsets[pointers.targets]
    )
    return found


def values_of_ints(words: Addresses) -> Addresses:
    """Return the values of Python ints below 2 to the 60th, ``(n,)``; ``words``: the first four of each, ``(n, 4)``.

    An int has digits of 30 bits from its fourth word on (Include/cpython/longintrepr.h).
    """
    digits = words[:, _DIGITS_WORD]
    return (digits & np.uint64(0xFFFFFFFF)) | (digits >> np.uint64(32) << np.uint64(_DIGIT_BITS))


@dataclass(frozen=True)
class Reached:
    """What the search says of each block; arrays ``(blocks,)``."""

    reached: NDArray[np.bool_]
    """A root leads to it."""
    lost: NDArray[np.bool_]
    """Nothing can give it back any more. What is neither is garbage that a collection of cycles may still find."""
    roots: Addresses
    """Address of the word outside the blocks that leads to it; 0 for blocks that are not reached."""
    before: Positions
    """The block that leads to it, -1 for one that a root points to; of an unreached block any that points to it."""
    deficits: NDArray[np.int64]
    """Reference counts above all pointers to the object, wherever they stand; never below 0."""


class _Edges:
    """Which block points to which."""

    def __init__(self, sources: Positions, targets: Positions, count: int) -> None:
        order = np.argsort(sources, kind="stable")
        self.sources, self.targets = sources[order], targets[order]
        blocks = np.arange(count)
        self._firsts = np.searchsorted(self.sources, blocks)
        self._counts = np.searchsorted(self.sources, blocks, "right") - self._firsts

    def follow(self, reached: NDArray[np.bool_], arrive: Callable[[Positions, Positions], None]) -> None:
        """Set all that is reached from what is, calling ``arrive(blocks, from)`` for those of each step.

        A block may be given more than once, with each block of the step before that leads to it.
        """
        newest = np.flatnonzero(reached)
        while len(newest):
            if len(newest) < _FEW:
                newest = self._follow_chains(newest, reached, arrive)
                continue
            counts = self._counts[newest]
            ends = np.cumsum(counts)
            edges = np.arange(ends[-1]) + np.repeat(self._firsts[newest] - ends + counts, counts)
            edges = edges[~reached[self.targets[edges]]]
            arrive(self.targets[edges], self.sources[edges])
            newest = distinct(self.targets[edges])
            reached[newest] = True

    def _follow_chains(
        self, newest: Positions, reached: NDArray[np.bool_], arrive: Callable[[Positions, Positions], None]
    ) -> Positions:
        """Do the same for a few blocks one by one: a list of a million blocks takes a million steps.

        It ends, and returns the blocks that wait to be followed, when these are many.
        """
        waiting, blocks, sources = newest.tolist(), [], []
        while waiting and len(waiting) < _MANY:
            block = waiting.pop()
            first, count = self._firsts[block], self._counts[block]
            for target in self.targets[first : first + count].tolist() if count else ():
                if not reached[target]:
                    reached[target] = True
                    blocks.append(target)
                    sources.append(block)
                    waiting.append(target)
        arrive(np.array(blocks, np.intp), np.array(sources, np.intp))
        return np.array(waiting, np.intp)


def reach(
    pointers: Pointers,
    sources_in: Positions,
    objects: Objects,
    is_static: NDArray[np.bool_] | None = None,
    *,
    is_collected: bool = False,
) -> Reached:
    """Tell which blocks the roots lead to. ``sources_in``: the block each pointer stands in, -1 for outside.

    ``is_static``: which pointers stand in static variables. Those are the roots that are told, before words that may
    only have been left somewhere. ``is_collected``: gc has just looked at all objects. What no root leads to it can
    then not give back, though its objects hold only each other: part of the way is in memory of C code.
    """
    count = len(objects.offsets)
    roots = np.zeros(count, np.uint64)
    before = np.full(count, -1, np.intp)
    outside = sources_in < 0
    offsets = pointers.offsets.astype(np.int64)
    exact = offsets == objects.offsets[pointers.targets]
    # A pointer to the beginning is a better witness than one into the middle, which may be malloc's to free neighbours.
    to_beginning = outside & (exact | (offsets == 0))
    from_static = outside & is_static if is_static is not None else np.zeros_like(outside)
    for chosen in (outside, to_beginning, from_static & to_beginning):
        roots[pointers.targets[chosen]] = pointers.sources[chosen]
    inner = ~outside & (sources_in != pointers.targets)
    edges = _Edges(sources_in[inner], pointers.targets[inner], count)
    reached = np.zeros(count, np.bool_)
    reached[pointers.targets[from_static]] = True

    def arrive(targets: Positions, blocks: Positions) -> None:
        before[targets] = blocks

    edges.follow(reached, arrive)
    reached |= roots != 0
    edges.follow(reached, arrive)
    roots = np.where(reached, roots[_beginnings(before)], np.uint64(0))
    unreached_targets = ~reached[edges.targets]
    before[edges.targets[unreached_targets]] = edges.sources[unreached_targets]
    pointed = np.bincount(pointers.targets[exact], minlength=count)
    deficits = np.where(objects.references > 0, np.maximum(objects.references - pointed, 0), 0)
    lost = ~reached if is_collected else ~reached & ~_garbage(reached, before, deficits, objects, edges)
    return Reached(reached, lost, roots, before, deficits)


def _beginnings(before: Positions) -> Positions:
    """Return the block with which the way to each begins; ``before``: the one before it on that way, -1 for none."""
    found = np.where(before >= 0, before, np.arange(len(before)))
    while not np.array_equal(further := found[found], found):
        found = further
    return found


def _garbage(
    reached: NDArray[np.bool_], before: Positions, deficits: NDArray[np.int64], objects: Objects, edges: _Edges
) -> NDArray[np.bool_]:
    """Tell what a collection of cycles could give back: objects all of whose references are among the unreached."""
    is_object = objects.offsets != _NO_OBJECT
    lost = ~reached & np.where(is_object, deficits > 0, before < 0)
    edges.follow(lost, lambda _target, _block: None)
    garbage = ~reached & is_object & ~lost
    edges.follow(garbage, lambda _target, _block: None)
    found: NDArray[np.bool_] = garbage & ~(lost | reached)
    return found


def search(addresses: Addresses, sizes: Addresses, pieces: Iterable[Piece]) -> PointerSearch:
    """Look through all pieces for pointers into the blocks."""
    found = PointerSearch(addresses, sizes)
    for piece in pieces:
        found.take(piece)
    return found
