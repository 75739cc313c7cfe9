"""Rules on memory: what scans and source code prove, and the signals that measure it."""

from __future__ import annotations

from dataclasses import replace

from soak.analysis.decision.rules.counts import find_steady_count
from soak.analysis.decision.rules.signals import at_limit, steady_signals
from soak.analysis.decision.rules.sites import leaking_sites
from soak.analysis.decision.rules.unknown_caches import is_n_min_small
from soak.analysis.evidence import MEMORY, Evidence, Proven
from soak.analysis.sites.rates import at_least, together, told_closer, with_undecided
from soak.analysis.sites.streaks import (
    rose_to_the_end,
)
from soak.grounds import Ground, GroundKind
from soak.verdict import SeriesVerdict, Verdict

_MUCH_MEMORY_BYTES = 2.0**30
_MUCH_OF_LIMIT = 0.1


def find_lost_blocks(evidence: Evidence) -> Ground | None:
    """Return this ground if scans found blocks that nothing points to."""
    return _proven(evidence, evidence.lost, GroundKind.LOST_BLOCKS)


def find_kept_blocks(evidence: Evidence) -> Ground | None:
    """Return this ground if a container holds blocks, and no code removes anything from it."""
    return _proven(evidence, evidence.kept, GroundKind.KEPT_BLOCKS)


def find_steady_memory(evidence: Evidence) -> Ground | None:
    """Return this ground if a counter leaks. The heap's counts only if no ledger shows that no block stays."""
    excused = evidence.is_ledger_flat or evidence.is_heap_excused
    names = tuple(name for name in MEMORY if name != "heap" or not excused)
    return steady_signals(evidence, names, GroundKind.STEADY_MEMORY)


def find_fragmentation(evidence: Evidence) -> Ground | None:
    """Return this ground if the audit explains what grows; mapped memory comes in steps, so RSS shows it sooner."""
    rss = evidence.judged.get("rss")
    names = ("rss", "mapped") if rss is not None and rss.is_growing else ("mapped",)
    return steady_signals(evidence, names, GroundKind.FRAGMENTATION) if evidence.is_fragmented else None


def find_steady_mapped(evidence: Evidence) -> Ground | None:
    """Return this ground if mapped memory leaks; or resident memory, where nothing nearer is seen.

    A library's own allocator maps much at a time and fills it: then only resident memory grows.
    """
    rss = evidence.judged.get("rss")
    is_filled = evidence.is_rss_mapped and rss is not None and rss.is_growing and not is_n_min_small(evidence)
    names = ("rss", "mapped") if evidence.only_outside or is_filled else ("mapped",)
    return steady_signals(evidence, names, GroundKind.STEADY_MAPPED)


def find_memory_at_limit(evidence: Evidence) -> Ground | None:
    """Return this ground if a guard stopped the component because its memory came near a limit."""
    return at_limit(evidence, GroundKind.MEMORY_AT_LIMIT, is_count=False)


def find_memory_every_cycle(evidence: Evidence) -> Ground | None:
    """Return this ground if memory rose up to the end of the run, fast enough to reach its limit."""
    much = min(_MUCH_MEMORY_BYTES, _MUCH_OF_LIMIT * (evidence.rss_limit_bytes or float("inf")))
    rising = (name for name in ("tracked", "rss") if rose_to_the_end(evidence, name))
    names = tuple(n for n in rising if evidence.streaks[n].growth > much and evidence.streaks[n].goes_on)
    if not names:
        return None
    return Ground(GroundKind.MEMORY_EVERY_CYCLE, names, streak=evidence.streaks[names[0]])


def is_too_large_for_a_cache(evidence: Evidence) -> bool:
    """Whether memory grows that much, and to the end, that no cache of unknown size explains it."""
    return find_memory_at_limit(evidence) is not None or find_memory_every_cycle(evidence) is not None


def _proven(evidence: Evidence, proven: Proven | None, kind: GroundKind) -> Ground | None:
    """Return this ground if call sites are proven to keep more than is accepted."""
    if proven is None or not proven.growth.rate or proven.growth.rate < 0:
        return None
    if not evidence.exceeds_tolerance(proven.growth):
        return None
    rate = proven.growth.rate
    return Ground(kind, ("tracked",), sites=proven.sites, proven_rate=rate, keeper=proven.keeper)


def deciding_proof(evidence: Evidence, kind: GroundKind) -> Proven | None:
    """Return what a ground of this kind rests on; None of other kinds."""
    return {GroundKind.LOST_BLOCKS: evidence.lost, GroundKind.KEPT_BLOCKS: evidence.kept}.get(kind)


def tracked_memory(evidence: Evidence) -> SeriesVerdict | None:
    """Return what is known of the memory that was asked for and stays: by its sum, its sites, or a scan."""
    whole, leaking = evidence.trusted.get("tracked"), leaking_sites(evidence)
    parts = together([*leaking, evidence.steady] if evidence.steady is not None else leaking) if leaking else None
    if whole is not None and whole.verdict is Verdict.LEAK:
        return told_closer(whole, parts)
    if parts is not None and (whole is None or whole.rate is None):
        return with_undecided(parts, evidence.suspects, evidence.steady)
    if parts is not None:
        others = (find_steady_count, find_steady_memory)
        is_leak = any(find(evidence) is not None for find in others)
        return at_least(whole, parts) if is_leak and whole is not None else parts
    for ground in (find_lost_blocks(evidence), find_kept_blocks(evidence)):
        proof = None if ground is None else deciding_proof(evidence, ground.kind)
        if proof is not None:
            return replace(proof.total, decided_at=proof.at_cycle)
    return whole
