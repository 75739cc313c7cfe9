"""The guards: at 80 % of a limit, by a pure function of values."""

from __future__ import annotations

import pytest

from soak.running.child.guards import tripped_guard

LIMITS = {"fds": 1000.0, "threads": 500.0, "rss": 2.0**30}


@pytest.mark.parametrize(
    ("values", "guard"),
    [
        ({}, None),
        ({"fds": 799}, None),
        ({"fds": 800}, "fds"),
        ({"fds": 5000}, "fds"),
        ({"threads": 400}, "threads"),
        ({"rss": 0.79 * 2**30}, None),
        ({"rss": 0.81 * 2**30}, "rss"),
        ({"heap": 1e18}, None),
    ],
)
def test_a_guard_trips_at_four_fifths_of_its_limit(values: dict[str, float], guard: str | None):
    assert tripped_guard(values, LIMITS, None) == guard


def test_max_rss_is_taken_as_it_is_named():
    """All of it, not four fifths."""
    assert tripped_guard({"rss": 99.0}, LIMITS, 100.0) is None
    assert tripped_guard({"rss": 100.0}, LIMITS, 100.0) == "rss"
