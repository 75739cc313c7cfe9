"""Whether a call site has grown by the same in each part of a run, however its checkpoints are spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from soak.analysis.sites.ledger import LedgerJudge

SITE = 0
EVEN = tuple(range(0, 640, 8))
GAP = (*range(0, 61, 6), *range(571, 640, 6))
"""Decisions and scans on a busy machine left no time to read anything for five hundred cycles."""
END_ALONE = (*range(0, 61, 6), 571)


def grows(cycles: Sequence[int], blocks: Callable[[int], int]) -> bool:
    judge = LedgerJudge(1.0)
    for cycle in cycles:
        judge.add(cycle, np.array([blocks(cycle)]), np.array([64 * blocks(cycle)]))
    return judge.grows_in_each_cycle(SITE)


@pytest.mark.parametrize("cycles", [EVEN, GAP], ids=["even", "a gap"])
def test_growth_in_each_cycle_is_seen_also_where_most_of_a_run_was_not_read(cycles: Sequence[int]):
    assert grows(cycles, lambda cycle: 7 * cycle)


@pytest.mark.parametrize("cycles", [EVEN, GAP], ids=["even", "a gap"])
@pytest.mark.parametrize("full_at", [300, 590, 610])
def test_what_has_become_full_does_not_grow_in_each_cycle(cycles: Sequence[int], full_at: int):
    assert not grows(cycles, lambda cycle: 7 * min(cycle, full_at))


def test_one_reading_after_a_gap_tells_nothing_of_the_cycles_between():
    assert not grows(END_ALONE, lambda cycle: 7 * cycle)
