"""Whether a verdict can still change in this run."""

from __future__ import annotations

from collections.abc import Mapping

from soak.analysis.decision.completed import completed_series
from soak.analysis.decision.rules.memory import deciding_proof
from soak.analysis.decision.rules.signals import is_above_zero
from soak.analysis.decision.rules.unknown_caches import WHAT_A_CACHE_MAY_BE, may_hold_unknown_caches
from soak.analysis.evidence import COUNTS, Evidence
from soak.analysis.sites.streaks import (
    FEWEST_INTERVALS,
)
from soak.grounds import CYCLES_OF_OWN_CACHES, VERDICTS, Ground, GroundKind
from soak.measurements import SIGNALS, Role
from soak.verdict import SeriesVerdict, Verdict


def is_final(evidence: Evidence, grounds: tuple[Ground, ...], series: Mapping[str, SeriesVerdict]) -> bool:
    """Whether nothing that may still come in this run would change what people are told."""
    first = grounds[0]
    if VERDICTS[first.kind] is Verdict.CLEAN:
        return True
    if VERDICTS[first.kind] is not Verdict.LEAK:
        return False
    proof = deciding_proof(evidence, first.kind)
    if proof is not None:
        rest = grounds[1:]
        is_settled = proof.is_settled and not _a_count_rises(evidence)
        return is_settled or (bool(rest) and is_final(evidence, rest, completed_series(evidence, rest)))
    if first.limit is not None or evidence.only_outside:
        return True
    may_be_cached = may_hold_unknown_caches(evidence) and _goes_on_for_caches(evidence)
    if first.kind in WHAT_A_CACHE_MAY_BE and (may_be_cached or evidence.is_below_bound):
        return False
    if first.kind is GroundKind.GROWING_PROCESSES:
        return all(judged.is_final for judged in evidence.roles if judged.role.verdict is Verdict.LEAK)
    if first.kind is GroundKind.GROWING_SITES and not any(g.kind is GroundKind.STEADY_MEMORY for g in grounds):
        return True
    return not _something_nearer_may_still_decide(evidence, first.signals[0], series)


def _goes_on_for_caches(evidence: Evidence) -> bool:
    """Whether a run goes on until a container that the code keeps small could be full.

    Which one holds the objects only the process itself can tell, after its last cycle. Where it is one of these, a run
    that ended here would have no verdict, so from half-way on it goes on where objects of Python become more.
    """
    objects = evidence.series.get("python_blocks")
    is_half_way = 2 * evidence.cycles >= CYCLES_OF_OWN_CACHES
    return evidence.may_be_bounded or (is_half_way and objects is not None and is_above_zero(objects))


def _a_count_rises(evidence: Evidence) -> bool:
    """Whether a count (descriptors, what is left behind) has risen in each of the last cycles and has no verdict yet.

    A count explains more than memory, which may only be the list of what was opened.
    """
    rising = [name for name in COUNTS if name in evidence.series and name in evidence.streaks]
    return any(
        evidence.series[name].verdict is Verdict.INCONCLUSIVE and evidence.streaks[name].intervals >= FEWEST_INTERVALS
        for name in rising
    )


def _something_nearer_may_still_decide(
    evidence: Evidence, decided_by: str, series: Mapping[str, SeriesVerdict]
) -> bool:
    """Whether a signal that explains more (it stands before in SIGNALS) grows too, but has no verdict yet."""
    for name, verdict in series.items():
        if name == decided_by:
            return False
        may_decide = SIGNALS[name].role is not Role.INFORMS and name in evidence.judged
        counts = may_decide and not (name == "heap" and evidence.is_heap_excused)
        if counts and verdict.verdict is Verdict.INCONCLUSIVE and verdict.rate is not None and verdict.rate > 0:
            return True
    return False
