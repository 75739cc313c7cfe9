"""Read the slots of leaves, which the tracker may have packed (``struct packed`` in ``layout.h``)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from soak.native.layout import COUNTED, LEAF_PAGE_BYTES, LEAF_PAGES, LEAF_SLOTS, PACKED
from soak.probes.memory import ProcessMemory

_WHOLE_WORDS = 8
"""Bytes of a code where the words themselves stand in the packed copy."""
_CODE_BYTES = (1, 2, _WHOLE_WORDS)
_HEAD_WORDS = PACKED.itemsize // 8


class ShadowError(Exception):
    """A table of the tracker was not found, or is not what it should be."""


def read_counted(memory: ProcessMemory, leaves: NDArray[np.void]) -> NDArray[np.void]:
    """Return what the tracker has counted of each leaf: zeros if it could not be read. ``leaves``: of LEAF."""
    found = np.zeros(len(leaves), COUNTED)
    order = np.argsort(leaves["counted"], kind="stable")
    places = leaves["counted"][order]
    for together in np.split(np.arange(len(order)), np.flatnonzero(np.diff(places) != COUNTED.itemsize) + 1):
        if not len(together):
            continue
        words = memory.read(int(places[together[0]]), len(together) * COUNTED.itemsize // 8)
        whole = words[: len(words) * 8 // COUNTED.itemsize * COUNTED.itemsize // 8].view(COUNTED)
        found[order[together[: len(whole)]]] = whole
    return found


def read_slots(
    memory: ProcessMemory, slots_at: int, packed_at: int, *, may_be_gone: bool = False
) -> NDArray[np.uint64]:
    """Return the words of a leaf; fewer if they cannot be read.

    ``packed_at``: of its packed copy; 0 for none. ``may_be_gone``: the program runs on and may give the copy up
    meanwhile, which then has no blocks. Else raises ShadowError if it is no copy: blocks that are left out of a scan
    would seem to hold nothing.
    """
    return unpacked(memory, memory.read(slots_at, LEAF_SLOTS), packed_at, may_be_gone=may_be_gone)


def unpacked(
    memory: ProcessMemory, slots: NDArray[np.uint64], packed_at: int, *, may_be_gone: bool = False
) -> NDArray[np.uint64]:
    """Return the words of a leaf. ``slots``: the content of the leaf itself. For the rest see read_slots."""
    if not packed_at or len(slots) < LEAF_SLOTS:
        return slots
    copied = _copied(memory, packed_at)
    if copied is None and not may_be_gone:
        raise ShadowError("a packed table of the tracker is not what it was")
    return slots if copied is None else np.where(slots == 0, copied, slots)


def saved_of(slots: NDArray[np.uint64], counted: np.void) -> int:
    """Return how many bytes less the resident memory of a leaf is than if it had never been packed.

    ``slots``: the content of the leaf itself. ``counted``: of it, COUNTED.
    """
    if len(slots) < LEAF_SLOTS:
        return 0
    is_filled = slots.reshape(LEAF_PAGES, -1).any(axis=1)
    was_emptied = np.unpackbits(counted["emptied"].view(np.uint8), bitorder="little").astype(np.bool_)
    return int((was_emptied & ~is_filled).sum()) * LEAF_PAGE_BYTES - int(counted["copy_bytes"])


def _copied(memory: ProcessMemory, packed_at: int) -> NDArray[np.uint64] | None:
    """Return the words of a packed copy, ``(LEAF_SLOTS,)``: 0 for each slot not in it. None if it is no copy."""
    head = memory.read(packed_at, _HEAD_WORDS)
    if len(head) < _HEAD_WORDS:
        return None
    packed = head.view(PACKED)[0]
    count, kinds, code_bytes = packed["form"].tolist()
    if code_bytes not in _CODE_BYTES or max(count, kinds) > LEAF_SLOTS:
        return None
    words = memory.read(packed_at + PACKED.itemsize, kinds + -(-count * code_bytes // 8))
    values = words
    if code_bytes != _WHOLE_WORDS:
        codes = words[kinds:].view(f"<u{code_bytes}")[:count]
        values = words[:kinds][codes[codes < min(kinds, len(words))]]
    places = np.flatnonzero(np.unpackbits(packed["used"].view(np.uint8), bitorder="little"))
    if len(values) != len(places):
        return None
    found = np.zeros(LEAF_SLOTS, np.uint64)
    found[places] = values
    return found
