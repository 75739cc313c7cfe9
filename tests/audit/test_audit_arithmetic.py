"""The arithmetic of the audit: every resident byte belongs to one part, by its address, and nothing is made up."""

from __future__ import annotations

import random

import pytest
from audit_builder import MAPPING, NATIVE, PAGE, PYMALLOC_ARENA, PYTHON_OBJ, area, blocks, mapped, memory

from soak.attribution.audit import (
    ARENA_FREE,
    MALLOC,
    MALLOC_FREE,
    NATIVE_BLOCKS,
    PYMALLOC_FREE,
    PYTHON_BLOCKS,
    ROUNDING,
    STACKS,
    TRACKER,
    Breakdown,
    Source,
    compare,
    divide,
)
from soak.attribution.fragmentation import explains_rss, may_be_fragmentation
from soak.measurements import NOTABLE_RSS_BYTES
from soak.probes.resident import Resident
from soak.results import Place

HEAP, ARENA, THREADS = 0x5000_0000, 0x7000_0000, 0x7F00_0000_0000
MIB = 1 << 20


def unexplained(breakdown: Breakdown) -> int:
    return breakdown.rss_bytes - sum(breakdown.parts.values())


def test_a_block_is_what_was_asked_for_and_the_rest_of_its_chunk_is_rounding():
    """106 B in a chunk of 128 B, 16 B in one of 32 B; what no block covers is free."""
    heap = memory(area(HEAP, "##", "[heap]"))

    found = divide(1, heap, blocks((HEAP + 16, 106, NATIVE), (HEAP + 144, 16, NATIVE)))

    assert found.parts == {NATIVE_BLOCKS: 122, ROUNDING: 128 + 32 - 122, MALLOC_FREE: 2 * PAGE - 160}


def test_memory_that_was_never_touched_counts_for_nothing():
    """A block of three pages of which the middle one is not resident, as one that calloc made."""
    heap = memory(area(HEAP, "#.#", "[heap]"))

    found = divide(1, heap, blocks((HEAP + 16, 3 * PAGE - 64, NATIVE)))

    assert found.parts[NATIVE_BLOCKS] == 2 * PAGE - 64
    assert unexplained(found) == 0


def test_small_objects_of_python_round_up_to_16_in_arenas_and_as_chunks_in_the_heap():
    """An object of more than 512 B comes from malloc; it is a Python block all the same."""
    resident = memory(area(HEAP, "#", "[heap]"), area(ARENA, "####"))

    found = divide(
        1,
        resident,
        blocks((HEAP + 16, 1000, PYTHON_OBJ), (ARENA + 48, 106, PYTHON_OBJ)),
        mapped((ARENA, 4, 3, PYMALLOC_ARENA)),
    )

    assert found.parts == {
        PYTHON_BLOCKS: 1106,
        ROUNDING: (1008 - 1000) + (112 - 106),
        MALLOC_FREE: PAGE - 1008,
        PYMALLOC_FREE: 4 * PAGE - 112,
    }


def test_an_arena_from_before_the_hook_is_told_by_the_small_objects_in_it():
    """The interpreter maps its first arenas before its allocators are wrapped; another mapping stays one."""
    resident = memory(area(ARENA, "####"), area(ARENA + 4 * PAGE, "##"))

    found = divide(
        1,
        resident,
        blocks((ARENA + 48, 64, PYTHON_OBJ)),
        mapped((ARENA, 4, 3, MAPPING), (ARENA + 4 * PAGE, 2, 5, MAPPING)),
    )

    assert found.parts == {PYTHON_BLOCKS: 64, PYMALLOC_FREE: 4 * PAGE - 64, Source("mapping", "", 5): 2 * PAGE}


def test_a_large_block_has_a_mapping_of_its_own():
    """Malloc maps it, past any hook; the block says whose memory it is, to the end of its last page."""
    resident = memory(area(ARENA, "#" * 33))

    found = divide(1, resident, blocks((ARENA + 16, 128 * 1024, NATIVE)), mapped())

    assert found.parts == {NATIVE_BLOCKS: 128 * 1024, ROUNDING: 33 * PAGE - 128 * 1024}


def test_thread_arenas_stacks_files_and_the_tracker_are_told_apart():
    """A stack by its thread's pointer or by the guard page below it; variables that begin as zero by their file."""
    resident = memory(
        area(HEAP, "#", "/usr/lib/libx.so", "r-xp"),
        area(HEAP + PAGE, "#", "/usr/lib/libx.so"),
        area(HEAP + 2 * PAGE, "##"),
        area(THREADS, "##"),
        area(THREADS + 2 * PAGE, "..", permissions="---p"),
        area(THREADS + (64 << 20), ".", permissions="---p"),
        area(THREADS + (64 << 20) + PAGE, "#"),
        area(THREADS + (80 << 20), ".#"),
        area(THREADS + (96 << 20), "###", is_own=True),
        area(THREADS + (112 << 20), "#", "/memfd:soak-ring (deleted)", "rw-s"),
        area(THREADS + (128 << 20), "##"),
        thread_heaps=((THREADS, THREADS + 2 * PAGE),),
        stack_pointers=(THREADS + (80 << 20) + PAGE + 64,),
    )

    found = divide(1, resident, blocks((THREADS + 1024, 24, NATIVE)), mapped())

    assert found.parts == {
        Source("mapping", "/usr/lib/libx.so"): 4 * PAGE,
        NATIVE_BLOCKS: 24,
        ROUNDING: 8,
        ARENA_FREE: 2 * PAGE - 32,
        STACKS: 2 * PAGE,
        TRACKER: 4 * PAGE,
    }
    assert unexplained(found) == 2 * PAGE  # anonymous memory that nobody knows


def test_a_tracker_that_shares_a_mapping_with_the_program_gets_its_own_ranges_only():
    resident = memory(area(ARENA, "####"))

    found = divide(1, resident, blocks(), mapped((ARENA, 4, 9, MAPPING)), [(ARENA + PAGE, ARENA + 2 * PAGE)])

    assert found.parts == {TRACKER: PAGE, Source("mapping", "", 9): 3 * PAGE}


def test_without_the_tracker_the_heap_is_divided_by_what_malloc_says_is_free():
    """Free memory that is not resident counts for nothing, and the free part is never larger than the heap."""
    resident = memory(area(HEAP, "####..", "[heap]"), area(ARENA, "##"))

    assert divide(1, resident, free_bytes=1000).parts == {MALLOC: 4 * PAGE}
    assert divide(1, resident, free_bytes=2 * PAGE + 1000).parts == {MALLOC: 4 * PAGE - 1000, MALLOC_FREE: 1000}
    assert divide(1, resident, free_bytes=10 * PAGE).parts == {MALLOC_FREE: 4 * PAGE}
    assert unexplained(divide(1, resident)) == 2 * PAGE


def test_what_packed_tables_save_is_told_as_tables():
    """So a later audit does not have less of them, which would hide what grows."""
    found = divide(1, memory(area(HEAP, "##", "[heap]")), blocks()).with_tables(3 * PAGE)

    assert found.parts[TRACKER] == 3 * PAGE
    assert found.rss_bytes == 5 * PAGE
    assert unexplained(found) == 0


def test_what_the_kernel_counts_beyond_the_mappings_is_unexplained():
    """Kernels before 6.16 count RSS in batches."""
    assert unexplained(divide(1, memory(area(HEAP, "#", "[heap]"), beyond=3 * PAGE), blocks())) == 3 * PAGE


@pytest.mark.parametrize("seed", range(20))
def test_no_byte_is_counted_twice_whatever_lies_where(seed: int):
    """Blocks, mappings and ranges at random: no part is below zero and the sum is never above what is resident."""
    chance = random.Random(seed)
    pages = "".join(chance.choice("#.") for _ in range(64))
    resident = memory(area(HEAP, pages + "#", "[heap]"), area(ARENA, pages[::-1] + "#"))
    rows = []
    for start in (HEAP, ARENA):
        address = start + 16
        while address < start + 60 * PAGE:
            size = chance.choice((1, 24, 106, 512, 3000))
            rows.append((address, size, chance.choice((NATIVE, PYTHON_OBJ))))
            address += -(-(size + 8) // 16) * 16 + 16 * chance.randrange(200)

    found = divide(1, resident, blocks(*rows), mapped((ARENA + 8 * PAGE, 20, 4, PYMALLOC_ARENA)))

    assert min(found.parts.values()) >= 0
    assert 0 <= unexplained(found) <= resident.rss_bytes
    every = sum(one[1] for one in rows)
    assert found.parts[NATIVE_BLOCKS] + found.parts[PYTHON_BLOCKS] <= every


def locate_site(site: int) -> Place:
    """Eight sites in a row are of one function."""
    return Place(f"mmap{site // 8}", None, None, "/lib/libc.so.6")


def a_breakdown(cycle: int, rss_bytes: int, **kinds: int) -> Breakdown:
    return Breakdown(cycle, rss_bytes, {Source(kind.replace("_", "-")): size for kind, size in kinds.items()})


def test_growth_is_that_of_the_parts_and_what_remains_is_printed():
    """From the first to the last, each with its rate; the sum is exact."""
    audit = compare(
        [a_breakdown(100, 10_000, native_blocks=4_000, stacks=1_000), a_breakdown(200, 30_500, native_blocks=24_000)],
        locate_site,
    )

    assert audit is not None
    assert [(part.kind, part.bytes, part.bytes_per_iteration) for part in audit.parts] == [
        ("native-blocks", 20_000, 200.0),
        ("stacks", -1_000, -10.0),
    ]
    assert (audit.rss_bytes, audit.unexplained_bytes, audit.bytes_per_iteration) == (20_500, 1_500, 205.0)
    assert audit.unexplained_resident_bytes == (5_000, 6_500)


def test_the_warm_up_is_left_out_where_there_is_enough_after_it():
    """It is the first eighth of the cycles; with fewer than two audits after it, the last two are compared."""
    series = [a_breakdown(cycle, 1_000 * cycle) for cycle in (8, 100, 125, 500, 1000)]
    early = [a_breakdown(cycle, 1_000 * cycle) for cycle in (8, 12, 18, 1000)]

    assert compare(series, locate_site).cycles == (125, 500, 1000)  # type: ignore[union-attr]
    assert compare(early, locate_site).cycles == (18, 1000)  # type: ignore[union-attr]
    assert compare(series[:1], locate_site) is None
    assert compare([], locate_site) is None


def test_mappings_are_named_and_those_that_hardly_change_are_one():
    """They are named by file or by the call that made them; the four with the largest change are separate parts."""
    first = {Source("mapping", f"/lib/{n}.so"): 1000 for n in range(6)}
    last = {Source("mapping", f"/lib/{n}.so"): 1000 + n for n in range(6)} | {
        Source("mapping", "", 8): 500,
        Source("mapping", "", 9): 600,
    }

    audit = compare([Breakdown(1, 6000, first), Breakdown(2, 7115, last)], locate_site)

    assert audit is not None
    assert [(part.name, part.bytes) for part in audit.parts] == [
        ("mmap1 in libc.so.6", 1100),
        ("/lib/5.so", 5),
        ("/lib/4.so", 4),
        ("/lib/3.so", 3),
        ("other mappings", 3),
    ]
    assert audit.parts[0].made_by == Place("mmap1", None, None, "/lib/libc.so.6")
    assert audit.parts[1].made_by is None
    assert audit.unexplained_bytes == 0


@pytest.mark.parametrize(
    ("free", "used", "is_fragmentation"),
    [
        ((0, 1, 2, 3, 4), (0, 0, 0, 0, 0), True),
        ((0, 1, 2, 3, 4), (9, 9, 9, 9, 8), True),  # the program even gives memory back
        ((0, 4, 4, 4, 4), (0, 0, 0, 0, 0), False),  # one peak, long ago
        ((0, 1, 2, 3, 4), (0, 1, 2, 3, 4), False),  # a leak with holes in it
        ((0, 0, 0, 0, 0), (0, 1, 2, 3, 4), False),  # a leak
        ((4, 3, 2, 1, 0), (0, 1, 2, 3, 4), False),  # a leak that fills what was free
    ],
)
def test_fragmentation_is_free_memory_that_goes_on_growing_while_what_is_in_use_does_not(
    free: tuple[int, ...], used: tuple[int, ...], is_fragmentation: bool
):
    """The tracker's own tables grow with the heap; that is no growth of the program."""
    series = [
        a_breakdown(
            100 + at, (20 + one + other + at) * MIB, malloc_free=one * MIB, native_blocks=other * MIB, tracker=at * MIB
        )
        for at, (one, other) in enumerate(zip(free, used, strict=True))
    ]

    audit = compare(series, locate_site)

    assert audit is not None
    assert audit.fragmentation is is_fragmentation


@pytest.mark.parametrize(
    ("cycles", "free", "is_fragmentation", "is_explained"),
    [
        ((120, 450, 890, 900), (0, 35, 79, 80), True, True),
        ((120, 450, 890, 900), (0, 79, 80, 80), False, True),
        ((120, 890, 900), (0, 79, 80), False, False),  # whether it goes on is not known
        ((120, 900), (0, 80), False, False),
        ((120, 900), (0, 0), False, True),
    ],
)
def test_whether_free_memory_goes_on_growing_is_told_by_the_cycles_of_the_audits(
    cycles: tuple[int, ...], free: tuple[int, ...], is_fragmentation: bool, is_explained: bool
):
    """They are not evenly spread: the last cycle has one of its own. Too few of them explain no growth."""
    series = [a_breakdown(at, one * MIB, malloc_free=one * MIB) for at, one in zip(cycles, free, strict=True)]

    audit = compare(series, locate_site)

    assert audit is not None
    assert (audit.fragmentation, explains_rss(audit, 1.0)) == (is_fragmentation, is_explained)


@pytest.mark.parametrize(
    ("rss_mib", "growth_mib", "is_fragmentation", "is_explained"),
    [
        (20, 0.9, False, True),  # the pages of one arena, used for the first time
        (20, 1.5, False, False),  # it may end, as arenas fill, or go on
        (20, 3.9, False, False),
        (20, 4.0, True, True),
        (640, 39, False, False),  # of a large process the heap walks further
        (640, 40, True, True),
    ],
)
def test_few_arenas_of_free_memory_are_neither_fragmentation_nor_explained(
    rss_mib: int, growth_mib: float, is_fragmentation: bool, is_explained: bool
):
    """A template engine under a cache of 400 took 1.6 MiB in 16,000 calls, and no more in the next 50,000."""
    free = [int(growth_mib * MIB * at / 4) for at in range(5)]
    series = [a_breakdown(1000 * (1 + at), rss_mib * MIB + one, pymalloc_free=one) for at, one in enumerate(free)]

    audit = compare(series, locate_site)

    assert audit is not None
    assert (audit.fragmentation, explains_rss(audit, 1.0)) == (is_fragmentation, is_explained)
    assert may_be_fragmentation(audit) is not is_explained


def test_what_hardly_grows_is_not_called_fragmentation():
    series = [
        a_breakdown(100 + at, at * NOTABLE_RSS_BYTES // 8, malloc_free=at * NOTABLE_RSS_BYTES // 8) for at in range(5)
    ]

    assert compare(series, locate_site).fragmentation is False  # type: ignore[union-attr]


def test_a_process_without_memory_has_no_parts():
    """The files of a zombie in /proc are empty."""
    assert divide(1, Resident(0, (), (), ())).parts == {}
    assert divide(1, Resident(0, (), (), ()), blocks((16, 8, NATIVE)), mapped()).parts == {}
