"""Decide from readings whether something grows: pure functions of values, no clock, no files."""

from soak.analysis.series import SeriesJudge, check_series, judge

__all__ = [
    "SeriesJudge",
    "check_series",
    "judge",
]
