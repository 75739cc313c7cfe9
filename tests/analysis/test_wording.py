"""The sentences of a verdict: plain, with numbers, and with the unit of whoever asked."""

from __future__ import annotations

import numpy as np
import pytest

import soak.analysis
from soak.analysis import growth, judge, lookalike_limit
from soak.analysis.wording import number


def test_the_public_names_are_sorted_and_exist():
    """What the package offers is what it says it offers."""
    assert sorted(soak.analysis.__all__) == soak.analysis.__all__
    assert all(hasattr(soak.analysis, name) for name in soak.analysis.__all__)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (-0.0, "0"),
        (0.01234, "0.0123"),
        (2.0, "2"),
        (99.96, "100"),
        (106.4, "106"),
        (1_234_567.8, "1,234,568"),
        (-1500, "-1,500"),
    ],
)
def test_a_number_is_written_with_three_digits_or_all_before_the_point(value: float, expected: str):
    """No exponents for everyday sizes, no false precision, no minus zero."""
    assert number(value) == expected


def test_a_rate_is_written_with_its_interval_and_unit():
    """The form the report uses everywhere."""
    assert growth(128, 128, 128.4, "B") == "128 B per cycle [128, 128]"
    assert growth(0.1, 0.05, 0.2) == "0.1 per cycle [0.05, 0.2]"


def test_a_leak_names_the_cache_that_would_look_the_same():
    """The limit is said with the number it has in this run."""
    assert lookalike_limit(131_072) == (
        "A bounded cache or a period of more than about 78,643 cycles would look the same."
    )


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (lambda at: 128 * at, "Grows by 128 B per cycle [128, 128], steady since cycle 256 at the latest."),
        (lambda at: 0 * at, "Grew by 0 B per cycle at most (tolerance 1 B) over the last 2,048 cycles."),
        (lambda at: -5 * at, "Grew by 0 B per cycle at most (tolerance 1 B) over the last 2,048 cycles."),
    ],
)
def test_a_verdict_says_why_in_one_sentence(shape, reason: str):
    """Numbers first; what is missing last."""
    at = np.arange(4097)

    assert judge(at, shape(at), tolerance=1, n_min=1024, unit="B").reason == reason


def test_growth_that_changed_its_rate_says_so():
    """Thrice as fast in the second half: growing, but which rate to believe is open."""
    at = np.arange(4097)

    reason = judge(at, 10 * at + 20 * np.maximum(at - 2048, 0), tolerance=1, n_min=4096, unit="B").reason

    assert reason == "Growing, by 30 B per cycle [30, 30], but not at one rate yet; 4,096 more cycles would tell."


def test_a_settling_series_says_how_many_cycles_bring_it_below_the_tolerance():
    """Slower and slower, with a forecast."""
    at = np.arange(1, 4097)

    reason = judge(at, 1e5 * np.log(at), tolerance=1, n_min=1024, unit="B").reason

    assert "less than 0.8 times as fast as before" in reason
    assert reason.endswith("258,048 more cycles bring it below the tolerance of 1 B.")
