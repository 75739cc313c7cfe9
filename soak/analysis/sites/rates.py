"""By how much memory grows: of the call sites that leak together, and set against the sum of all that is alive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from soak.analysis.sites.ledger import SAME_RATE, Suspect
from soak.verdict import SeriesState, SeriesVerdict, Verdict


def with_undecided(leaking: SeriesVerdict, suspects: Sequence[Suspect], steady: SeriesVerdict | None) -> SeriesVerdict:
    """Return the growth of sites that leak plus the recent growth of the others, if the sum is not known yet.

    The table of a list may be known to leak by its steps before there are enough readings to judge what the list keeps.
    """
    recent = sum(s.recent_bytes_per_cycle or 0.0 for s in suspects if not s.is_leak)
    undecided = max(recent - ((steady and steady.rate) or 0.0), 0.0)
    rate, high = (leaking.rate or 0.0) + undecided, (leaking.high or 0.0) + undecided / SAME_RATE
    return replace(leaking, rate=rate, high=high)


def together(verdicts: Sequence[SeriesVerdict]) -> SeriesVerdict:
    """Return the growth of sites that leak as that of one."""
    rate, low, high = (sum(getattr(verdict, name) or 0.0 for verdict in verdicts) for name in ("rate", "low", "high"))
    return replace(verdicts[0], rate=rate, low=low, high=high, since=max(verdict.since or 0 for verdict in verdicts))


def told_closer(whole: SeriesVerdict, parts: SeriesVerdict | None) -> SeriesVerdict:
    """Return the growth of a whole. If the rate of its ``parts`` agrees and is known more exactly, use that.

    A table that is doubled now and then makes the whole inexact. At its own call site the rate is known.
    """
    if parts is None or parts.rate is None or _width(parts) >= _width(whole):
        return whole
    if not (whole.low or 0.0) <= parts.rate <= (whole.high or 0.0):
        return whole
    return replace(whole, rate=parts.rate, low=parts.low, high=parts.high)


def _width(series: SeriesVerdict) -> float:
    return (series.high or 0.0) - (series.low or 0.0)


def at_least(whole: SeriesVerdict, part: SeriesVerdict) -> SeriesVerdict:
    """Return the growth of a whole, of which a ``part`` leaks: no less than that, for the rest cannot go below none."""
    if whole.rate is None or whole.low is None or whole.high is None or part.rate is None or part.low is None:
        return part
    high = max(whole.high, part.high or 0.0)
    # Resized tables make the rate of the whole inexact; if both agree, that of the sites is more exact.
    rate = part.rate if whole.low <= part.rate <= whole.high else max(whole.rate, part.rate)
    return replace(part, rate=rate, low=max(whole.low, part.low), high=high)


def risen(growth: float, *, since: int, cycles: int, at: int) -> SeriesVerdict:
    """Return LEAK at the mean rate of ``cycles`` cycles, decided after cycle ``at``."""
    rate = growth / cycles
    return SeriesVerdict(
        Verdict.LEAK,
        SeriesState.MEASURED,
        rate,
        rate,
        rate,
        decided_at=at,
        since=since,
        cycles=cycles,
    )
