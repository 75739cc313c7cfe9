"""Which words of GLib's memory hold something, and for whom: on made-up memory."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from soak.attribution.pointers.of_glib import in_unused_places, of_their_objects
from soak.attribution.pointers.reachability import Pointers
from soak.probes.gobjects import HandlerTable
from soak.probes.ledgers.shadow import Blocks
from soak.probes.mappings import Mapping

KEYS, HASHES, VALUES, OBJECT, ELSEWHERE, DATA, BLOCK = 0x20000, 0x28000, 0x30000, 0x50000, 0x60000, 0x70000, 0x80000
NAME, CODE = 0xABCD << 32 | 57, 0x10008  # behind a name of 32 bits stands what was there before
_ONE = np.ones(1, np.uint64)
BLOCKS = Blocks(BLOCK * _ONE, 32 * _ONE, _ONE, _ONE.astype(np.uint32), _ONE.astype(np.uint8))


def pointers(*sources: int) -> Pointers:
    """Return pointers from these places to one block."""
    count, nothing = len(sources), np.zeros(len(sources), np.uint64)
    return Pointers(np.array(sources, np.uint64), np.zeros(count, np.intp), nothing, nothing, nothing)


def a_table(*, has_values: bool = True) -> HandlerTable:
    """Return a table of eight places in which an object has a handler, and another one a handler elsewhere."""
    values = np.array([BLOCK + 8, ELSEWHERE], np.uint64) if has_values else np.zeros(0, np.uint64)
    ranges = ((KEYS, 64), (HASHES, 32), (VALUES if has_values else KEYS, 64))
    return HandlerTable(ranges, np.array([OBJECT, OBJECT + 64], np.uint64), values)


def test_a_table_of_handlers_holds_no_object_and_an_object_holds_its_handlers():
    found = pointers(KEYS + 8, HASHES + 24, VALUES + 8, ELSEWHERE, KEYS + 64)

    told = of_their_objects(found, BLOCKS, [a_table()])

    assert told.sources.tolist() == [ELSEWHERE, KEYS + 64, OBJECT]
    assert (told.targets.tolist(), told.offsets.tolist()) == ([0, 0, 0], [0, 0, 8])


def test_a_set_of_handlers_holds_none_of_them():
    told = of_their_objects(pointers(KEYS, KEYS + 56, ELSEWHERE), BLOCKS, [a_table(has_values=False)])

    assert told.sources.tolist() == [ELSEWHERE]


def test_without_tables_every_pointer_stays():
    assert of_their_objects(pointers(KEYS, ELSEWHERE), BLOCKS, []).sources.tolist() == [KEYS, ELSEWHERE]


@pytest.mark.parametrize(
    ("offset", "size", "head", "is_unused"),
    [
        (40, 56, (1 | 2 << 32, NAME, 0, CODE), True),
        (40, 56, (1 | 2 << 32, NAME, 0, 0), True),
        (88, 104, (2 | 4 << 32, NAME, 0, CODE), True),
        (16, 56, (1 | 2 << 32, NAME, 0, CODE), False),
        (40, 56, (2 | 2 << 32, NAME, 0, CODE), False),
        (40, 56, (1 | 3 << 32, NAME, 0, CODE), False),
        (40, 56, (3 | 2 << 32, NAME, 0, CODE), False),
        (32, 56, (1 | 2 << 32, NAME, 0, CODE), False),
        (40, 64, (1 | 2 << 32, NAME, 0, CODE), False),
        (40, 56, (1 | 2 << 32, 0, 0, CODE), False),
        (40, 56, (1 | 2 << 32, NAME, 0, ELSEWHERE), False),
        (40, 56, (0 | 2 << 32, NAME, 0, CODE), False),
        (40, 56, (), False),
    ],
    ids=[
        "given up",
        "that no function frees",
        "of four",
        "in use",
        "all in use",
        "places for another size",
        "more used than places",
        "a function",
        "another size",
        "no name",
        "no function",
        "none in use",
        "cannot be read",
    ],
)
def test_data_of_an_object_that_was_given_up_is_held_by_nothing(
    offset: int, size: int, head: tuple[int, ...], is_unused: bool
):
    """The block's first word says how many places there are, and how many are in use."""
    memory = SimpleNamespace(read=lambda _start, _words: np.array(head, np.uint64))
    found = in_unused_places(
        pointers(DATA + offset, ELSEWHERE),
        np.array([DATA, 0], np.uint64),
        np.array([size, 0], np.uint64),
        memory,  # type: ignore[arg-type]
        [Mapping(CODE - 8, CODE + 8, "r-xp", "/usr/lib/libgobject-2.0.so.0"), Mapping(DATA, DATA + 4096, "rw-p", "")],
    )

    assert found.tolist() == [is_unused, False]


def test_where_no_pointer_may_stand_in_such_data_nothing_is_read():
    none = in_unused_places(pointers(), np.zeros(0, np.uint64), np.zeros(0, np.uint64), None, [])  # type: ignore[arg-type]

    assert not len(none)
