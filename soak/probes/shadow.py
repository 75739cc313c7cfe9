"""Read the tracker's table of live blocks in a process that is held still; its layout is that of ``layout.h``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soak.native.ledger import Checkpoint
from soak.probes.memory import ProcessMemory

_LEAVES_RANGE = 1
"""Which of the tracker's own ranges is the list of leaves: the second that recorder_start reserves."""
_LEAVES_BYTES = 16 << 17
_MAPPINGS_RANGE = 6
"""Which one is the table of mappings: what is reserved next after those of recorder_start."""
_MAPPING_WORDS = 4
_MAPPINGS_BYTES = 8 * _MAPPING_WORDS << 16
_LEAF_SLOTS = 1 << 16
_SITE_MASK = np.uint64((1 << 17) - 1)
_BIG_BIT = np.uint64(1 << 20)
_SIZE_LIMIT = 1 << 19


@dataclass(frozen=True)
class Blocks:
    """Live blocks by address; arrays ``(n,)``, all of one length."""

    addresses: NDArray[np.uint64]
    sizes: NDArray[np.uint64]
    """Bytes asked for."""
    cycles: NDArray[np.uint64]
    """First cycle of the epoch of birth; 0 is before the first cycle."""
    sites: NDArray[np.uint32]
    """A stack of a flagged site is a site of its own."""
    domains: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.addresses)

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Blocks:
        """Return the blocks at these positions, in this order."""
        return Blocks(
            self.addresses[chosen], self.sizes[chosen], self.cycles[chosen], self.sites[chosen], self.domains[chosen]
        )

    def covering(self, addresses: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Return the position of the block that each address lies in, -1 where it lies in none."""
        if not len(self):
            return np.full(len(addresses), -1, np.intp)
        positions = np.searchsorted(self.addresses, addresses, "right") - 1
        inside = (positions >= 0) & (addresses - self.addresses[positions] < self.sizes[positions])
        return np.where(inside, positions, -1)


@dataclass(frozen=True)
class Mapped:
    """What the program has mapped by itself, by address; arrays ``(n,)``, all of one length."""

    starts: NDArray[np.uint64]
    ends: NDArray[np.uint64]
    sites: NDArray[np.uint32]
    domains: NDArray[np.uint8]
    """``MAPPING`` or ``PYMALLOC_ARENA`` of soak.native.ledger."""


class ShadowError(Exception):
    """The table is not where it should be."""


def read_blocks(memory: ProcessMemory, checkpoint: Checkpoint) -> Blocks:
    """Return every live block. ``checkpoint``: the latest of the ledger. Raises ShadowError."""
    listed = checkpoint.ranges[_LEAVES_RANGE] if len(checkpoint.ranges) > _LEAVES_RANGE else None
    if listed is None or int(listed["end"]) - int(listed["start"]) != _LEAVES_BYTES:
        raise ShadowError("the tracker's table of blocks was not found")
    leaves = [
        (base, slots_at)
        for _, words in memory.pieces([(int(listed["start"]), int(listed["end"]))])
        for slots_at, base in words.reshape(-1, 2).tolist()
        if slots_at
    ]
    if not leaves:
        raise ShadowError("the tracker's table of blocks is empty")
    parts = [_read_leaf(memory.read(at, _LEAF_SLOTS), base, checkpoint.shift) for base, at in sorted(leaves)]
    return Blocks(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def read_mapped(memory: ProcessMemory, checkpoint: Checkpoint) -> Mapped:
    """Return what the program has mapped. ``checkpoint``: the latest of the ledger. Raises ShadowError."""
    listed = checkpoint.ranges[_MAPPINGS_RANGE] if len(checkpoint.ranges) > _MAPPINGS_RANGE else None
    if listed is None or int(listed["end"]) - int(listed["start"]) != _MAPPINGS_BYTES:
        raise ShadowError("the tracker's table of mappings was not found")
    pieces = [words for _, words in memory.pieces([(int(listed["start"]), int(listed["end"]))])]
    rows = np.concatenate(pieces).reshape(-1, _MAPPING_WORDS) if pieces else np.zeros((0, _MAPPING_WORDS), np.uint64)
    # Sorted and without overlap; behind the last one stand some that were moved, or nothing.
    behind = np.flatnonzero((rows[1:, 0] < rows[:-1, 1]) | (rows[1:, 0] == 0))
    rows = rows[: int(behind[0]) + 1] if len(behind) else rows
    rows = rows[rows[:, 0] < rows[:, 1]]
    sites, domains = rows[:, 3] & np.uint64(0xFFFFFFFF), rows[:, 3] >> np.uint64(32)
    return Mapped(rows[:, 0], rows[:, 1], sites.astype(np.uint32), domains.astype(np.uint8))


def _read_leaf(slots: NDArray[np.uint64], base: int, shift: int) -> tuple[NDArray[np.generic], ...]:
    used = np.flatnonzero(slots & _SITE_MASK)
    values = slots[used]
    sizes = values >> np.uint64(21) & np.uint64(_SIZE_LIMIT - 1)
    big = np.flatnonzero(values & _BIG_BIT)
    # The size of a block of 512 KiB and more stands in its second slot; at the very end of a leaf it is elsewhere.
    behind = np.minimum(used[big] + 1, len(slots) - 1)
    sizes[big] = np.maximum(slots[behind] >> np.uint64(21), np.uint64(_SIZE_LIMIT))
    return (
        np.uint64(base) + (used.astype(np.uint64) << np.uint64(4)),
        sizes,
        values >> np.uint64(40) << np.uint64(shift),
        (values & _SITE_MASK).astype(np.uint32),
        (values >> np.uint64(17) & np.uint64(3)).astype(np.uint8),
    )
