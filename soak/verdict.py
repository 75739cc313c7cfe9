"""The verdict on a series or a component, and the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The five verdicts. A value compares equal to its name (``Verdict.LEAK == "LEAK"``)."""

    LEAK = "LEAK"
    """Persistent linear growth above the tolerance."""
    CLEAN = "CLEAN"
    """Growth proven to be below the tolerance."""
    SETTLING = "SETTLING"
    """Growth that slows down, such as that of a cache that still fills."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """Neither could be shown yet; ``needed`` says how many more cycles would decide."""
    FAILED = "FAILED"
    """The driver crashed, hung or could not start. Only components have this verdict, never a series."""


WORST_FIRST = (Verdict.FAILED, Verdict.LEAK, Verdict.INCONCLUSIVE, Verdict.SETTLING, Verdict.CLEAN)
"""The verdicts in the order in which they are read."""


class SeriesState(StrEnum):
    """Why one series has its verdict."""

    STEADY = "steady"
    """LEAK: it grows at one rate."""
    FLAT = "flat"
    """CLEAN: its growth is bounded below the tolerance."""
    NOTHING_STAYS = "nothing-stays"
    """CLEAN: of what cycles ``since`` to ``until`` made no more than ``rate`` per cycle is still there."""
    SLOWING = "slowing"
    """SETTLING: its growth falls by more than a fifth from window to window."""
    NO_HORIZON = "no-horizon"
    """INCONCLUSIVE: n_min is not known yet."""
    FEW_CYCLES = "few-cycles"
    """INCONCLUSIVE: the first look is still to come."""
    FEW_READINGS = "few-readings"
    """INCONCLUSIVE: some window holds too few readings for an estimate."""
    EARLY = "early"
    """INCONCLUSIVE: fewer than n_min cycles."""
    UNSTEADY = "unsteady"
    """INCONCLUSIVE: it grows, but not at a steady rate yet."""
    UNDECIDED = "undecided"
    """INCONCLUSIVE: the interval of its rate reaches above the tolerance."""
    ENDED = "ended"
    """INCONCLUSIVE: it grew at one rate from the start until cycle ``until``, but not after that."""
    MEASURED = "measured"
    """LEAK by other evidence than this rule: the rate is what was gained over the cycles."""


@dataclass(frozen=True)
class SeriesVerdict:
    """The judgement of one series of (cycle, value) readings.

    ``rate``, ``low`` and ``high`` are in the series' unit per cycle; ``rate`` is None when there were too few
    readings for any estimate. For CLEAN, ``high`` is the proven bound of the growth.
    """

    verdict: Verdict
    state: SeriesState
    rate: float | None = None
    low: float | None = None
    high: float | None = None
    decided_at: int | None = None
    """The cycle count n of the look at which the verdict was reached (for LEAK: the first such look)."""
    since: int | None = None
    """STEADY: growth has been at one rate since this cycle at the latest. NOTHING_STAYS: the first cycle covered."""
    until: int | None = None
    """STEADY, ENDED: the cycle after which there is no growth any more. NOTHING_STAYS: the last cycle covered."""
    needed: int | None = None
    """INCONCLUSIVE and SETTLING: how many more cycles would decide, where that can be told."""
    is_growing: bool = False
    """The latest look saw growth above the tolerance, at one rate or not, proven to last or not."""
    judged_at: int | None = None
    """The cycle count n of the latest look: what ``rate`` and its interval rest on, unless LEAK stands."""
    cycles: int | None = None
    """FLAT: how many cycles the bound was proven over. Otherwise how many cycles there were."""
    tolerance: float | None = None
    """The growth per cycle that is accepted; None if no look was made."""
    n_min: float | None = None
    """Fewer cycles than this decide nothing; None if it is not known."""
