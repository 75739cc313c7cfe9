"""Rules on counts: threads, child processes, descriptors, things left behind."""

from __future__ import annotations

from soak.analysis.decision.rules.signals import at_limit, steady_signals
from soak.analysis.evidence import COUNTS, Evidence
from soak.analysis.sites.streaks import (
    rises_at_one_rate,
)
from soak.grounds import Ground, GroundKind


def find_steady_count(evidence: Evidence) -> Ground | None:
    """Return this ground if a count grows at one rate."""
    return steady_signals(evidence, COUNTS, GroundKind.STEADY_COUNT)


def find_count_at_limit(evidence: Evidence) -> Ground | None:
    """Return this ground if a guard stopped the component because a count came near its limit."""
    return at_limit(evidence, GroundKind.COUNT_AT_LIMIT, is_count=True)


def find_count_every_cycle(evidence: Evidence) -> Ground | None:
    """Return this ground if a count rose up to the end of the run: a count is exact, so few cycles show it.

    Before the end it holds only after n_min cycles. Until then, a pool that fills by one a cycle may still come to its
    size.
    """
    names = [name for name in COUNTS if rises_at_one_rate(evidence, name)]
    names.sort(key=lambda name: -evidence.streaks[name].cycles)
    if not names:
        return None
    return Ground(GroundKind.COUNT_EVERY_CYCLE, tuple(names), streak=evidence.streaks[names[0]])
