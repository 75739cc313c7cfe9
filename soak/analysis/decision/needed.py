"""How many more cycles would decide."""

from __future__ import annotations

import math

from soak.analysis.decision.rules.few_cycles import ENOUGH_ALIKE, is_alike_so_far
from soak.analysis.decision.rules.signals import open_signals
from soak.analysis.decision.rules.unknown_caches import WINDOWS_TO_LOOK, may_be_bounded
from soak.analysis.evidence import Evidence
from soak.analysis.sites.caches import (
    needed_cycles,
)
from soak.analysis.sites.streaks import (
    cycles_of_a_streak,
)
from soak.grounds import CYCLES_OF_OWN_CACHES, ENOUGH_N_MIN, Ground, GroundKind


def cycles_needed(evidence: Evidence, first: Ground) -> int | None:
    """Return how many more cycles would decide, by the ground that decides now; None if that cannot be told."""
    if first.kind in (GroundKind.FILLING_CACHE, GroundKind.MAYBE_FILLING) and first.filling is not None:
        if first.filling.cache.has_hidden_bound:
            return max(CYCLES_OF_OWN_CACHES - evidence.cycles, 1)
        return needed_cycles(first.filling, evidence.cycles, evidence.n_min)
    if first.kind is GroundKind.FEW_CYCLES:
        return _needed_for_enough(evidence, first)
    if first.kind is GroundKind.REPLACING and evidence.falling is not None and first.proven_rate:
        # Until all of it is replaced, and as many cycles again that show that nothing grows any more.
        return math.ceil(evidence.cycles + 2 * evidence.falling.left_bytes / first.proven_rate)
    if first.kind is GroundKind.OPEN_PROCESSES:
        return max((judged.needed for judged in evidence.roles if judged.needed), default=None)
    if first.kind is GroundKind.UNDECIDED and first.streak is not None:
        missing = cycles_of_a_streak(evidence.cycles) - first.streak.cycles
        if missing > 0:
            return math.ceil(missing)
    if first.kind in (GroundKind.SLOWING, GroundKind.UNDECIDED, GroundKind.NOT_READ):
        is_open = open_signals(evidence)
        if evidence.only_outside:
            return is_open[first.signals[0]].needed
        return max((series.needed for series in is_open.values() if series.needed), default=None)
    return None


def _needed_for_enough(evidence: Evidence, first: Ground) -> int:
    if may_be_bounded(evidence):
        return max(CYCLES_OF_OWN_CACHES - evidence.cycles, 1)
    is_early = evidence.cycles < ENOUGH_ALIKE and not evidence.may_be_bounded
    is_sooner = is_early and is_alike_so_far(evidence, first)
    enough = ENOUGH_ALIKE if is_sooner else WINDOWS_TO_LOOK * ENOUGH_N_MIN
    return max(enough - evidence.cycles, 1)
