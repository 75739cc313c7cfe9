"""Which words of GLib's memory hold something, and for whom: on made-up memory."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from soak.attribution.pointers.of_glib import in_unused_places, of_their_objects
from soak.attribution.pointers.reachability import Pointers
from soak.probes.gobjects import HandlerTable
from soak.probes.ledgers.shadow import Blocks

KEYS, HASHES, VALUES, OBJECT, ELSEWHERE, DATA, BLOCK = 0x20000, 0x28000, 0x30000, 0x50000, 0x60000, 0x70000, 0x80000
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
    ("offset", "used", "places", "size", "is_unused"),
    [
        (16, 1, 2, 56, False),
        (40, 1, 2, 56, True),
        (40, 2, 2, 56, False),
        (88, 2, 4, 104, True),
        (40, 1, 3, 56, False),
        (40, 3, 2, 56, False),
        (32, 1, 2, 56, False),
        (40, 1, 2, 64, False),
    ],
    ids=["used", "given up", "all used", "of four", "wrong places", "more used than places", "a function", "size"],
)
def test_data_of_an_object_that_was_given_up_is_held_by_nothing(
    offset: int, used: int, places: int, size: int, is_unused: bool
):
    """The block's first word says how many places there are, and how many are in use."""
    memory = SimpleNamespace(read=lambda _start, _words: np.array([used | places << 32], np.uint64))

    found = in_unused_places(
        pointers(DATA + offset),
        np.array([DATA], np.uint64),
        np.array([size], np.uint64),
        memory,  # type: ignore[arg-type]
    )

    assert found.tolist() == [is_unused]


def test_a_block_that_cannot_be_read_holds_what_it_points_to():
    memory = SimpleNamespace(read=lambda _start, _words: np.zeros(0, np.uint64))

    found = in_unused_places(
        pointers(DATA + 40, ELSEWHERE),
        np.array([DATA, 0], np.uint64),
        np.array([56, 0], np.uint64),
        memory,  # type: ignore[arg-type]
    )

    assert found.tolist() == [False, False]
