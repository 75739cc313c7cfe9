"""What may be an object of GLib, read from a process's memory: here from a few words of a made-up one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from soak.probes.gobjects import GObjects, has_glib, own_tables
from soak.probes.ledgers.shadow import Blocks
from soak.probes.mappings import Mapping

CLASS, GTYPE, OBJECT, MINI = 0x500000, 0x600000, 0x700000, 0x800000


def memory(words: dict[int, list[int]]) -> SimpleNamespace:
    """Return a memory with these words at these addresses."""

    def read(start: int, count: int) -> np.ndarray:
        return np.array(words.get(start, [])[:count], np.uint64)

    return SimpleNamespace(read=read)


@pytest.mark.parametrize(
    ("address", "words", "found"),
    [
        (OBJECT, [CLASS, 3], [(GTYPE, 3), (CLASS, 3)]),
        (MINI, [GTYPE, (7 << 32) + 1], [(GTYPE, 1)]),
        (OBJECT, [CLASS, 0], []),
        (OBJECT, [CLASS, OBJECT], []),
        (OBJECT, [CLASS + 1, 1], []),
        (OBJECT, [12, 1], []),
        (OBJECT, [CLASS], []),
    ],
    ids=["an object", "a mini object", "freed", "a pointer for a count", "not aligned", "a small number", "cut"],
)
def test_an_object_has_its_class_or_its_type_and_a_count(address: int, words: list[int], found: list[tuple[int, int]]):
    """A class may itself be taken for a type: the process tells which numbers are some."""
    objects = GObjects(memory({address: words, CLASS: [GTYPE]}))  # type: ignore[arg-type]

    assert list(objects.candidates([address])) == found


def test_tables_that_find_handlers_by_object_are_known_by_the_librarys_static_data():
    """The keys and the values of a hash table that a static variable points to; no other block."""
    table, keys, values, other = 0x10000, 0x20000, 0x30000, 0x40000
    mappings = [
        Mapping(0x1000, 0x1008, "r--p", "/usr/lib/libgobject-2.0.so.0"),
        Mapping(0x1008, 0x1010, "rw-p", "/usr/lib/libgobject-2.0.so.0"),
        Mapping(0x1010, 0x1018, "rw-p", ""),
        Mapping(0x2000, 0x2008, "rw-p", ""),
    ]
    addresses = np.array([table, keys, values, other], np.uint64)
    sizes = np.array([96, 64, 64, 96], np.uint64)
    blocks = Blocks(addresses, sizes, addresses, np.zeros(4, np.uint32), np.zeros(4, np.uint8))
    words = {0x1010: [table], 0x2000: [other], table: [8, 0, 0, 0, keys, 1, values], other: [8, 0, 0, 0, keys, 1, keys]}

    assert own_tables(memory(words), mappings, blocks) == [1, 2]  # type: ignore[arg-type]
    assert own_tables(memory(words), mappings[3:], blocks) == []  # type: ignore[arg-type]
    assert has_glib(mappings)
    assert not has_glib(mappings[3:])
