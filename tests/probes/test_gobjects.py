"""What may be an object of GLib, read from a process's memory: here from a few words of a made-up one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from soak.probes.gobjects import GObjects, handler_tables, has_glib
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


@pytest.mark.parametrize(
    ("words", "size_bytes", "found"),
    [
        ([0, 0, CLASS, 3, 0], 40, (GTYPE,)),
        ([GTYPE, 1, 0], 24, (GTYPE,)),
        ([0, GTYPE, 1], 24, ()),
        ([0, 0, CLASS, 0], 32, ()),
        ([CLASS, 3], 1 << 20, ()),
    ],
    ids=["behind private data", "a mini object", "the type of a field", "freed", "too large"],
)
def test_the_type_of_the_object_in_a_block_is_found(words: list[int], size_bytes: int, found: tuple[int, ...]):
    objects = GObjects(memory({OBJECT: words, CLASS: [GTYPE]}))  # type: ignore[arg-type]

    assert objects.gtypes_within(OBJECT, size_bytes) == found


TABLE, KEYS, HASHES, VALUES, OTHER = 0x10000, 0x20000, 0x28000, 0x30000, 0x40000
MAPPINGS = [
    Mapping(0x1000, 0x1008, "r--p", "/usr/lib/libgobject-2.0.so.0"),
    Mapping(0x1008, 0x1010, "rw-p", "/usr/lib/libgobject-2.0.so.0"),
    Mapping(0x1010, 0x1018, "rw-p", ""),
    Mapping(0x2000, 0x2008, "rw-p", ""),
]
MASK_OF_8, BIG = 7 << 32, 3


def blocks(*sized: tuple[int, int]) -> Blocks:
    """Return blocks of these addresses and sizes."""
    addresses, sizes = (np.array(column, np.uint64) for column in zip(*sized, strict=True))
    count = len(sized)
    return Blocks(addresses, sizes, addresses, np.zeros(count, np.uint32), np.zeros(count, np.uint8))


def a_table(*, entries: int = 2, flags: int = BIG) -> dict[int, list[int]]:
    """Return the words of a hash table of eight places, two of which have entries: two objects with handlers."""
    head = [8, MASK_OF_8 | 11, entries | 3 << 32, flags, KEYS, HASHES, VALUES, 0, 0, 0, 0, 0]
    hashes = [5 << 32, 1, 9, 0]  # of places 1, 2 (its entry was removed), 4
    keys, held = [0, OBJECT, MINI, 0, MINI + 8, 0, 0, 0], [0, 0x900000, 0, 0, 0x900040, 0, 0, 0]
    return {0x1010: [TABLE], 0x2000: [OTHER], TABLE: head, OTHER: head, KEYS: keys, HASHES: hashes, VALUES: held}


OWN = (KEYS, 64), (HASHES, 32), (VALUES, 64), (OTHER, 96)
KNOWN = blocks((TABLE, 96), *OWN, (OBJECT, 64), (MINI, 64))


def test_tables_that_find_handlers_by_object_are_known_by_the_librarys_static_data():
    """A hash table that a static variable of the library points to, with addresses for keys and values."""
    (table,) = handler_tables(memory(a_table()), MAPPINGS, KNOWN)  # type: ignore[arg-type]

    assert table.ranges == ((KEYS, 64), (HASHES, 32), (VALUES, 64))
    assert table.keys.tolist() == [OBJECT, MINI + 8]
    assert table.values.tolist() == [0x900000, 0x900040]
    assert has_glib(MAPPINGS)


def test_addresses_that_fit_are_stored_in_four_bytes_each():
    """So they are no words that a search for pointers would find: an object's handlers would seem to be lost."""
    words = a_table(flags=0xABC0)  # the other bits are whatever was there
    words[KEYS], words[VALUES] = [OBJECT << 32, 0, MINI + 8, 0], [0x900000 << 32, 0, 0x900040, 0]

    (table,) = handler_tables(memory(words), MAPPINGS, KNOWN)  # type: ignore[arg-type]

    assert table.ranges == ((KEYS, 32), (HASHES, 32), (VALUES, 32))
    assert table.keys.tolist() == [OBJECT, MINI + 8]
    assert table.values.tolist() == [0x900000, 0x900040]


def test_a_set_has_no_values():
    words = a_table()
    words[TABLE] = [8, MASK_OF_8 | 11, 2 | 3 << 32, BIG, KEYS, HASHES, KEYS, 0, 0, 0, 0, 0]

    (table,) = handler_tables(memory(words), MAPPINGS, KNOWN)  # type: ignore[arg-type]

    assert table.keys.tolist() == [OBJECT, MINI + 8]
    assert not len(table.values)


@pytest.mark.parametrize(
    ("words", "mappings"),
    [
        (a_table(), MAPPINGS[3:]),
        (a_table(entries=1), MAPPINGS),
        ({**a_table(), HASHES: [5 << 32]}, MAPPINGS),
        ({**a_table(), TABLE: [8, 0, 0, 0, KEYS, HASHES, VALUES, 0, 0, 0, 0, 0]}, MAPPINGS),
    ],
    ids=["no GLib", "just being changed", "cut", "no hash table"],
)
def test_what_is_no_complete_table_of_handlers_holds_what_it_points_to(
    words: dict[int, list[int]], mappings: list[Mapping]
):
    assert handler_tables(memory(words), mappings, KNOWN) == []  # type: ignore[arg-type]


def test_a_table_of_anything_but_blocks_is_no_table_of_handlers():
    """Its keys are names, or it is of a GLib that stores all addresses in eight bytes, and was read by halves."""
    known = blocks((TABLE, 96), *OWN, (OBJECT, 64))

    assert handler_tables(memory(a_table()), MAPPINGS, known) == []  # type: ignore[arg-type]


def test_the_older_layout_of_a_table_is_known_by_its_size():
    words = a_table()
    words[TABLE] = [8 | 11 << 32, 7 | 2 << 32, 3 | BIG << 32, KEYS, HASHES, VALUES, 0, 0, 0, 0, 0]

    (table,) = handler_tables(memory(words), MAPPINGS, blocks((TABLE, 88), (OBJECT, 64), (MINI, 64)))  # type: ignore[arg-type]

    assert table.ranges == ((KEYS, 64), (HASHES, 32), (VALUES, 64))
