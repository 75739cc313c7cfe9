"""What a cycle of a watched program is, how many there must be, and when its blocks are counted."""

from __future__ import annotations

import pytest

from soak.running.watch.judging.count_pace import CountPace
from soak.running.watch.judging.pace import WatchPace
from soak.running.watch.plan import WatchPlan


def paced(marks_per_sample: float, samples: int = 40, **changes) -> WatchPace:
    plan = WatchPlan(**{"every_s": 0.1, "duration_s": None, "tolerance_bytes": 1.0, "n_min": None,
                        "stop_at_leak": False} | changes)  # fmt: skip
    pace = WatchPace(plan, 0, tracked=True)
    for sample in range(samples):
        pace.turn(sample, int(sample * marks_per_sample))
    return pace


@pytest.mark.parametrize(("marks_per_sample", "expected"), [(0.5, 256), (5, 640), (10, 1024), (1000, 1024)])
def test_n_min_in_marks_follows_from_the_pace_within_bounds(marks_per_sample: float, expected: int):
    pace = paced(marks_per_sample)

    assert (pace.noun, pace.n_min) == ("mark", expected)


def test_the_first_marks_alone_say_nothing_of_the_pace():
    assert paced(1, samples=8).noun == "sample"
    assert paced(1, samples=10).noun == "mark"


def test_a_long_watch_takes_a_part_of_its_marks_for_n_min():
    assert paced(10, duration_s=8 * 3600.0).n_min == 10 * 10 * 8 * 3600 // 64


def test_an_n_min_that_was_asked_for_is_kept():
    assert paced(10, n_min=300).n_min == 300


def share_of_counts(seconds: float, took_s: float) -> tuple[int, float]:
    """Return how many counts there are in so many seconds, and their part of the time."""
    pace, counts = CountPace(0.1), 0
    for sample in range(round(seconds / 0.1)):
        if pace.is_due(sample * 0.1):
            counts += 1
            pace.spend(sample * 0.1, took_s)
    return counts, counts * took_s / seconds


@pytest.mark.parametrize("took_s", [0.005, 0.02, 0.05])
def test_counts_are_dense_enough_for_a_look_after_thirty_seconds(took_s: float):
    """The rule needs two readings in each of 24 blocks."""
    counts, _ = share_of_counts(30, took_s)

    assert counts >= 64


@pytest.mark.parametrize("took_s", [0.02, 0.2, 2.0])
def test_counts_take_a_fifth_of_a_processor_at_most_and_less_and_less(took_s: float):
    shares = [share_of_counts(seconds, took_s)[1] for seconds in (60, 600, 6000)]

    assert shares[0] <= 0.23
    assert shares == sorted(shares, reverse=True)
    assert share_of_counts(36_000, took_s)[1] < 0.03
