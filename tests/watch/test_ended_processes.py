"""Where processes grew that have ended: in the later part of their lives, summed up over all of them."""

from __future__ import annotations

import numpy as np
import pytest

from soak.native.layout import ROW
from soak.probes.ledgers.ended import EndedGrowth, Life

OWNERS = np.array([0, 1, 2, 2])
"""Site 3 is a stack of site 2."""


def rows(**live_bytes: int) -> np.ndarray:
    """Return rows of a ledger; ``s2``: bytes at site 2."""
    found = np.zeros(len(live_bytes), ROW)
    found["site"] = [int(name[1:]) for name in live_bytes]
    found["live_bytes"] = list(live_bytes.values())
    return found


def a_life(readings: int, per_mark: int, *, warm_up: int = 0) -> Life:
    """Give a process of two marks a reading. It fills site 1 at first, and leaks at site 2, half of it by a stack."""
    life = Life()
    for number in range(readings):
        grown = number * per_mark
        life.see(2 * number, OWNERS, rows(s1=min(number, 4) * warm_up, s2=grown, s3=grown))
    return life


@pytest.mark.parametrize("readings", [16, 40, 200])
def test_what_leaks_up_to_the_end_is_told_with_its_rate_and_not_what_warmed_up(readings: int):
    ended = EndedGrowth()
    for _ in range(3):
        ended.add(a_life(readings, 500, warm_up=10**6))

    most = ended.most()

    assert most is not None
    assert (most.site, most.bytes / most.marks) == (2, 500.0)


def test_what_sites_grew_by_is_told_for_each_mark_of_the_processes():
    ended = EndedGrowth()
    assert ended.per_mark([2]) is None

    ended.add(a_life(40, 500))
    ended.add(a_life(40, 100, warm_up=10**6))

    assert ended.per_mark([2]) == pytest.approx(300.0)
    assert ended.per_mark([1, 2, 9]) == pytest.approx(300.0)
    assert ended.per_mark([1]) == 0.0


def test_a_process_that_gives_everything_back_at_its_end_has_grown_all_the_same():
    life = a_life(40, 500)
    life.see(80, OWNERS, rows(s1=0))
    ended = EndedGrowth()
    ended.add(life)

    most = ended.most()

    assert most is not None
    assert most.bytes / most.marks == 500.0


def test_processes_that_did_not_grow_or_lived_for_a_moment_say_nothing():
    ended = EndedGrowth()
    ended.add(a_life(40, 0, warm_up=1000))
    ended.add(a_life(4, 500))
    ended.add(Life())

    assert ended.most() is None
