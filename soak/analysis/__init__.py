"""Decide from a series of readings whether it grows: pure functions of values, no clock, no files."""

from soak.analysis.series import SeriesJudge, check_series, judge
from soak.analysis.wording import CLEAN_SO_FAR, KNOWN_LIMITS, RSS_LIMIT, growth, lookalike_limit

__all__ = [
    "CLEAN_SO_FAR",
    "KNOWN_LIMITS",
    "RSS_LIMIT",
    "SeriesJudge",
    "check_series",
    "growth",
    "judge",
    "lookalike_limit",
]
