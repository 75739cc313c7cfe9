"""Work beside the measuring: what is free, its share of the time, and the shortest time between two of it."""

from __future__ import annotations

import math

import pytest

from soak.running.time_share import TimeShare


def worked(share: TimeShare, takes_s: float, until_s: float, step_s: float = 0.01) -> list[float]:
    """Do work that takes so long whenever it is due; return when it began."""
    began, now_s = [], 0.0
    while now_s < until_s:
        if share.is_due(now_s):
            began.append(round(now_s, 6))
            share.spend(now_s, takes_s)
            now_s += takes_s
        now_s += step_s
    return began


def test_work_is_due_before_it_was_ever_done():
    assert TimeShare(0.01).is_due(-math.inf)
    assert TimeShare(0.01, every_s=60.0).is_due(0.0)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25])
@pytest.mark.parametrize("takes_s", [0.001, 0.05])
def test_work_takes_no_more_than_its_share(share: float, takes_s: float):
    """And nearly as much, where nothing else holds it up."""
    began = worked(TimeShare(share), takes_s, 20.0, step_s=0.0001)

    spent_s = len(began) * takes_s
    assert 0.9 * share * 20.0 <= spent_s <= share * 20.0 + takes_s


def test_cheap_work_is_not_done_more_often_than_said():
    began = worked(TimeShare(every_s=1.0), 0.0, 3.5)

    assert [round(moment_s, 1) for moment_s in began] == [0.0, 1.0, 2.0, 3.0]


def test_what_is_free_is_not_followed_by_a_rest():
    """Only what goes beyond it is."""
    share = TimeShare(0.1, free_s=0.25)

    share.spend(0.0, 0.2)
    assert share.is_due(0.2)
    share.spend(0.2, 0.2)  # 0.15 s more than what is free
    assert not share.is_due(0.2 + 1.5 - 0.001)
    assert share.is_due(0.2 + 1.5 + 0.001)


def test_time_that_was_not_used_is_not_saved():
    """After an hour of nothing each piece of work is followed by its rest all the same."""
    share = TimeShare(0.1)
    share.spend(0.0, 0.1)

    share.spend(3600.0, 0.1)

    assert not share.is_due(3600.9)
    assert (share.spent_s, share.last_s) == (pytest.approx(0.2), 0.1)
