"""Memory that has dropped suddenly may drop again, so it is not a leak until it has risen far above its largest drop.

A watched program collects its garbage when it wants to, and empties its caches. Between two collections, garbage grows
at one rate, and the rule may see a single rise. Each rise is about as high as the drop before it, but a leak rises
without end. So a leak that shares its call site with garbage is found later: when it stands at twice the largest drop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from soak.analysis.evidence import LEDGER, Evidence
from soak.analysis.falls import Drop
from soak.verdict import SeriesState, SeriesVerdict, Verdict

_TIMES = 2.0
"""A leak has risen by this many times the largest drop. One tooth of a saw is seldom twice as high as all others."""


def without_drops(evidence: Evidence, drop_of: Callable[[int | None], Drop]) -> Evidence:
    """Return the evidence without leaks of memory that dropped suddenly and has not risen far above that since.

    ``drop_of``: returns the largest drop of a site, or with None of all sites together.
    """
    suspects = tuple(
        replace(suspect, verdict=_judged(suspect.verdict, drop_of(suspect.site), suspect.bytes_per_cycle))
        if suspect.is_leak
        else suspect
        for suspect in evidence.suspects
    )
    evidence = replace(evidence, suspects=suspects)
    leaking = [each for each in LEDGER if each in evidence.series and evidence.series[each].verdict is Verdict.LEAK]
    if not leaking or any(suspect.is_leak for suspect in suspects):
        return evidence
    drop, whole = drop_of(None), evidence.series.get("tracked")
    bytes_per_cycle = (whole.rate or 0.0) if whole is not None else 0.0
    series = {name: _judged(evidence.series[name], drop, bytes_per_cycle) for name in leaking}
    return replace(evidence, series={**evidence.series, **series})


def is_within(drop: Drop) -> bool:
    """Whether memory has dropped and not risen far above that since."""
    return drop.risen_bytes < _TIMES * drop.fallen_bytes


def _judged(leak: SeriesVerdict, drop: Drop, bytes_per_cycle: float) -> SeriesVerdict:
    if not is_within(drop):
        return leak
    missing = _TIMES * drop.fallen_bytes - drop.risen_bytes
    needed = max(math.ceil(missing / bytes_per_cycle), 1) if bytes_per_cycle > 0 else None
    return replace(leak, verdict=Verdict.INCONCLUSIVE, state=SeriesState.UNSTEADY, decided_at=None, needed=needed)
