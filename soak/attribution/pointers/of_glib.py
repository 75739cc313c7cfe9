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
from soak.probes.mappings import Mapping
from soak.probes.memory import ProcessMemory, read_each

_HEAD_BYTES, _ENTRY_BYTES, _DATA_AT = 8, 24, 8
"""Of GData, by which GLib keeps named data of an object: the number of entries and of places, 32 bits each; and in each
place a name, the data, and a function that frees it (glib/gdataset.c)."""
_HEAD_WORDS, _MOST_NAMES, _LOW_HALF = 4, 1 << 24, np.uint64(0xFFFFFFFF)


def of_their_objects(pointers: Pointers, blocks: Blocks, tables: Sequence[HandlerTable]) -> Pointers:
    """Return the pointers without those in tables of signal handlers, but with each object's pointer to its handlers.

    So an object that only the function of its own handler refers to is held by nothing. ``blocks``: those in question.
    """
    if not tables:
        return pointers
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
    pointers: Pointers,
    starts: NDArray[np.uint64],
    sizes: NDArray[np.uint64],
    memory: ProcessMemory,
    mappings: Sequence[Mapping],
) -> NDArray[np.bool_]:
    """Tell which pointers stand in places of GData that are not in use any more; ``(pointers,)``.

    What was there was given up, and something else may have its address now: a place is not emptied. ``starts`` and
    ``sizes``: of the block in which each pointer stands, 0 for none. A block counts as GData when its head says what
    its size says, and its first place, which is always in use, has a name and a function or none.
    """
    offsets = pointers.sources - starts
    may_be = (offsets > _HEAD_BYTES + _ENTRY_BYTES) & (offsets < sizes)
    may_be &= offsets % np.uint64(_ENTRY_BYTES) == (_HEAD_BYTES + _DATA_AT) % _ENTRY_BYTES
    may_be &= (sizes - np.uint64(_HEAD_BYTES)) % np.uint64(_ENTRY_BYTES) == 0
    found = np.zeros(len(offsets), np.bool_)
    blocks = distinct(starts[may_be])
    heads = read_each(memory, blocks, _HEAD_WORDS)
    used, places = heads[:, 0] & _LOW_HALF, heads[:, 0] >> np.uint64(32)
    names, functions = heads[:, 1] & _LOW_HALF, heads[:, 3]
    is_data = (used > 0) & (used <= places) & (names > 0) & (names < _MOST_NAMES)
    is_data &= (functions == 0) | _are_code(functions, mappings)
    block_of = np.searchsorted(blocks, starts[may_be])
    is_unused = offsets[may_be] >= np.uint64(_HEAD_BYTES) + used[block_of] * np.uint64(_ENTRY_BYTES)
    is_whole = np.uint64(_HEAD_BYTES) + places[block_of] * np.uint64(_ENTRY_BYTES) == sizes[may_be]
    found[may_be] = is_data[block_of] & is_whole & is_unused
    return found


def _are_code(addresses: NDArray[np.uint64], mappings: Sequence[Mapping]) -> NDArray[np.bool_]:
    code = [(mapping.start, mapping.end) for mapping in mappings if "x" in mapping.permissions]
    starts, ends = np.array([(0, 0), *code], np.uint64).T
    found: NDArray[np.bool_] = addresses < ends[np.searchsorted(starts, addresses, side="right") - 1]
    return found
