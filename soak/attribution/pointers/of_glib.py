"""Which words in memory of GLib hold something, and for whom: of its handlers of signals, and of what objects keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from soak.attribution.pointers.distinct import distinct
from soak.attribution.pointers.reachability import Pointers
from soak.probes.gobjects import HandlerTable
from soak.probes.ledgers.shadow import Blocks
from soak.probes.memory import ProcessMemory

_HEAD_BYTES, _ENTRY_BYTES, _DATA_AT = 8, 24, 8
"""Of GData, by which GLib keeps named data of an object: the number of entries and of places, 32 bits each; and in each
place a name, the data, and a function that frees it (glib/gdataset.c)."""
_MOST_PLACES = 4096


def of_their_objects(pointers: Pointers, blocks: Blocks, tables: Sequence[HandlerTable]) -> Pointers:
    """Return the pointers without those in tables of signal handlers, but with each object's pointer to its handlers.

    So an object that only the function of its own handler refers to is held by nothing. ``blocks``: those in question.
    """
    is_counted = np.ones(len(pointers.sources), np.bool_)
    found = [pointers]
    for table in tables:
        for start, size_bytes in table.ranges:
            is_counted &= ~(pointers.sources - np.uint64(start) < np.uint64(size_bytes))  # wraps below
        targets = blocks.covering(table.values)
        is_handler = targets >= 0
        offsets = table.values[is_handler] - blocks.addresses[targets[is_handler]]
        nothing = np.zeros(len(offsets), np.uint64)
        found.append(Pointers(table.keys[: len(targets)][is_handler], targets[is_handler], offsets, nothing, nothing))
    found[0] = pointers.take(is_counted)
    return Pointers(*(np.concatenate([getattr(each, one.name) for each in found]) for one in fields(Pointers)))


def in_unused_places(
    pointers: Pointers, starts: NDArray[np.uint64], sizes: NDArray[np.uint64], memory: ProcessMemory
) -> NDArray[np.bool_]:
    """Tell which pointers stand in places of GData that are not in use any more; ``(pointers,)``.

    What was there was given up, and something else may have its address now: a place is not emptied. ``starts`` and
    ``sizes``: of the block in which each pointer stands, 0 for none. The block's head must say what its size says.
    """
    offsets = pointers.sources - starts
    may_be = (sizes > _HEAD_BYTES) & ((sizes - np.uint64(_HEAD_BYTES)) % np.uint64(_ENTRY_BYTES) == 0)
    may_be &= (offsets % np.uint64(_ENTRY_BYTES) == (_HEAD_BYTES + _DATA_AT) % _ENTRY_BYTES) & (offsets < sizes)
    found = np.zeros(len(offsets), np.bool_)
    blocks = distinct(starts[may_be])
    if not len(blocks):
        return found
    heads = np.array([int(words[0]) if len(words := memory.read(int(at), 1)) else 0 for at in blocks], np.uint64)
    of_each = heads[np.searchsorted(blocks, starts[may_be])]
    used, places = of_each & np.uint64(0xFFFFFFFF), of_each >> np.uint64(32)
    is_head = (used <= places) & (places <= _MOST_PLACES)
    is_head &= np.uint64(_HEAD_BYTES) + places * np.uint64(_ENTRY_BYTES) == sizes[may_be]
    found[may_be] = is_head & (offsets[may_be] >= np.uint64(_HEAD_BYTES) + used * np.uint64(_ENTRY_BYTES))
    return found
