"""Find what may be objects of GLib in the memory of a process that is stopped.

A GObject begins with the address of its class, and a class with its GType; the private data of its types stand before
it, so it begins somewhere within its block. A GstMiniObject (a buffer, a message, caps) begins with its GType. Behind
either stands a reference count. Which numbers are GTypes, and what they are called, only the process itself can say.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from soak.probes.ledgers.live_blocks import LiveBlocks
from soak.probes.ledgers.shadow import Blocks
from soak.probes.mappings import Mapping
from soak.probes.memory import ProcessMemory

_LIBRARY = "libgobject-2.0.so"
_HASH_TABLES = {88: struct.Struct("=iiIiiIQQQ"), 96: struct.Struct("=QiIIII4xQQQ")}
"""By the size of a GHashTable, its first fields, before GLib 2.64 and since: size, mod, mask, the number of entries and
of used places, whether keys and values take eight bytes each (two bits), where keys, hashes and values are."""
_BIG_KEYS, _BIG_VALUES, _HASH_OF_REMOVED = 1, 2, 1
_FEWEST_PLACES, _MOST_PLACES = 8, 1 << 24
_LARGEST_COUNT = 1 << 20
_FIRST_ADDRESS = 1 << 16
_LARGEST_OBJECT_BYTES = 4096
_COUNT_MASK = 0xFFFFFFFF


class GObjects:
    """Reads what may be the GTypes and reference counts of objects; each class is read once."""

    def __init__(self, memory: ProcessMemory) -> None:
        """Read objects of a process."""
        self._memory = memory
        self._gtypes: dict[int, int] = {}

    def candidates(self, addresses: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Give what may be the GType and the count of references of an object at one of these addresses, in order."""
        for address in addresses:
            words = self._memory.read(address, 2)
            if len(words) < 2:
                continue
            first, ref_count = int(words[0]), int(words[1]) & _COUNT_MASK
            if not 0 < ref_count < _LARGEST_COUNT:
                continue
            for gtype in (self._gtype_of_class(first), first):
                if _may_be_gtype(gtype):
                    yield gtype, ref_count

    def gtypes_within(self, start: int, size_bytes: int) -> tuple[int, ...]:
        """Return what may be the GType of the object in a block, in the order of places; nothing of a large block.

        Private data may stand before an object that has a class. Fields and values have GTypes too: of one that has no
        class only the block's first word counts.
        """
        if size_bytes > _LARGEST_OBJECT_BYTES:
            return ()
        words = self._memory.read(start, size_bytes // 8).tolist()
        found = []
        for place, (word, count) in enumerate(pairwise(words)):
            if 0 < count & _COUNT_MASK < _LARGEST_COUNT:
                found += [self._gtype_of_class(word), *([] if place else [word])]
        return tuple(dict.fromkeys(gtype for gtype in found if _may_be_gtype(gtype)))

    def _gtype_of_class(self, address: int) -> int:
        if not _may_be_gtype(address):
            return 0
        if address not in self._gtypes:
            words = self._memory.read(address, 1)
            self._gtypes[address] = int(words[0]) if len(words) else 0
        return self._gtypes[address]


def has_glib(mappings: Sequence[Mapping]) -> bool:
    """Whether the process has loaded GLib's objects."""
    return any(_LIBRARY in mapping.path for mapping in mappings)


@dataclass(frozen=True)
class HandlerTable:
    """One of GObject's own hash tables, by which it finds the signal handlers of an object; it owns nothing.

    An object has no pointer to its handlers. That the table has one for it stands here: a value belongs to its key.
    """

    ranges: tuple[tuple[int, int], ...]
    """Where keys, hashes and values stand: address and size."""
    keys: NDArray[np.uint64]
    """Of each entry, ``(entries,)``."""
    values: NDArray[np.uint64]
    """``(entries,)``; none of a set, which has keys alone."""


def handler_tables(
    memory: ProcessMemory, mappings: Sequence[Mapping], blocks: Blocks | LiveBlocks
) -> list[HandlerTable]:
    """Return GObject's tables of signal handlers; empty where GLib is not loaded, or they are just being changed."""
    found: dict[int, HandlerTable] = {}
    for mapping in _static_data(mappings):
        words = memory.read(mapping.start, (mapping.end - mapping.start) // 8)
        places = blocks.covering(words)
        places = np.unique(places[(places >= 0) & np.isin(blocks.sizes[places], tuple(_HASH_TABLES))])
        for address, size in zip(blocks.addresses[places].tolist(), blocks.sizes[places].tolist(), strict=True):
            table = _read_table(memory, address, _HASH_TABLES[size])
            # Objects and handlers are blocks. Quarks are none, nor are halves of addresses, of a GLib that has these.
            if table is not None and bool((blocks.covering(table.keys) >= 0).all()):
                found[address] = table
    return list(found.values())


def _read_table(memory: ProcessMemory, address: int, fields: struct.Struct) -> HandlerTable | None:
    """Return the hash table at an address; None where no complete one is there."""
    content = memory.read(address, fields.size // 8).tobytes()
    if len(content) < fields.size:
        return None
    size, _, mask, count, _, is_big, keys_at, hashes_at, values_at = fields.unpack(content)
    if not _FEWEST_PLACES <= size <= _MOST_PLACES or mask + 1 != size:
        return None
    key_bytes, value_bytes = 8 if is_big & _BIG_KEYS else 4, 8 if is_big & _BIG_VALUES else 4
    keys, hashes = _read_numbers(memory, keys_at, size, key_bytes), _read_numbers(memory, hashes_at, size, 4)
    values = _read_numbers(memory, values_at, size, value_bytes)
    is_used = hashes > _HASH_OF_REMOVED
    if min(len(keys), len(hashes), len(values)) < size or int(is_used.sum()) != count:
        return None
    ranges = ((keys_at, size * key_bytes), (hashes_at, size * 4), (values_at, size * value_bytes))
    return HandlerTable(ranges, keys[is_used], values[is_used] if values_at != keys_at else values[:0])


def _read_numbers(memory: ProcessMemory, start: int, count: int, size_bytes: int) -> NDArray[np.uint64]:
    """Return numbers of four or eight bytes each, ``(n,)``; fewer than ``count`` where memory cannot be read.

    GLib stores numbers in four bytes while all of a table fit: addresses of the heap of a program that is linked to a
    fixed address do.
    """
    words = memory.read(start, count * size_bytes // 8)
    return words if size_bytes == 8 else words.view(np.uint32).astype(np.uint64)


def _static_data(mappings: Sequence[Mapping]) -> Iterator[Mapping]:
    """Give the writable mappings of GObject's library, and the zeroed static data right behind them."""
    end = 0
    for mapping in mappings:
        is_library = _LIBRARY in mapping.path
        if mapping.permissions.startswith("rw") and (is_library or (mapping.start == end and not mapping.path)):
            yield mapping
        end = mapping.end if is_library else 0


def _may_be_gtype(word: int) -> bool:
    """Whether a word may be an address; the GType of a type that is not built in is one."""
    return word % 8 == 0 and _FIRST_ADDRESS <= word < 1 << 47
