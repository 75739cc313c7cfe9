"""The interval of a rate over the later half of the cycles: it contains the true rate, and is no wider than it must."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from soak.analysis.sites.later_growth import later_growth

RUNS, RATE = 200, 106
Lost = Callable[[np.random.Generator, int], NDArray[np.float64]]
"""Bytes that are lost in each of so many cycles, 106 on average."""

LEAKS: dict[str, Lost] = {
    "in nine cycles of ten": lambda rng, cycles: np.where(rng.random(cycles) < 0.9, RATE / 0.9, 0),
    "in half of the cycles": lambda rng, cycles: np.where(rng.random(cycles) < 0.5, 2 * RATE, 0),
    "in a tenth of the cycles": lambda rng, cycles: np.where(rng.random(cycles) < 0.1, 10 * RATE, 0),
    "of any size": lambda rng, cycles: rng.uniform(0, 2 * RATE, cycles),
    "of sizes with a long tail": lambda rng, cycles: RATE * rng.lognormal(-0.5, 1.0, cycles),
}


def checkpoints(cycles: int, spacing: int) -> NDArray[np.int64]:
    """Return the cycles at which a run is read: as far apart as a part of the cycles so far."""
    at = [0]
    while at[-1] < cycles:
        at.append(min(at[-1] + max(1, at[-1] // spacing), cycles))
    return np.array(at)


def grown(lost: NDArray[np.float64], at: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate(([0.0], np.cumsum(lost)))[at].astype(np.int64)


@pytest.mark.parametrize("cycles", [150, 2000])
@pytest.mark.parametrize("spacing", [64, 8], ids=["dense", "sparse"])
@pytest.mark.parametrize("leak", LEAKS)
def test_the_interval_contains_the_true_rate(leak: str, spacing: int, cycles: int):
    """In 19 of 20 runs at least. With seeds that stand, so the count is always the same."""
    contained = 0
    for run in range(RUNS):
        lost = LEAKS[leak](np.random.default_rng([run, cycles, spacing]), cycles)
        at = checkpoints(cycles, spacing)
        found = later_growth(at, grown(lost, at))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        contained += found.low <= RATE <= found.high

    assert contained >= 0.95 * RUNS


def test_of_what_is_lost_in_each_cycle_the_rate_is_exact():
    at = checkpoints(500, 64)

    found = later_growth(at, RATE * at)

    assert found is not None
    assert (found.rate, found.low, found.high) == (RATE, RATE, RATE)


def test_few_readings_make_the_interval_wider_and_do_not_reach_below_nothing():
    """Three parts, at 100, 140 and 60 B a cycle: by their range, 80 B, on either side; a rise is not below 0."""
    at = np.array([0, 60, 80, 100, 120])

    found = later_growth(at, np.array([0, 0, 2000, 4800, 6000]))

    assert found is not None
    assert (found.rate, found.low, found.high) == (100.0, 0.0, 220.0)


def test_without_readings_there_is_no_rate():
    assert later_growth(np.zeros(0, np.int64), np.zeros(0, np.int64)) is None
    assert later_growth(np.array([5]), np.array([7])) is None
