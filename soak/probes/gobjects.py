"""Find what may be objects of GLib in the memory of a process that is stopped.

A GObject begins with the address of its class, and a class with its GType; the private data of its types stand before
it, so it begins somewhere within its block. A GstMiniObject (a buffer, a message, caps) begins with its GType. Behind
either stands a reference count. Which numbers are GTypes, and what they are called, only the process itself can say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from soak.probes.ledgers.live_blocks import LiveBlocks
from soak.probes.ledgers.shadow import Blocks
from soak.probes.mappings import Mapping
from soak.probes.memory import ProcessMemory

_LIBRARY = "libgobject-2.0.so"
_HASH_TABLE_BYTES, _KEYS_AND_VALUES = (88, 96), slice(3, 7)
"""Of GLib's GHashTable: its size, and the words with the addresses of its keys, hashes and values, before GLib 2.64 and
since."""
_LARGEST_COUNT = 1 << 20
_FIRST_ADDRESS = 1 << 16
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


def own_tables(memory: ProcessMemory, mappings: Sequence[Mapping], blocks: Blocks | LiveBlocks) -> list[int]:
    """Return the blocks that are tables of hash tables of GObject's own, as positions in ``blocks``.

    It finds handlers of signals by the object, and so has a pointer to each object with a handler; it owns none.
    """
    found: set[int] = set()
    for mapping in _static_data(mappings):
        words = memory.read(mapping.start, (mapping.end - mapping.start) // 8)
        places = blocks.covering(words)
        tables = np.unique(places[(places >= 0) & np.isin(blocks.sizes[places], _HASH_TABLE_BYTES)])
        for address in blocks.addresses[tables].tolist():
            words = memory.read(address, max(_HASH_TABLE_BYTES) // 8)
            found.update(blocks.covering(words[_KEYS_AND_VALUES]).tolist())
    return sorted(found - {-1})


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
