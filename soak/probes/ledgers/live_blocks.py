"""Live blocks of a stopped process; only those that are needed are read.

The tables take a quarter of the heap, and of most of them nothing is of interest: the leaves that the tracker has
counted say which call sites have blocks there, and a pointer stands in one leaf.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from soak.native.layout import COUNTED_ROWS, EPOCH_SHIFT, SITE_MASK
from soak.native.ledger import Checkpoint
from soak.probes.ledgers.packed import read_counted, read_slots
from soak.probes.ledgers.shadow import Blocks, blocks_at, blocks_of_leaf, concatenated, read_leaves
from soak.probes.memory import ProcessMemory

_NO_BLOCK = Blocks(
    np.zeros(1, np.uint64),
    np.zeros(1, np.uint64),
    np.zeros(1, np.uint64),
    np.zeros(1, np.uint32),
    np.zeros(1, np.uint8),
)
"""What a position of -1 may be looked up in before any block is read."""


class LiveBlocks:
    """The blocks of one process, at one checkpoint.

    The blocks that `covering` has found so far are kept, each at its position, with their columns (see `Blocks`).
    """

    def __init__(self, memory: ProcessMemory, checkpoint: Checkpoint) -> None:
        """Read the list of leaves. ``checkpoint``: the latest of the ledger. Raises ShadowError."""
        self._memory, self._shift = memory, checkpoint.shift
        self._leaves = read_leaves(memory, checkpoint)
        self._counted = read_counted(memory, self._leaves)
        self._read: list[Blocks] = [_NO_BLOCK]
        self._all, self._count = _NO_BLOCK, 1
        self._tables = [
            _Table(self._leaves["base"], np.flatnonzero(self._leaves["grain_bits"] == grain_bits), self._read_leaf)
            for grain_bits in sorted(set(self._leaves["grain_bits"].tolist()))  # np.unique would import numpy.ma
        ]

    @property
    def addresses(self) -> NDArray[np.uint64]:
        """Where each block begins, ``(n,)``; of what `covering` has read, as the other columns."""
        return self._together().addresses

    @property
    def sizes(self) -> NDArray[np.uint64]:
        """Requested bytes, ``(n,)``."""
        return self._together().sizes

    @property
    def sites(self) -> NDArray[np.uint32]:
        """The call sites, ``(n,)``."""
        return self._together().sites

    @property
    def domains(self) -> NDArray[np.uint8]:
        """The domains, ``(n,)``."""
        return self._together().domains

    def take(self, positions: NDArray[np.intp]) -> Blocks:
        """Return the blocks at these positions, in this order."""
        return self._together().take(positions)

    def covering(self, addresses: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Return, for each address, the position of the block that contains it; -1 when none does."""
        found = np.full(len(addresses), -1, np.intp)
        for table in self._tables:
            np.maximum(found, table.covering(addresses), out=found)
        return found

    def of_sites(self, is_wanted: NDArray[np.bool_], *, of_cycles: bool = False) -> Blocks:
        """Return the blocks of some call sites, by address.

        ``is_wanted``: by number of the site; the last value counts for all higher numbers.
        ``of_cycles``: without those from before the first cycle. Also without those that another thread has allocated
        since the checkpoint in a leaf that nobody had touched before.
        """
        is_wanted = is_wanted & (np.arange(len(is_wanted)) > 0)  # a slot without a site is no block
        last = len(is_wanted) - 1
        mask_of_rows, mask_of_slots, shift = np.uint32(SITE_MASK), np.uint64(SITE_MASK), np.uint64(EPOCH_SHIFT)
        fewest = int(of_cycles)
        return self._find(
            lambda rows: (
                is_wanted[np.minimum(rows["site_and_domain"] & mask_of_rows, last)] & (rows["bucket"] >= fewest)
            ),
            lambda slots: is_wanted[np.minimum(slots & mask_of_slots, last).view(np.intp)] & (slots >> shift >= fewest),
        )

    def born_in_cycles(self) -> Blocks:
        """Return the blocks that are not from before the first cycle, by address."""
        shift, mask = np.uint64(EPOCH_SHIFT), np.uint64(SITE_MASK)
        return self._find(lambda rows: rows["bucket"] > 0, lambda slots: (slots >> shift > 0) & (slots & mask > 0))

    def _find(
        self,
        of_rows: Callable[[NDArray[np.void]], NDArray[np.bool_]],
        of_slots: Callable[[NDArray[np.uint64]], NDArray[np.bool_]],
    ) -> Blocks:
        is_row = np.arange(COUNTED_ROWS) < self._counted["count"][:, None]
        has_some = (is_row & of_rows(self._counted["rows"])).any(axis=1) | (self._counted["is_known"] == 0)
        parts = [_NO_BLOCK.take(np.zeros(0, np.intp))]
        for number in np.flatnonzero(has_some).tolist():
            slots, base, grain_bits = self._slots(number)
            chosen = np.flatnonzero(of_slots(slots))
            if len(chosen):
                parts.append(blocks_at(chosen, slots, base, grain_bits, self._shift))
        found = concatenated(parts)
        return found.take(np.argsort(found.addresses, kind="stable"))

    def _slots(self, number: int) -> tuple[NDArray[np.uint64], int, int]:
        """Return the words of a leaf, its first address and its bits of an address for one word."""
        slots_at, base, grain_bits, _ = self._leaves[number].tolist()
        return read_slots(self._memory, slots_at, int(self._counted[number]["packed"])), base, grain_bits

    def _read_leaf(self, number: int) -> tuple[int, Blocks]:
        """Read all blocks of a leaf; return the position of the first, and the blocks."""
        found = blocks_of_leaf(*self._slots(number), self._shift)
        self._read.append(found)
        self._count += len(found)
        return self._count - len(found), found

    def _together(self) -> Blocks:
        if len(self._read) > 1:
            self._all = concatenated([self._all, *self._read[1:]])
            del self._read[1:]
        return self._all


class _Table:
    """The leaves of one of the two tables."""

    def __init__(
        self, bases: NDArray[np.uint64], numbers: NDArray[np.intp], read: Callable[[int], tuple[int, Blocks]]
    ) -> None:
        self._numbers, self._read_leaf = numbers, read
        self._bases = bases[numbers]
        self._read: dict[int, tuple[int, Blocks]] = {}

    def covering(self, addresses: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Return, for each address, the position of this table's block that contains it; -1 when none does."""
        found = np.full(len(addresses), -1, np.intp)
        leaves = np.searchsorted(self._bases, addresses, "right") - 1
        order = np.argsort(leaves, kind="stable")
        edges = np.flatnonzero(np.diff(leaves[order])) + 1
        for chosen in np.split(order, edges):
            if len(chosen) and leaves[chosen[0]] >= 0:
                found[chosen] = self._covering_in(int(leaves[chosen[0]]), addresses[chosen])
        return found

    def _covering_in(self, number: int, addresses: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Do so for addresses of which this leaf is the last one that begins before them."""
        first, blocks = self._blocks(number)
        within = blocks.covering(addresses)
        found = np.where(within >= 0, first + within, -1)
        is_before = addresses < blocks.addresses[0] if len(blocks) else np.ones(len(addresses), np.bool_)
        if is_before.any():
            found[is_before] = self._last_before(number, addresses[is_before])
        return found

    def _last_before(self, number: int, addresses: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Do so for addresses before the first block of a leaf: a large block may begin in an earlier leaf."""
        for earlier in range(number - 1, -1, -1):
            first, blocks = self._blocks(earlier)
            if len(blocks):
                within = blocks.covering(addresses)
                return np.where(within >= 0, first + within, -1)
        return np.full(len(addresses), -1, np.intp)

    def _blocks(self, number: int) -> tuple[int, Blocks]:
        if number not in self._read:
            self._read[number] = self._read_leaf(int(self._numbers[number]))
        return self._read[number]
