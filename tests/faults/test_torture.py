"""The short form of ``make torture``: a few kills at random moments; nothing is lost or left behind."""

from __future__ import annotations

import pytest
import torture

pytestmark = [pytest.mark.integration, pytest.mark.long]


def test_kills_at_random_moments_cost_nothing():
    """Eight kills, of soak and of measured processes; each database opens, each resumed run gives the same verdicts."""
    rounds = list(torture.torture(8, seed=11, jobs=2, longest_s=3.0))

    assert [done.faults for done in rounds] == [()] * 8
    assert max(done.missing for done in rounds) <= 1
    assert {done.killed for done in rounds} >= {"parent", "child"}
    assert sum(done.compared for done in rounds) > 0


def test_what_is_missing_is_counted():
    """The control: checkpoints that a process handed over and the database does not have."""
    handed_over = [[(0, 0.0), (16, 0.5), (32, 1.0), (48, 1.5)], [(0, 0.0), (16, 0.75), (32, 1.25)]]

    assert torture.compare(handed_over, handed_over) == (0, 7)
    assert torture.compare(handed_over, [handed_over[0][:2], handed_over[1]]) == (2, 7)
    assert torture.compare(handed_over, [[], handed_over[1][:2]]) == (1, 3)
