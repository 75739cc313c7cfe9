"""Sums over the slots of the tracker's tables, each a block: brought up to date by the slots that have changed.

Between two counts few of a program's blocks change, but they lie everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from soak.native.layout import (
    BIG_BIT,
    DOMAIN_MASK,
    DOMAIN_SHIFT,
    DOMAINS,
    EPOCH_SHIFT,
    ROW,
    SITE_MASK,
    SIZE_LIMIT,
    SIZE_SHIFT,
)
from soak.native.ledger import buckets_of
from soak.probes.ledgers.live_sums import LiveSums, Part

_SITE_WORD = np.uint64(SITE_MASK)
_DOMAIN_SHIFT, _EPOCH_SHIFT = np.uint64(DOMAIN_SHIFT), np.uint64(EPOCH_SHIFT)
_SIZE_SHIFT, _SIZE_WORD, _BIG_BIT = np.uint64(SIZE_SHIFT), np.uint64(SIZE_LIMIT - 1), np.uint64(BIG_BIT)
_MOST_KEPT_WORDS = 1 << 23
"""At most this many slots of a process are kept to be compared: 64 MiB."""


class Births(NamedTuple):
    """How the cycle of a block's birth follows from the epoch in its slot."""

    shift: int
    """An epoch stands for this many cycles, as a power of two."""
    born_with_it: int
    """What was born up to this cycle is from before the first one."""
    cycles_from: int
    """The cycle that counts as 0."""

    def buckets(self, cycles: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the bucket of each birth, ``(n,)``. ``cycles``: as the tracker counts them."""
        births = np.where(cycles <= self.born_with_it, 0, np.maximum(cycles - self.cycles_from, 0))
        births[births > 0] = buckets_of(births[births > 0])
        return births


class _Piece(NamedTuple):
    """A piece of the slots as it was read last."""

    words: NDArray[np.uint64] | None
    """None if they are not kept, and so are taken to have changed."""
    part: Part | None
    """What it adds to the sums, where its words are not kept."""


class SlotSums:
    """Live blocks and bytes of one process by site, domain and bucket of birth."""

    def __init__(self, word_at: Callable[[int], int]) -> None:
        """Begin with no slots. ``word_at``: returns a word of the process's memory."""
        self._word_at = word_at
        self._pieces: dict[int, _Piece] = {}
        self._sums = LiveSums()
        self._births = Births(0, 0, 0)

    def rows(self) -> NDArray[np.void]:
        """Return one row for each combination of site, domain and bucket that has live blocks."""
        return self._sums.rows()

    def update(self, pieces: Iterable[tuple[int, NDArray[np.uint64]]], births: Births) -> None:
        """Take in all slots as they are now. ``pieces``: addresses and words."""
        if births != self._births:
            self._pieces, self._sums, self._births = {}, LiveSums(), births
        before, self._pieces = self._pieces, {}
        kept_words = 0
        for address, words in pieces:
            kept_words += len(words)
            # The size of a block at the very end is in the next piece, so this one does not tell whether it changed.
            is_kept = kept_words <= _MOST_KEPT_WORDS and not int(words[-1]) & BIG_BIT
            self._pieces[address] = self._replaced(before.pop(address, None), address, words, is_kept=is_kept)
        for address, gone in before.items():
            self._remove(gone, address)

    def _replaced(self, known: _Piece | None, address: int, words: NDArray[np.uint64], *, is_kept: bool) -> _Piece:
        if is_kept and known is not None and known.words is not None and len(known.words) == len(words):
            self._change(known.words, words, address)
            return _Piece(words, None)
        if known is not None:
            self._remove(known, address)
        part = self._sums.add(self._rows_in(address, words))
        return _Piece(words, None) if is_kept else _Piece(None, part)

    def _change(self, before: NDArray[np.uint64], now: NDArray[np.uint64], address: int) -> None:
        changed = np.flatnonzero(before != now)
        if not len(changed):
            return
        # The slot before one that changed may be that of a large block, whose size follows it.
        chosen = np.union1d(changed, np.maximum(changed - 1, 0))
        self._sums.remove(self._rows_in(address, before, chosen))
        self._sums.add(self._rows_in(address, now, chosen))

    def _remove(self, piece: _Piece, address: int) -> None:
        if piece.part is not None:
            self._sums.take_away(piece.part)
        elif piece.words is not None:
            self._sums.remove(self._rows_in(address, piece.words))

    def _rows_in(
        self, address: int, words: NDArray[np.uint64], chosen: NDArray[np.intp] | None = None
    ) -> NDArray[np.void]:
        """Return the live blocks and bytes of a piece, or of its ``chosen`` slots."""
        chosen = np.flatnonzero(words & _SITE_WORD) if chosen is None else chosen
        slots, sizes = blocks_in(address, words, chosen, self._word_at)
        buckets = self._births.buckets((slots >> _EPOCH_SHIFT << np.uint64(self._births.shift)).view(np.int64))
        numbers = (slots & _SITE_WORD).view(np.int64)
        known = numbers > 0  # a few slots belong to no block
        domains = (slots >> _DOMAIN_SHIFT & np.uint64(DOMAIN_MASK)).view(np.int64)
        return summed(numbers[known], domains[known], buckets[known], sizes[known])


def blocks_in(
    address: int, words: NDArray[np.uint64], chosen: NDArray[np.intp], word_at: Callable[[int], int]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the slots of blocks at some positions of a piece, and the bytes of each.

    ``address``: of the piece. ``word_at``: returns a word of the process's memory.
    """
    used = chosen[words[chosen] > 0]
    slots = words[used]
    sizes = slots >> _SIZE_SHIFT & _SIZE_WORD
    for big in np.flatnonzero(slots & _BIG_BIT).tolist():
        # A block of 256 KiB or more has its size in the next slot, which may be in another leaf.
        behind = int(used[big]) + 1
        word = int(words[behind]) if behind < len(words) else word_at(address + 8 * behind)
        sizes[big] = max(word >> SIZE_SHIFT, SIZE_LIMIT)
    return slots, sizes


def summed(
    sites_of: NDArray[np.int64], domains: NDArray[np.int64], buckets: NDArray[np.int64], sizes: NDArray[np.uint64]
) -> NDArray[np.void]:
    """Return one row for each combination of site, domain and bucket."""
    sites = int(sites_of.max(initial=0)) + 1
    keys = (buckets * len(DOMAINS) + domains) * sites + sites_of
    # Most blocks are of the first bucket, from before the first cycle. To sort them all would take ten times as long.
    is_first = buckets == 0
    dense, first_sizes = keys[is_first], sizes[is_first]
    counted, summed = np.bincount(dense), np.bincount(dense, first_sizes)
    used = np.flatnonzero(counted)
    later, of_each = np.unique(keys[~is_first], return_inverse=True)
    found = np.append(used, later)
    rows = np.zeros(len(found), ROW)
    rows["site"] = found % sites
    rows["domain"] = found // sites % len(DOMAINS)
    rows["bucket"] = found // sites // len(DOMAINS)
    rows["live_blocks"] = np.append(counted[used], np.bincount(of_each, minlength=len(later)))
    rows["live_bytes"] = np.append(summed[used], np.bincount(of_each, sizes[~is_first], minlength=len(later)))
    return rows
