"""Memory that a library maps and hands out itself: what is resident of it may be growing, or not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from soak.attribution.audit import NATIVE_BLOCKS, Breakdown, Source, compare
from soak.attribution.fragmentation import is_mapped_by_program
from soak.attribution.own_allocators import may_grow
from soak.results import Place

MIB = 1 << 20
BY_THE_PROGRAM, OF_A_FILE = Source("mapping", "", 7), Source("mapping", "/usr/lib/libblas.so")


def audits(sizes: Sequence[float], cycles: Sequence[int] = (250, 500, 1000, 2000)) -> list[Breakdown]:
    """Give audits with so many MiB of what the program has mapped; a file's pages come and go as well."""
    return [
        Breakdown(cycle, 60 * MIB, {BY_THE_PROGRAM: int(size * MIB), OF_A_FILE: cycle})
        for cycle, size in zip(cycles, sizes, strict=True)
    ]


def may_be_growing(sizes: Sequence[float], cycle: int = 2100) -> bool:
    return may_grow(audits(sizes), cycle, 1.0, recent_share=0.75)


@pytest.mark.parametrize(
    ("sizes", "grows"),
    [
        ((12, 12, 12, 12), False),
        ((12, 13, 14, 15), True),
        ((12, 16, 16, 24), True),  # a buffer that doubles
        ((12, 12, 16, 16), True),  # by the grain of the allocator
        ((12, 15, 16, 13), False),  # it comes and goes
        ((16, 12, 12, 12), False),
    ],
)
def test_what_is_resident_may_be_growing_where_it_is_most_at_the_end(sizes: Sequence[float], grows: bool):
    assert may_be_growing(sizes) is grows


def test_growth_within_the_warm_up_is_none():
    assert may_grow(audits((2, 12, 12, 12)), 2100, 1.0, recent_share=0.75)
    assert not may_grow(audits((2, 12, 12, 12), (240, 500, 1000, 2000)), 2100, 1.0, recent_share=0.75)


def test_what_changes_is_open_until_an_audit_speaks_of_most_cycles():
    assert may_be_growing((12, 15, 16, 13), cycle=4000)
    assert not may_be_growing((12, 12, 12, 12), cycle=4000)
    assert not may_grow([], 4000, 1.0, recent_share=0.75)


def test_memory_that_the_program_mapped_explains_rss_that_grows_by_nothing_else():
    def grown(mapped: float, blocks: float, module: str = "/lib/own.so") -> bool:
        before = Breakdown(1000, 60 * MIB, {BY_THE_PROGRAM: 8 * MIB, NATIVE_BLOCKS: 8 * MIB})
        parts = {BY_THE_PROGRAM: int((8 + mapped) * MIB), NATIVE_BLOCKS: int((8 + blocks) * MIB)}
        after = Breakdown(2000, int((60 + mapped + blocks) * MIB), parts)
        audit = compare([before, after], lambda site: Place("arena_map", None, None, module))
        assert audit is not None
        return is_mapped_by_program(audit)

    assert grown(mapped=8, blocks=0)
    assert not grown(mapped=8, blocks=8)
    assert not grown(mapped=8, blocks=0, module="/usr/lib/libpython3.11.so.1.0")
    assert not grown(mapped=0.1, blocks=0)
