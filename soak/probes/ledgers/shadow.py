"""Read the tracker's tables of live blocks and mappings in a process that is stopped."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from soak.native.layout import (
    BIG_BIT,
    DOMAIN_MASK,
    DOMAIN_SHIFT,
    EPOCH_SHIFT,
    HALF_SHIFT,
    LEAF,
    LEAF_LIMIT,
    LEAF_SLOTS,
    MAPPING_ROW,
    MAPPINGS_LIMIT,
    SITE_MASK,
    SIZE_LIMIT,
    SIZE_SHIFT,
)
from soak.native.ledger import Checkpoint
from soak.probes.ledgers.packed import ShadowError, read_counted, read_slots
from soak.probes.memory import ProcessMemory

_LEAVES_RANGE = 1
"""Which of the tracker's own ranges holds the list of leaves: the second that recorder_start reserves."""
_MAPPINGS_RANGE = 6
"""Which one holds the table of mappings: the first that is reserved after those of recorder_start."""
_SITE_WORD, _DOMAIN_WORD, _SIZE_WORD = np.uint64(SITE_MASK), np.uint64(DOMAIN_MASK), np.uint64(SIZE_LIMIT - 1)
_HALF_BITS, _HALF_SHIFT = 4, np.uint64(HALF_SHIFT)
"""A slot may be for 32 bytes: its block begins with them, or 16 bytes later."""
_DOMAIN_SHIFT, _SIZE_SHIFT, _EPOCH_SHIFT = np.uint64(DOMAIN_SHIFT), np.uint64(SIZE_SHIFT), np.uint64(EPOCH_SHIFT)


@dataclass(frozen=True)
class Blocks:
    """Live blocks, sorted by address; all arrays are ``(n,)``."""

    addresses: NDArray[np.uint64]
    sizes: NDArray[np.uint64]
    """Requested bytes."""
    cycles: NDArray[np.uint64]
    """The first cycle of the epoch of birth; 0 means before the first cycle."""
    sites: NDArray[np.uint32]
    """Each stack of a flagged site has a site of its own."""
    domains: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.addresses)

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Blocks:
        """Return the blocks at these positions, in this order."""
        return Blocks(
            self.addresses[chosen], self.sizes[chosen], self.cycles[chosen], self.sites[chosen], self.domains[chosen]
        )

    def covering(self, addresses: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Return, for each address, the position of the block that contains it; -1 when none does."""
        if not len(self):
            return np.full(len(addresses), -1, np.intp)
        positions = np.searchsorted(self.addresses, addresses, "right") - 1
        inside = (positions >= 0) & (addresses - self.addresses[positions] < self.sizes[positions])
        return np.where(inside, positions, -1)

    def of_sites(self, is_wanted: NDArray[np.bool_], *, of_cycles: bool = False) -> Blocks:
        """Return the blocks of some call sites. ``is_wanted``: by number of the site; the rest as the last.

        ``of_cycles``: without those from before the first cycle.
        """
        return self.take(is_wanted[np.minimum(self.sites, len(is_wanted) - 1)] & (self.cycles >= int(of_cycles)))

    def born_in_cycles(self) -> Blocks:
        """Return the blocks that are not from before the first cycle."""
        return self.take(self.cycles > 0)


@dataclass(frozen=True)
class Mapped:
    """What the program itself has mapped, sorted by address; all arrays are ``(n,)``."""

    starts: NDArray[np.uint64]
    ends: NDArray[np.uint64]
    sites: NDArray[np.uint32]
    domains: NDArray[np.uint8]
    """``MAPPING`` or ``PYMALLOC_ARENA`` of soak.native.layout."""


def read_blocks(memory: ProcessMemory, checkpoint: Checkpoint) -> Blocks:
    """Return every live block. ``checkpoint``: the latest of the ledger. Raises ShadowError."""
    leaves = read_leaves(memory, checkpoint)
    # The blocks of each table are in the order of their addresses. Only where both tables have some they must be
    # sorted, and then a few at a time fit into the processor's cache.
    widest = LEAF_SLOTS << int(leaves["grain_bits"].max())
    packed = read_counted(memory, leaves)["packed"].tolist()
    parts: list[Blocks] = []
    for _, group in itertools.groupby(zip(leaves.tolist(), packed, strict=True), lambda leaf: leaf[0][1] // widest):
        found = [
            blocks_of_leaf(read_slots(memory, slots_at, packed_at), base, grain_bits, checkpoint.shift)
            for (slots_at, base, grain_bits, _), packed_at in group
        ]
        used = [blocks for blocks in found if len(blocks)]
        together = concatenated(used or found[:1])
        parts.append(together.take(np.argsort(together.addresses, kind="stable")) if len(used) > 1 else together)
    return concatenated(parts)


def read_leaves(memory: ProcessMemory, checkpoint: Checkpoint) -> NDArray[np.void]:
    """Return where the slots are, by the address of which the first tells: records of LEAF. Raises ShadowError."""
    rows = _read_table(memory, checkpoint, _LEAVES_RANGE, LEAF, LEAF_LIMIT)
    leaves = rows[rows["slots"] > 0]
    if not len(leaves):
        raise ShadowError("the tracker's table of blocks is empty")
    return leaves[np.argsort(leaves["base"], kind="stable")]


def concatenated(parts: list[Blocks]) -> Blocks:
    """Return the blocks of all parts, of which there is at least one, in this order."""
    if len(parts) == 1:
        return parts[0]
    return Blocks(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Blocks)))


def read_mapped(memory: ProcessMemory, checkpoint: Checkpoint) -> Mapped:
    """Return what the program has mapped. ``checkpoint``: the latest of the ledger. Raises ShadowError."""
    rows = _read_table(memory, checkpoint, _MAPPINGS_RANGE, MAPPING_ROW, MAPPINGS_LIMIT)
    # The rows are sorted and do not overlap. After the last one come zeros, or remains of rows that were moved.
    behind = np.flatnonzero((rows["start"][1:] < rows["end"][:-1]) | (rows["start"][1:] == 0))
    rows = rows[: int(behind[0]) + 1] if len(behind) else rows
    rows = rows[rows["start"] < rows["end"]]
    return Mapped(rows["start"], rows["end"], rows["site"], rows["domain"].astype(np.uint8))


def _read_table(
    memory: ProcessMemory, checkpoint: Checkpoint, number: int, row: np.dtype[np.void], limit: int
) -> NDArray[np.void]:
    """Return the rows of a table, which the tracker's own range of this number holds, as far as it was ever used."""
    own = checkpoint.ranges[number] if len(checkpoint.ranges) > number else None
    if own is None or int(own["end"] - own["start"]) != limit * row.itemsize:
        raise ShadowError("the tracker's tables were not found")
    pieces = [words for _, words in memory.pieces([(int(own["start"]), int(own["end"]))])]
    return np.concatenate([*pieces, np.zeros(0, np.uint64)]).view(row)


def blocks_of_leaf(slots: NDArray[np.uint64], base: int, grain_bits: int, shift: int) -> Blocks:
    """Return the blocks in some slots of a leaf. ``base``: the address of which the first slot tells."""
    return blocks_at(np.flatnonzero(slots & _SITE_WORD), slots, base, grain_bits, shift)


def blocks_at(used: NDArray[np.intp], slots: NDArray[np.uint64], base: int, grain_bits: int, shift: int) -> Blocks:
    """Return the blocks of which the slots at these positions tell; see blocks_of_leaf."""
    values = slots[used]
    sizes = values >> _SIZE_SHIFT & _SIZE_WORD
    big = np.flatnonzero(values & np.uint64(BIG_BIT))
    # A block of 256 KiB or more has its size in the next slot. After the last slot of a leaf, that is in another leaf.
    behind = np.minimum(used[big] + 1, len(slots) - 1)
    sizes[big] = np.maximum(slots[behind] >> _SIZE_SHIFT, np.uint64(SIZE_LIMIT))
    starts = np.uint64(base) + (used.astype(np.uint64) << np.uint64(grain_bits))
    if grain_bits > _HALF_BITS:
        starts += (values >> _HALF_SHIFT & np.uint64(1)) << np.uint64(_HALF_BITS)
    return Blocks(
        starts,
        sizes,
        values >> _EPOCH_SHIFT << np.uint64(shift),
        (values & _SITE_WORD).astype(np.uint32),
        (values >> _DOMAIN_SHIFT & _DOMAIN_WORD).astype(np.uint8),
    )


NO_BLOCKS = blocks_at(np.zeros(0, np.intp), np.zeros(0, np.uint64), 0, 0, 0)
