"""How many more cycles would decide."""

from __future__ import annotations

import math

from soak.analysis.decision.rules.few_cycles import ENOUGH_ALIKE, is_alike_so_far
from soak.analysis.decision.rules.signals import open_signals
from soak.analysis.decision.rules.unknown_caches import WINDOWS_TO_LOOK, may_be_bounded
from soak.analysis.evidence import MEMORY, Evidence
from soak.analysis.sites.caches import (
    needed_cycles,
)
from soak.analysis.sites.streaks import (
    cycles_of_a_streak,
)
from soak.analysis.sites.survivors import NEXT_LOOK, OUT_OF_SIGHT
from soak.grounds import CYCLES_OF_OWN_CACHES, ENOUGH_N_MIN, Ground, GroundKind
from soak.verdict import SeriesState, SeriesVerdict, Verdict

_PARTS_BEFORE_GAP = 3
"""A look may leave out three quarters of the cycles, so a third of those so far must follow a gap."""


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
        needed = (_needed_by(name, series, evidence) for name, series in is_open.items())
        return max(filter(None, needed), default=None)
    return None


def _needed_by(name: str, series: SeriesVerdict, evidence: Evidence) -> int | None:
    """Return how many more cycles one signal needs.

    In a watched program memory comes and goes, and its series may never be proven flat: the births are sooner. Where
    readings had a gap, the next cycles are judged without those before it.
    """
    needed = series.needed
    if needed is None or not evidence.is_watched or evidence.only_outside:
        return needed
    if series.state is SeriesState.FEW_READINGS and evidence.n_min is not None:
        needed = min(needed, max(evidence.n_min, math.ceil(evidence.cycles / _PARTS_BEFORE_GAP)))
    births = _needed_by_births(evidence)
    return needed if births is None or name not in MEMORY or series.is_growing else min(needed, births)


def _needed_by_births(evidence: Evidence) -> int | None:
    """Return how many more cycles the proof by births needs, if no more memory stays than so far; None if unknown."""
    survivors = evidence.survivors
    if survivors is None or not survivors.cycles or not survivors.tolerance:
        return None
    if survivors.verdict is Verdict.CLEAN:
        return 1
    by_rate = (survivors.high or 0.0) / survivors.tolerance
    until = survivors.cycles * min(max(by_rate, NEXT_LOOK), OUT_OF_SIGHT)
    return max(math.ceil(until - evidence.cycles), 1)


def _needed_for_enough(evidence: Evidence, first: Ground) -> int:
    if may_be_bounded(evidence):
        return max(CYCLES_OF_OWN_CACHES - evidence.cycles, 1)
    is_early = evidence.cycles < ENOUGH_ALIKE and not evidence.may_be_bounded
    is_sooner = is_early and is_alike_so_far(evidence, first)
    enough = ENOUGH_ALIKE if is_sooner else WINDOWS_TO_LOOK * ENOUGH_N_MIN
    return max(enough - evidence.cycles, 1)
