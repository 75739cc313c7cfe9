"""Series that cannot be judged, and series too short to be."""

from __future__ import annotations

import numpy as np
import pytest

from soak.analysis import SeriesJudge, check_series, judge
from soak.errors import SeriesError, UsageError
from soak.verdict import Verdict


@pytest.mark.parametrize(
    ("iterations", "values", "message"),
    [
        ([1, 3, 2], [5, 5, 5], "row 3: iteration 2 comes after 3"),
        ([1, 2, 2], [5, 5, 5], "row 3: iteration 2 appears twice"),
        ([1, 2, 3], [5, float("nan"), 5], "row 2: the value nan is not"),
        ([1, 2, 3], [5, float("inf"), 5], "row 2: the value inf is not"),
        ([1, float("nan"), 3], [5, 5, 5], "row 2: the iteration nan is not"),
        ([1, 2, 3], [5, "many", 5], "row 2: the value 'many' is not"),
        ([1, 2, 3], [5, None, 5], "row 2: the value None is not"),
        ([1, 2, 3], [5, [5], 5], r"row 2: the value \[5\] is not"),
        ([1, 2, 3], [5, 5], "3 iterations, but 2 values"),
    ],
)
def test_a_series_that_cannot_be_judged_is_refused_by_its_row(iterations, values, message):
    """The message names the first wrong row, counted from 1, and its fault."""
    with pytest.raises(SeriesError, match=message):
        judge(iterations, values, tolerance=1, n_min=256)


def test_rows_can_be_named_by_the_lines_they_came_from():
    """A reader of a file knows line numbers, not row numbers."""
    with pytest.raises(SeriesError, match=r"log\.csv:5: the value nan"):
        check_series([1, 2], [0, float("nan")], name_row=lambda row: f"log.csv:{row + 4}")


def test_a_reading_added_to_a_series_is_checked_against_those_before():
    """Rows are counted over everything added, and a refused reading leaves no trace."""
    series = SeriesJudge(1.0, 256)
    series.add(10, 5)
    series.add(20, 5)

    with pytest.raises(SeriesError, match="row 3: iteration 20 appears twice"):
        series.add(20, 6)
    with pytest.raises(SeriesError, match="row 3: iteration 15 comes after 20"):
        series.add(15, 6)

    series.add(30, 5)
    assert series.n == 20


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tolerance": 0, "n_min": 256}, "tolerance must be above 0"),
        ({"tolerance": -1, "n_min": 256}, "tolerance must be above 0"),
        ({"tolerance": float("nan"), "n_min": 256}, "tolerance must be above 0"),
        ({"tolerance": 1, "n_min": 0}, "n_min must be above 0"),
        ({"tolerance": 1, "n_min": 256, "grain": -1}, "grain must be 0 or above"),
    ],
)
def test_settings_no_rule_can_use_are_refused(settings, message):
    """A tolerance of 0 would never be CLEAN; the message says what is wrong."""
    with pytest.raises(UsageError, match=message):
        judge([1, 2], [5, 5], **settings)


def test_n_min_cannot_be_moved_once_fixed():
    """Moving n_min after looking would break the error rate."""
    series = SeriesJudge(1.0, 256)

    with pytest.raises(UsageError, match="fixed at 256 already"):
        series.fix_n_min(512)


@pytest.mark.parametrize("readings", [0, 1, 2, 3, 7, 20, 63])
def test_a_series_of_a_few_readings_is_inconclusive_and_says_what_it_needs(readings: int):
    """Even without any reading, nothing crashes and nothing is guessed."""
    at = np.arange(readings)

    verdict = judge(at, 112 * at, tolerance=1, n_min=256)

    assert verdict.verdict is Verdict.INCONCLUSIVE
    assert verdict.needed is not None
    assert verdict.needed >= 256 - readings
    assert verdict.since is None
    assert verdict.decided_at is None


def test_readings_too_sparse_for_the_blocks_are_inconclusive_and_need_more_cycles():
    """Twenty readings cannot fill two windows of eight blocks twice, however many cycles lie between them."""
    at = np.arange(20) * 100_000

    verdict = judge(at, 112 * at, tolerance=1, n_min=256)

    assert (verdict.verdict, verdict.rate) == (Verdict.INCONCLUSIVE, None)
    assert verdict.needed is not None
    more = np.arange((at[-1] + verdict.needed) / 100_000 + 1) * 100_000
    assert judge(more, 112 * more, tolerance=1, n_min=256).verdict is Verdict.LEAK


def test_a_gap_in_the_readings_does_not_make_a_verdict():
    """A machine that sleeps for most of the run leaves empty blocks."""
    at = np.concatenate([np.arange(1000), np.arange(9000, 10_000)])

    assert judge(at, 112 * at, tolerance=1, n_min=4096).verdict is Verdict.INCONCLUSIVE


def test_a_growing_series_before_n_min_is_inconclusive_and_needs_the_rest():
    """Half of n_min shows the rate, but decides nothing."""
    at = np.arange(129)

    verdict = judge(at, 112 * at, tolerance=1, n_min=256)

    assert (verdict.verdict, verdict.rate, verdict.needed) == (Verdict.INCONCLUSIVE, 112, 128)
