"""n_min: an eighth of the cycles that fit into the budget, chosen once the pace is known, lowered at half time."""

from __future__ import annotations

import pytest
from running_builder import a_plan

from soak.analysis.component import LARGEST_N_MIN, SMALLEST_N_MIN
from soak.running.component.horizon import Horizon
from soak.targets import Target


def a_horizon(**plan: object) -> Horizon:
    return Horizon(a_plan(**{"iterations": None, "n_min": None} | plan))


def test_the_users_n_min_is_there_at_once_and_stays():
    """However slow the cycles are."""
    horizon = a_horizon(n_min=5000, budget_s=60.0)

    assert not horizon.update(10, 59.0, 5.9)
    assert (horizon.n_min, horizon.is_asked_for) == (5000, True)


def test_of_a_budget_in_cycles_it_is_an_eighth_at_once():
    horizon = a_horizon(iterations=80_000)

    assert horizon.update(0, 0.0, None)
    assert horizon.n_min == 10_000


@pytest.mark.parametrize(("period", "n_min"), [(1, SMALLEST_N_MIN), (4, 256), (6, 402), (7, 448), (100, 6400)])
def test_it_holds_64_periods_of_the_driver(period: int, n_min: int):
    """With a reading after each period the rule then has two in each of its blocks; half time does not lower that.

    A count can be CLEAN after more than 400 cycles: with 384 it would be so after 768.
    """
    target = Target("songs", "driver", period=period)
    horizon = a_horizon(budget_s=60.0, target=target)

    horizon.update(10, 1.0, 0.1)
    horizon.update(300, 30.0, 0.1)

    assert horizon.n_min == n_min


@pytest.mark.parametrize(
    ("cycle_s", "n_min"), [(1e-3, 7500), (1e-9, LARGEST_N_MIN), (1.0, SMALLEST_N_MIN), (0.01, 750)]
)
def test_of_a_budget_in_time_it_follows_from_the_pace(cycle_s: float, n_min: int):
    horizon = a_horizon(budget_s=60.0)

    assert horizon.update(int(1.0 / cycle_s), 1.0, cycle_s)
    assert horizon.n_min == n_min


def test_the_pace_is_not_known_before_the_first_second():
    horizon = a_horizon(budget_s=60.0)

    assert not horizon.update(999, 0.999, 1e-3)
    assert horizon.n_min is None
    assert horizon.longest == LARGEST_N_MIN


def test_of_a_short_budget_an_eighth_is_enough_to_know_the_pace():
    assert a_horizon(budget_s=2.0).update(250, 0.25, 1e-3)


def test_a_run_that_is_over_knows_its_pace_however_short_it_was():
    horizon = a_horizon(budget_s=60.0)

    assert horizon.update(3, 0.003, 1e-3, ended=True)


def test_of_a_run_that_ended_before_its_first_cycle_it_is_the_smallest():
    horizon = a_horizon(budget_s=60.0)

    assert horizon.update(0, 0.0, None, ended=True)
    assert horizon.n_min == SMALLEST_N_MIN


def test_of_two_budgets_the_smaller_counts():
    horizon = a_horizon(budget_s=60.0, iterations=8000)

    horizon.update(1000, 1.0, 1e-3)

    assert horizon.n_min == 1000


def test_a_paced_component_has_as_many_cycles_as_intervals():
    horizon = a_horizon(budget_s=600.0, interval_s=0.1)

    horizon.update(10, 1.0, 1e-4)

    assert horizon.n_min == 750


def test_at_half_time_it_falls_to_what_has_been_made():
    """Cycles that became slower: an eighth of the time should have brought n_min, and half of it has not."""
    horizon = a_horizon(budget_s=60.0)
    horizon.update(1000, 1.0, 1e-3)

    assert not horizon.update(2000, 29.9, 0.015)
    assert horizon.update(2010, 30.0, 0.015)
    assert horizon.n_min == 2010
    assert not horizon.update(2500, 40.0, 0.015)


def test_half_time_comes_sooner_where_looks_at_the_memory_use_up_the_time():
    """A mapping of a mebibyte per call: the run was over after 4 s of cycles and 11 s of looks."""
    horizon = a_horizon(budget_s=10.0)
    horizon.update(2000, 1.25, 5e-4)

    assert not horizon.update(800, 3.0, 0.004, looked_at_s=4.0)
    assert horizon.update(811, 3.1, 0.004, looked_at_s=4.4)
    assert horizon.n_min == 811


def test_checkpoints_are_sparse_no_longer_than_to_the_first_look_even_where_they_take_most_of_the_time():
    """The first cycle of a process with gigabytes seemed to take 0.4 s, so n_min is the smallest.

    Later ones took 2 µs, and of 5 s the checkpoints took 4. So up to cycle 22,000 they were sparse.
    """
    horizon = a_horizon(budget_s=5.0)
    horizon.update(2, 0.9, 0.4)
    assert horizon.n_min == SMALLEST_N_MIN
    assert horizon.early_s > 0

    horizon.update(448, 1.6, 0.001)
    assert horizon.is_early_over
    assert horizon.early_s == 0


def test_it_never_falls_below_the_smallest():
    horizon = a_horizon(budget_s=60.0)
    horizon.update(1000, 1.0, 1e-3)

    horizon.update(1001, 30.0, 0.03)

    assert horizon.n_min == max(1001, SMALLEST_N_MIN)


def test_a_component_that_is_as_fast_as_it_was_keeps_it():
    horizon = a_horizon(budget_s=60.0)
    horizon.update(1000, 1.0, 1e-3)

    assert not horizon.update(30_000, 30.0, 1e-3)
    assert horizon.n_min == 7500


@pytest.mark.parametrize(
    ("plan", "early_s"),
    [
        ({"budget_s": 6.4}, 0.1),
        ({"budget_s": 3600.0}, 0.25),
        ({"budget_s": 6.4, "n_min": 512}, 0.0),
        ({"budget_s": 6.4, "iterations": 1000}, 0.0),
        ({"iterations": 1000}, 0.0),
    ],
)
def test_early_checkpoints_may_be_few_only_where_n_min_is_told_later(plan: dict[str, object], early_s: float):
    assert a_horizon(**plan).early_s == pytest.approx(early_s)


@pytest.mark.parametrize(("n_min", "spacing"), [(64, 1), (512, 2), (131_072, 512)])
def test_checkpoints_are_so_dense_that_the_smallest_windows_have_readings(n_min: int, spacing: int):
    assert a_horizon(n_min=n_min).checkpoint_spacing == spacing


@pytest.mark.parametrize(("cycle_s", "n_min"), [(2e-6, LARGEST_N_MIN), (2e-5, None)])
def test_cycles_that_are_fast_beyond_doubt_need_no_second(cycle_s: float, n_min: int | None):
    """60 s hold eight times the largest n_min even if all later cycles take four times as long."""
    horizon = a_horizon(budget_s=60.0)

    horizon.update(100, 0.1, cycle_s)

    assert horizon.n_min == n_min


def test_no_look_reaches_back_into_the_cycles_before_a_quarter_of_an_early_n_min():
    """131,072 / 4 cycles of 2 µs, and again a quarter of that, because later cycles may be faster."""
    horizon = a_horizon(budget_s=60.0)
    assert horizon.early_s == 0.25

    horizon.update(100, 0.1, 2e-6)

    assert horizon.early_s == pytest.approx(0.016384)


def test_a_pace_is_not_taken_for_fast_cycles():
    horizon = a_horizon(budget_s=60.0, interval_s=0.1)

    horizon.update(100, 0.1, 2e-6)

    assert horizon.n_min is None
