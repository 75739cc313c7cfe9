"""A count that missed a block which was replaced meanwhile is made again; what is freed stays freed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from soak.probes.ledgers.torn import TornCounts

MISSED, FREED = -1.0, 0.0
LARGE = 50_000.0


def counts_needed(tables: list[float], then: list[float]) -> list[int]:
    """Let the table of the last site have each size in a count; return how often each of ``then`` is counted.

    A table that was missed is there when it is counted again.
    """
    counts, needed, there = TornCounts(), [], 0.0
    for size in (*tables, *then):
        there = there if size == MISSED else size
        tries = iter([0.0, there, there, there] if size == MISSED else [size] * 8)
        made = 0

        def count(tries: Iterator[float] = tries) -> np.ndarray:
            nonlocal made
            made += 1
            table = next(tries)
            return np.array([0.0, LARGE, table] if table else [0.0, LARGE])

        counts.settle(count)
        needed.append(made)
    return needed[len(tables) :]


@pytest.mark.parametrize(
    ("then", "needed"),
    [
        ([1.2, MISSED, 1.3, MISSED], [1, 2, 1, 2]),
        ([2.4, 1.2], [1, 1]),  # the old one and the new one at once
        ([FREED, FREED, FREED], [8, 1, 1]),
        ([FREED, 1.0, FREED, 1.0], [8, 1, 1, 1]),  # it comes and goes
        ([FREED, 1.0, 1.0, 1.0] * 4, [8, 1, 1, 1] * 3 + [1, 1, 1, 1]),  # again and again
    ],
    ids=["missed", "counted twice", "freed", "comes and goes", "comes and goes slowly"],
)
def test_what_was_there_in_each_count_is_looked_for_again(then: list[float], needed: list[int]):
    sizes = [size if size == MISSED else LARGE * size for size in then]

    assert counts_needed([LARGE, LARGE, 1.1 * LARGE], sizes) == needed


def test_what_comes_and_goes_or_is_small_is_not_looked_for():
    assert counts_needed([LARGE, FREED, LARGE], [FREED, LARGE, FREED]) == [1, 1, 1]
    assert counts_needed([1000.0, 1000.0, 1000.0], [FREED, MISSED]) == [1, 1]


def test_a_process_that_ends_while_it_is_counted_again_has_fewer_sites():
    """The sites that it has are those with live blocks: nothing may be left of the last ones."""
    torn = TornCounts()
    for _ in range(3):
        torn.settle(lambda: np.array([0.0, 0.0, 50_000.0]))
    counts = iter([np.array([0.0, 0.0, 100.0, 7.0, 9.0]), *[np.zeros(0)] * 7])

    torn.settle(lambda: next(counts))

    assert next(counts, None) is None
