"""The search for pointers and what follows from it, on memory made up of a few words."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from soak.attribution.holders import (
    Holder,
    Reachability,
    SiteScan,
    find_memory_path,
    judge_scans,
    with_holder_of_glib,
)
from soak.attribution.pointers.reachability import (
    Reached,
    find_objects,
    is_good_witness,
    is_of_frame_to_generator,
    is_weak,
    may_be_hash,
    reach,
    search,
    values_of_ints,
    without_gc_links,
)
from soak.probes.mappings import Mapping
from soak.probes.memory import writable_ranges
from soak.results import Unseen
from soak.running.scanning.scan.holders import usual_word

HEAP, ROOT = 0x5000_0000, 0x9000
TYPE = 0x7000
OWN_PATHS = re.compile("ring")


def words(address: int, *values: int) -> tuple[int, np.ndarray]:
    return address, np.array(values, np.uint64)


def look(starts: list[int], sizes: list[int], pieces: list, types: tuple[int, ...] = (TYPE,), **known: bool) -> Reached:
    """Reach blocks at ``starts`` from all else in ``pieces``."""
    addresses, lengths = np.array(starts, np.uint64), np.array(sizes, np.uint64)
    found = search(addresses, lengths, pieces)
    objects = find_objects(found.heads, lambda candidates: np.isin(candidates, np.array(types, np.uint64)))
    pointers = without_gc_links(found.pointers(), objects)
    positions = np.searchsorted(addresses, pointers.sources, "right") - 1
    inside = (positions >= 0) & (pointers.sources < addresses[positions] + lengths[positions])
    return reach(pointers, np.where(inside, positions, -1), objects, **known)


def test_a_block_is_held_by_a_pointer_to_its_start_or_into_it_but_not_to_its_end():
    starts, sizes = [HEAP, HEAP + 64, HEAP + 128], [32, 32, 32]
    root = words(ROOT, HEAP, HEAP + 64 + 31, HEAP + 128 + 32)

    found = look(starts, sizes, [root, words(HEAP, *[0] * 24)])

    assert found.reached.tolist() == [True, True, False]
    assert found.roots.tolist() == [ROOT, ROOT + 8, 0]
    assert found.lost.tolist() == [False, False, True]


def test_a_chain_is_held_by_its_head_and_lost_as_a_whole_without_it():
    chain = words(HEAP, HEAP + 16, 0, HEAP + 32, 0, 0, 0)

    held = look([HEAP, HEAP + 16, HEAP + 32], [16] * 3, [chain, words(ROOT, HEAP)])
    lost = look([HEAP, HEAP + 16, HEAP + 32], [16] * 3, [chain, words(ROOT, 0)])

    assert held.reached.all()
    assert held.before.tolist() == [-1, 0, 1]
    assert lost.lost.all()


def test_the_blocks_of_heap_and_mappings_are_far_apart_and_both_found():
    far = 0x7F00_0000_0000

    found = look([HEAP, far], [32, 32], [words(ROOT, far + 8, HEAP + 8)])

    assert found.reached.all()


def test_neighbours_in_gcs_list_hold_nothing():
    """Each object's head points to the heads before and after it, with flags in the low bits."""
    first = (HEAP + 64, HEAP + 64 | 3, 1, TYPE)
    second = (HEAP, HEAP | 1, 1, TYPE)

    found = look([HEAP, HEAP + 64], [32, 32], [words(HEAP, *first, 0, 0, 0, 0, *second)])

    assert not found.reached.any()
    assert found.deficits.tolist() == [1, 1]


def test_references_above_all_pointers_are_a_deficit_and_immortal_objects_have_none():
    starts = [HEAP, HEAP + 32, HEAP + 64]
    block = words(HEAP, 2, TYPE, 0, 0, 1, TYPE, 0, 0, (1 << 32) - 1, TYPE, 0, 0)

    found = look(starts, [32] * 3, [block, words(ROOT, HEAP, HEAP + 32, HEAP + 64)])

    assert found.deficits.tolist() == [1, 0, 0]


def test_garbage_of_objects_that_hold_each_other_is_not_lost_and_what_an_unaccounted_one_holds_is():
    """Gc could still free the first two; the third has a reference that is never dropped, and holds a buffer."""
    starts = [HEAP, HEAP + 32, HEAP + 64, HEAP + 96]
    circle = (1, TYPE, HEAP + 32, 0, 1, TYPE, HEAP, 0)
    block = words(HEAP, *circle, 1, TYPE, HEAP + 96, 0, 7, 7, 7, 7)

    found = look(starts, [32] * 4, [block])

    assert not found.reached.any()
    assert found.lost.tolist() == [False, False, True, True]


def test_objects_that_hold_each_other_are_lost_once_gc_has_looked_at_all_of_them():
    """Part of their way is in memory of C code, where gc does not look. What a root leads to is held as before."""
    circle = (1, TYPE, HEAP + 32, 0, 7, HEAP, 7, 7)
    other = (1, TYPE, HEAP + 96, 0, 7, HEAP + 64, 7, 7)
    starts, pieces = [HEAP, HEAP + 32, HEAP + 64, HEAP + 96], [words(HEAP, *circle, *other), words(ROOT, HEAP + 64)]

    before = look(starts, [32] * 4, pieces)
    after = look(starts, [32] * 4, pieces, is_collected=True)

    assert before.lost.tolist() == [False, False, False, False]
    assert after.lost.tolist() == [True, True, False, False]


def test_blocks_far_down_a_wide_tree_have_the_root_that_leads_there():
    """Wide ones are followed all at once, narrow ones one by one: here a list, many blocks at its end, and lists."""
    size, wide = 16, 3000
    chain, fans, tails = list(range(100)), list(range(100, 100 + wide)), list(range(100 + wide, 100 + 2 * wide))
    starts = [HEAP + size * number for number in range(100 + 2 * wide + 1)]
    table = HEAP + size * len(starts)
    pieces = [words(starts[number], starts[number + 1], 0) for number in chain[:-1]]
    pieces.append(words(starts[99], table, 0))
    pieces.append(words(table, *(starts[number] for number in fans)))
    pieces += [words(starts[fan], starts[tail], 0) for fan, tail in zip(fans, tails, strict=True)]
    pieces.append(words(ROOT, starts[0]))

    found = look([*starts, table], [size] * len(starts) + [8 * wide], pieces)

    lost = len(starts) - 1
    assert np.flatnonzero(found.lost).tolist() == [lost]
    assert set(np.delete(found.roots, lost).tolist()) == {ROOT}
    assert found.before[tails].tolist() == fans
    assert set(found.before[fans].tolist()) == {len(starts)}


def pointers_to(starts: list[int], size: int, *pieces: tuple[int, np.ndarray]):
    """Return the blocks' addresses, the search, the objects and the pointers."""
    addresses = np.array(starts, np.uint64)
    found = search(addresses, np.full(len(starts), size, np.uint64), pieces)
    return (
        addresses,
        found,
        find_objects(found.heads, lambda candidates: np.isin(candidates, [TYPE])),
        found.pointers(),
    )


def test_the_first_field_of_a_weak_reference_keeps_nothing_alive_and_that_of_another_object_does():
    weak_type, strong_type, target = 0x7100, 0x7200, HEAP + 512
    weak, strong = (0, 0, 1, weak_type, target, 0), (0, 0, 1, strong_type, target, 0)
    _, _, _, pointers = pointers_to([target], 32, words(HEAP, *weak), words(HEAP + 48, *strong))

    found = is_weak(
        pointers, np.array([HEAP, HEAP + 48], np.uint64), lambda candidates: np.isin(candidates, [weak_type])
    )

    assert pointers.sources.tolist() == [HEAP + 32, HEAP + 80]
    assert found.tolist() == [True, False]


def test_a_word_before_a_key_may_be_its_hash_and_an_int_is_its_own():
    """A dict's table: hash, key, value. An int has its digits of 30 bits in its fourth word."""
    numbers = np.array([[1, TYPE, 2, (value & (1 << 30) - 1) | (value >> 30 << 32)] for value in (HEAP, 5)], np.uint64)
    thing = words(HEAP, 1, TYPE, 0, 0)
    _, _, objects, pointers = pointers_to([HEAP], 32, thing, words(ROOT, HEAP, 0x8000, HEAP + 8, 0x8000, HEAP))

    assert pointers.sources.tolist() == [ROOT, ROOT + 16, ROOT + 32]
    assert may_be_hash(pointers, objects).tolist() == [True, False, False]
    assert values_of_ints(numbers).tolist() == [HEAP, 5]


def test_a_pointer_into_the_middle_is_no_witness_beside_one_to_the_beginning_or_several_to_one_place():
    """What was freed leaves pointers, and a large block has its place now. An object may stand behind private data."""
    large, bus, other = HEAP, HEAP + 256, HEAP + 512
    leading = words(ROOT, large, large + 40, bus + 24, bus + 24, bus + 96, other + 8, other + 16)
    _, _, objects, pointers = pointers_to([large, bus, other], 128, leading)

    assert is_good_witness(pointers, objects).tolist() == [True, False, True, True, False, True, True]


@pytest.mark.parametrize(("field", "is_back"), [(88, True), (96, True), (104, False)])
def test_a_frame_points_back_at_its_generator_and_holds_it_no_more_than_that(field: int, is_back: bool):
    frame = 0x6000
    generator = words(HEAP, 1, TYPE, frame, 0)
    _, found, objects, pointers = pointers_to([HEAP], 32, generator, words(frame + field, HEAP))

    assert is_of_frame_to_generator(pointers, objects, found.heads).tolist() == [is_back]


def test_ring_devices_read_only_memory_and_dead_stack_are_left_out():
    mappings = [
        Mapping(0x1000, 0x2000, "r--p", "/lib/a.so"),
        Mapping(0x2000, 0x3000, "rw-p", "/lib/a.so"),
        Mapping(0x4000, 0x5000, "rw-s", "/memfd:ring"),
        Mapping(0x6000, 0x7000, "rw-s", "/dev/gpu"),
        Mapping(0x8000, 0xA000, "rw-p", "[stack]"),
        Mapping(0xB000, 0xE000, "rw-p", ""),
    ]

    found = writable_ranges(mappings, [0x9000], [(0xC000, 0xD000)], OWN_PATHS)

    assert found == [(0x2000, 0x3000), (0x9000 - 128, 0xA000), (0xB000, 0xC000), (0xD000, 0xE000)]


def a_scan(cycle: int, alive: int, lost: int, held: int, **more: object) -> SiteScan:
    addresses = HEAP + 32 * np.arange(alive, dtype=np.uint64)
    values = {
        "is_all_held": False,
        "forgotten_type": None,
        "forgotten_lost": 0,
        "forgotten_lost_type": None,
        "type": None,
        "holders": (),
        "lost_with": None,
        **more,
    }
    return SiteScan(cycle=cycle, alive=addresses, lost=addresses[:lost], held=held, **values)  # type: ignore[arg-type]


LATER_WITHOUT_THE_FIRST = np.arange(4, 24, dtype=np.uint64) * 32 + HEAP


@pytest.mark.parametrize(
    ("scans", "state", "kind"),
    [
        ([], "unknown", None),
        ([a_scan(100, 10, 10, 0)], "unknown", None),
        ([a_scan(100, 10, 10, 0), a_scan(150, 15, 15, 0)], "lost", None),
        ([a_scan(100, 10, 9, 1), a_scan(150, 15, 13, 2)], "lost", None),
        ([a_scan(100, 10, 10, 0), a_scan(150, 10, 10, 0)], "unknown", None),
        ([a_scan(100, 10, 10, 0), a_scan(150, 15, 15, 0), a_scan(150, 15, 15, 0)], "lost", None),
        ([a_scan(100, 10, 10, 0), a_scan(150, 10, 10, 0), a_scan(151, 10, 10, 0)], "unknown", None),
        ([a_scan(100, 10, 0, 10), a_scan(150, 15, 15, 0)], "unknown", None),
        (
            [a_scan(100, 10, 10, 0, forgotten_lost=10), a_scan(150, 15, 15, 0, forgotten_lost=15)],
            "lost",
            "lost-reference",
        ),
        ([a_scan(100, 10, 0, 10)], "held", None),
        ([a_scan(100, 10, 0, 10, forgotten_type="list")], "held", None),
        (
            [a_scan(100, 10, 0, 10, forgotten_type="list"), a_scan(150, 15, 0, 15, forgotten_type="list")],
            "held",
            "lost-reference",
        ),
        ([a_scan(100, 40, 15, 25), a_scan(150, 60, 34, 26)], "lost", None),
        ([a_scan(100, 40, 15, 25), a_scan(150, 60, 30, 30)], "unknown", None),
        ([a_scan(100, 40, 3, 37), a_scan(150, 80, 42, 38)], "unknown", None),
        ([a_scan(100, 10, 5, 5)], "unknown", None),
        ([a_scan(100, 10, 0, 0)], "held", "reference-cycle"),
        ([a_scan(100, 2, 0, 2)], "unknown", None),
        ([a_scan(100, 2, 0, 2, is_all_held=True)], "held", None),
    ],
)
def test_two_scans_decide_what_is_lost_and_one_what_is_held(scans: list[SiteScan], state: str, kind: str | None):
    """Four in five blocks at two scans, and more at the second; or four in five of those that have come between.

    A third scan soon after the second has nothing new to see, and does not take back what those two prove.
    """
    reachability = judge_scans(scans)

    assert (reachability.state, reachability.kind) == (state, kind)
    assert (reachability.unseen is not None) == (state == "unknown")


def test_the_holder_of_glib_is_that_of_the_newest_scan_that_leads_to_one_without_a_doubt():
    """A word that was left behind may lead astray; then an earlier scan tells, or none does."""
    array, queue = Holder(0x1000, 5, size_bytes=4096, is_alone=True), Holder(0x2000, 6, size_bytes=32, is_alone=True)
    bus, other = Holder(0x3000, 6, gtypes=(3, 7), is_alone=True), Holder(0x4000, 8, gtypes=(9,))
    root = Holder(0x5000, None)
    astray = array, replace(queue, is_alone=False), other, root
    scans = [a_scan(150, 10, 0, 10, holders=(array, queue, bus, root)), a_scan(200, 10, 0, 10, holders=astray)]
    found = Reachability("held", holders=scans[-1].holders)

    def named(names: dict[int, str], *seen: SiteScan) -> list[tuple[str | None, str]]:
        told = with_holder_of_glib(found, seen, names)
        return [(step.type, step.kind) for step in find_memory_path(told, lambda _: None, None)]

    names = {7: "GstBus", 9: "GstPad"}
    assert named(names, *scans) == [("GstBus", "gobject"), (None, "block"), (None, "block")]
    assert named(names, scans[1]) == [("GstPad", "block"), (None, "block"), (None, "block")]
    assert named({}, *scans) == [(None, "block")] * 3
    found = replace(found, holders=(array, queue, bus))
    assert named(names) == [("GstBus", "block"), (None, "block"), (None, "block")]


def test_blocks_that_were_released_after_all_show_that_their_pointers_are_hidden():
    """A scan does not see a tagged or scrambled pointer; a block that is freed later was never lost."""
    before, after = a_scan(100, 10, 10, 0), a_scan(150, 24, 24, 0)
    later = SiteScan(**{**vars(after), "alive": LATER_WITHOUT_THE_FIRST, "lost": LATER_WITHOUT_THE_FIRST})

    assert judge_scans([before, later]) == Reachability("unknown", Unseen.FREED_LATER)


@pytest.mark.parametrize(
    ("scans", "unseen"),
    [
        ([a_scan(100, 100, 80, 20), a_scan(150, 217, 169, 48)], Unseen.MOST_LOST),
        ([a_scan(100, 10, 6, 4)], Unseen.MOST_LOST),
        ([a_scan(100, 10, 5, 5)], Unseen.SOME_HELD),
        ([a_scan(100, 10, 4, 6)], Unseen.SOME_HELD),
    ],
)
def test_what_falls_short_of_a_proof_is_told_apart(scans: list[SiteScan], unseen: Unseen):
    """Four in five prove it; of more than half it is likely."""
    assert judge_scans(scans) == Reachability("unknown", unseen)


@pytest.mark.parametrize(
    ("places", "weights", "place"),
    [
        ([0x1008, 0x5000, 0x5008, 0x5010], [1, 1, 1, 1], 0x5000),
        ([0x1008, 0x5000, 0x5008, 0x9000], [1, 1, 2, 1], 0x5008),
        ([0x1008, 0x5000], [5, 1], 0x1008),
        ([0x1008, 0x5000], [0.5, 1], 0x5000),
        ([0x1008], [1], 0x1008),
    ],
    ids=["a table", "one word of it more often", "one word for most", "a stack", "one"],
)
def test_the_word_that_is_told_as_holder_stands_where_most_stand(places: list[int], weights: list[float], place: int):
    """A pointer that was left in an old object is one of many, and the first by address; it holds one block."""
    assert usual_word(np.array(places, np.uint64), np.array(weights, float), [0x1000, 0x5000, 0x9000]) == place


@pytest.mark.parametrize("stray", [ROOT - 0x100, ROOT + 0x100])
def test_a_static_variable_is_the_root_that_is_told_before_a_word_that_was_left_somewhere(stray: int):
    """The head of a list in C is static; a stray word leads to a block in its middle, and to its newest."""
    starts, size = [HEAP + 0x40 * number for number in range(6)], 0x40
    nodes = [words(start, next_one) for start, next_one in zip(starts, [*starts[1:], 0], strict=True)]
    kept = HEAP + 5 * size  # a pointer into its middle, from a static variable of its own
    pieces = [*nodes, words(ROOT, starts[0], kept + 8), words(stray, starts[0], starts[3])]
    addresses, lengths = np.array(starts, np.uint64), np.full(6, size, np.uint64)
    found = search(addresses, lengths, pieces)
    pointers, objects = found.pointers(), find_objects(found.heads, lambda kinds: kinds[:0])
    inside = (pointers.sources >= HEAP) & (pointers.sources < HEAP + 6 * size)
    sources_in = np.where(inside, (pointers.sources.astype(np.int64) - HEAP) // size, -1)

    told = reach(pointers, sources_in, objects, np.isin(pointers.sources, (ROOT, ROOT + 8)))
    without = reach(pointers, sources_in, objects)

    assert told.roots.tolist() == [ROOT] * 5 + [ROOT + 8]
    assert told.reached.all()
    assert told.before.tolist() == [-1, 0, 1, 2, 3, -1]
    assert without.reached.all()
    assert stray + 8 in without.roots.tolist()
