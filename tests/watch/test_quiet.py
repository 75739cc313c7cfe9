"""Samples in which a program does nothing are no cycles; those in which little happens are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from soak.running.watch.judging.pace import WatchPace
from soak.running.watch.judging.quiet import QuietTime
from soak.running.watch.plan import WatchPlan

EVERY_S = 0.1
WORKING_S, RESTING_S = 0.03, 0.0002
"""Processor time in a sample."""


def quiet_samples(used_s: list[float], live: Callable[[int], int]) -> list[int]:
    """Return which samples are quiet. ``used_s``: the processor time in each, ``live``: the blocks at each."""
    quiet, total_s, found = QuietTime(EVERY_S), 0.0, []
    for sample, used in enumerate(used_s):
        total_s += used
        if quiet.is_quiet(sample * EVERY_S, total_s, lambda sample=sample: (live(sample), 0.001)):
            found.append(sample)
    return found


def with_pauses(rounds: int, working: int = 150, resting: int = 40) -> list[float]:
    return ([WORKING_S] * working + [RESTING_S] * resting) * rounds


def resting(used_s: list[float]) -> list[int]:
    return [sample for sample, used in enumerate(used_s) if used == RESTING_S]


def test_pauses_do_not_count_but_for_their_very_first_sample():
    """There it is not known yet whether something happened."""
    used_s = with_pauses(4)

    found = quiet_samples(used_s, live=lambda _: 7)

    assert found == resting(used_s)[1:]


def test_what_leaks_while_little_is_done_counts():
    """A thread in the background keeps one block in each sample, also while there are no requests."""
    assert quiet_samples(with_pauses(4), live=lambda sample: sample) == []


def test_a_program_that_always_does_little_has_no_pauses():
    assert quiet_samples([RESTING_S] * 1000, live=lambda _: 7) == []


def test_imports_at_the_start_are_not_taken_for_its_work():
    """They use much more than what follows; within a minute that counts."""
    found = quiet_samples([EVERY_S] * 30 + [RESTING_S] * 1000, live=lambda _: 7)

    assert max(found) < 150


def test_long_idleness_counts_at_the_latest_after_a_minute():
    """So a watch of an idle program goes on to say that it does not grow."""
    found = quiet_samples([WORKING_S] * 600 + [RESTING_S] * 1200, live=lambda _: 7)

    assert 400 <= len(found) <= 600
    assert max(found) < 1200


def test_where_the_processor_time_cannot_be_read_every_sample_counts():
    quiet = QuietTime(EVERY_S)

    assert not any(quiet.is_quiet(sample * EVERY_S, None, lambda: (7, 0.001)) for sample in range(100))


@pytest.fixture
def pace() -> WatchPace:
    return WatchPace(WatchPlan(EVERY_S, None, 1.0, None, stop_at_leak=False), 10, tracked=True)


def test_cycles_stand_still_in_quiet_samples_also_where_samples_were_missed(pace: WatchPace):
    answers = [(11, False), (12, True), (13, False), (16, True), (17, False)]

    cycles = [pace.cycles_at(sample, is_quiet=is_quiet) for sample, is_quiet in answers]

    assert cycles == [1, None, 2, None, 3]
    assert pace.quiet_samples == 4
