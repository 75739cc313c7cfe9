"""Whether there were too few cycles to tell a leak from a cache of unknown size."""

from __future__ import annotations

from soak.analysis.evidence import Evidence
from soak.grounds import CYCLES_OF_OWN_CACHES, ENOUGH_N_MIN, N_MIN_OF_OWN_CACHES, GroundKind

WINDOWS_TO_LOOK = 2
"""The first look that decides needs this many times n_min."""
WHAT_A_CACHE_MAY_BE = (
    GroundKind.GROWING_SITES,
    GroundKind.STEADY_MEMORY,
    GroundKind.MEMORY_EVERY_CYCLE,
    GroundKind.UNDECIDED,
)


def may_hold_unknown_caches(evidence: Evidence) -> bool:
    """Whether slow cycles have brought an n_min into which a cache of a program's own may not fit, and few cycles."""
    is_small = evidence.n_min is not None and evidence.n_min < N_MIN_OF_OWN_CACHES
    return evidence.is_n_min_of_slow_cycles and is_small and evidence.cycles < CYCLES_OF_OWN_CACHES


def may_be_bounded(evidence: Evidence) -> bool:
    """Whether what grows in a watched program may go into a cache of its own, which may not be full yet.

    In a run, the process itself says at its end what holds the growing memory.
    """
    is_small = evidence.n_min is not None and evidence.n_min < N_MIN_OF_OWN_CACHES
    return evidence.may_be_bounded and evidence.is_watched and is_small and evidence.cycles < CYCLES_OF_OWN_CACHES


def is_n_min_small(evidence: Evidence) -> bool:
    """Whether slow cycles have brought an n_min into which many caches do not fit."""
    return evidence.is_n_min_of_slow_cycles and evidence.n_min is not None and evidence.n_min < ENOUGH_N_MIN
