"""What a figure draws of a series."""

from __future__ import annotations

import numpy as np
import pytest
from builder import a_component, a_failure, a_leak, an_undecided, growth, readings, signal

from soak.measurements import Reading
from soak.reporting.figures.series import (
    DrawnWindows,
    Series,
    level_at_zero,
    series_of,
    telling_signal,
    thin,
    windows_of,
)
from soak.verdict import Verdict


def test_thinning_keeps_every_peak_and_trough_and_both_ends():
    """A spike of one reading among 8,000 still shows."""
    values = np.zeros(8_000)
    values[4_321], values[6_000] = 7.0, -3.0
    whole = Series(np.arange(8_000.0), values)

    thinned = thin(whole, 600)

    assert len(thinned.values) <= 600
    assert (thinned.values.max(), thinned.values.min()) == (7.0, -3.0)
    assert (thinned.cycles[0], thinned.cycles[-1]) == (0.0, 7_999.0)
    assert (np.diff(thinned.cycles) > 0).all()


def test_a_short_series_is_not_thinned():
    """What fits is drawn as it is."""
    short = Series(np.arange(600.0), np.arange(600.0))

    assert thin(short, 600) is short


def test_readings_without_the_signal_and_values_that_are_no_numbers_are_left_out():
    """A signal that could not be read everywhere has a shorter series."""
    mixed = [
        Reading(0, 0.0, {"heap": 5.0}),
        Reading(1, 0.1, {"rss": 1.0}),
        Reading(2, 0.2, {"heap": float("nan")}),
        Reading(3, 0.3, {"heap": 7.0}),
    ]

    series = series_of(mixed, "heap")

    assert series is not None
    assert series.cycles.tolist() == [0.0, 3.0]
    assert series.values.tolist() == [5.0, 7.0]
    assert series_of(mixed, "fds") is None
    assert series_of(mixed[2:3], "heap") is None


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        (signal("heap", 1.0, 1.0, 1.0, verdict=Verdict.LEAK, decided_at=16_384, since=4_096), (4_096, 8_192, 16_384)),
        (
            signal("heap", 1.0, 1.0, 1.0, verdict=Verdict.LEAK, decided_at=16_384, since=10_240),
            (10_240, 12_288, 16_384),
        ),
        (signal("heap", 1.0, 1.0, 1.0, verdict=Verdict.LEAK, decided_at=16_384), (4_096, 8_192, 16_384)),
        (signal("heap", 0.0, 0.0, 0.0, verdict=Verdict.CLEAN, decided_at=16_384), (8_192, 8_192, 16_384)),
        (signal("heap", 0.0, 0.0, 0.0, decided_at=4_096, judged_at=16_384), (8_192, 8_192, 16_384)),
        (
            signal("heap", 1.0, 1.0, 1.0, verdict=Verdict.LEAK, decided_at=8_192, judged_at=16_384),
            (2_048, 4_096, 8_192),
        ),
        (signal("heap", 0.0, 0.0, 0.0, verdict=Verdict.INCONCLUSIVE), (5_000, 10_000, 20_000)),
        (signal("heap", 0.0, 0.0, 0.0, verdict=Verdict.CLEAN, decided_at=32_768), (10_000, 10_000, 20_000)),
        (None, (5_000, 10_000, 20_000)),
    ],
)
def test_the_windows_are_those_the_verdict_rests_on(judged, expected):
    """A leak at a finer scale has shorter ones; none reaches beyond the series.

    CLEAN rests on the newer half of all that was judged, not on the cycles after which it first stood.
    """
    assert DrawnWindows(*expected) == windows_of(judged, 20_000)


def test_the_fitted_line_runs_through_the_troughs():
    """A sawtooth of garbage on top of a leak does not lift the line."""
    cycles = np.arange(0, 1_000.0)
    series = Series(cycles, 100.0 + 2.0 * cycles + cycles % 50)

    assert level_at_zero(series, 2.0, DrawnWindows(250, 500, 1_000)) == pytest.approx(100.0, abs=1.0)


def test_the_series_shown_is_the_one_that_decided():
    """What decided without having a series (the ledger) is shown by the heap; nothing read, nothing shown."""
    read = readings(4)

    assert telling_signal(a_leak(growth=growth(0.1, 0.1, 0.1, signal="fds")), read, 1.0) == "fds"
    assert telling_signal(a_leak(growth=None, decided_by="counter:threads"), read, 1.0) == "threads"
    assert telling_signal(a_leak(growth=None, decided_by="ledger"), read, 1.0) == "heap"
    assert telling_signal(a_component(), [Reading(0, 0.0, {"gc_objects": 5.0})], 1.0) == "gc_objects"
    assert telling_signal(a_component(), [], 1.0) is None


def test_without_a_decision_the_series_shown_is_one_that_grew():
    """A driver that used up its descriptors shows these, though its heap grew too; one that warmed up, its heap."""
    grown = [
        Reading(cycle, 0.0, {"threads": 1.0, "fds": 4.0 + cycle / 10, "heap": 5e6 + 50.0 * cycle})
        for cycle in range(0, 10_000, 100)
    ]
    flat = [
        Reading(cycle, 0.0, {"threads": 1.0, "fds": 4.0 if cycle == 0 else 9.0, "heap": 5e6 + cycle % 7})
        for cycle in range(0, 500, 100)
    ]

    assert telling_signal(a_failure(decided_by="counter:threads"), grown, 1.0) == "fds"
    assert telling_signal(an_undecided(decided_by="counter:threads"), flat, 1.0) == "heap"
    assert telling_signal(a_failure(), [Reading(0, 0.0, {"rss": 5.0})], 1.0) == "rss"
