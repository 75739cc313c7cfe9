"""What can be said about a series or a component, and with what numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The five answers. A value compares equal to its plain name (``Verdict.LEAK == "LEAK"``)."""

    LEAK = "LEAK"
    """Persistent linear growth above the tolerance."""
    CLEAN = "CLEAN"
    """Growth proven to be below the tolerance."""
    SETTLING = "SETTLING"
    """Grows, but decelerates: a cache still filling."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """Neither could be shown yet; ``needed`` says how many more cycles would decide."""
    FAILED = "FAILED"
    """The driver crashed, hung or was stopped; only components get this, never a series."""


@dataclass(frozen=True)
class SeriesVerdict:
    """The judgement of one series of (cycle, value) readings.

    ``rate``, ``low`` and ``high`` are in the series' unit per cycle; ``rate`` is None when there were too few
    readings for any estimate. For CLEAN, ``high`` is the proven bound of the growth.
    """

    verdict: Verdict
    reason: str
    """One sentence for a person."""
    rate: float | None = None
    low: float | None = None
    high: float | None = None
    decided_at: int | None = None
    """The cycle count n of the look at which the verdict was reached (for LEAK: the first such look)."""
    since: int | None = None
    """LEAK only: growth has been steady since this cycle at the latest."""
    needed: int | None = None
    """INCONCLUSIVE and SETTLING: how many more cycles would decide, where that can be told."""
    is_growing: bool = False
    """The latest look saw growth above the tolerance, at one rate or not, proven to last or not."""
    judged_at: int | None = None
    """The cycle count n of the latest look: what ``rate`` and its interval rest on, unless LEAK stands."""
