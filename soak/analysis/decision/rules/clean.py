"""Rules on CLEAN: what is proven not to grow."""

from __future__ import annotations

from dataclasses import replace

from soak.analysis.decision.rules.signals import TELLING
from soak.analysis.decision.rules.undecided import find_unexplained_rss
from soak.analysis.evidence import LEDGER, MEMORY, Evidence
from soak.grounds import Ground, GroundKind
from soak.measurements import SIGNALS, Role
from soak.verdict import Verdict


def find_no_growth(evidence: Evidence) -> Ground | None:
    """Return this ground if every signal that decides is proven not to grow."""
    deciding = evidence.deciding
    proven = tuple(name for name, series in deciding.items() if series.verdict is Verdict.CLEAN)
    if not proven or _cannot_be_clean(evidence) or evidence.needed_for_clean - deciding.keys() or evidence.open:
        return None
    if find_unexplained_rss(evidence) is not None:
        return None
    first = next((name for name in TELLING if name in proven), proven[0])
    return Ground(GroundKind.NO_GROWTH, (first, *(name for name in proven if name != first)))


def find_nothing_stays(evidence: Evidence) -> Ground | None:
    """Return this ground if the ledger proves that no memory stays, and no signal says otherwise.

    Counters of memory need not prove it themselves: under a sawtooth of megabytes they never could. What the ledger
    does not see (descriptors, threads, processes) must be CLEAN on its own.
    """
    survivors, series = evidence.survivors, evidence.early
    if survivors is None or survivors.verdict is not Verdict.CLEAN or _cannot_be_clean(evidence):
        return None
    counted = tuple(name for name in series if SIGNALS[name].role is Role.DECIDES and name not in MEMORY)
    if evidence.required.difference(counted, MEMORY):
        return None
    if any(series[name].verdict is not Verdict.CLEAN for name in counted):
        return None
    if any(_objects(name, evidence) for name in series):
        return None
    return Ground(GroundKind.NOTHING_STAYS, ("tracked", *counted))


def find_hidden_memory(evidence: Evidence) -> Ground | None:
    """Return this ground if all that is counted is CLEAN, and memory that nothing counts may be growing."""
    if not evidence.may_hide_growth:
        return None
    counted = replace(evidence, may_hide_growth=False)
    is_clean = find_no_growth(counted) is not None or find_nothing_stays(counted) is not None
    return Ground(GroundKind.HIDDEN_MEMORY, ("rss",)) if is_clean else None


def _cannot_be_clean(evidence: Evidence) -> bool:
    return (
        evidence.only_outside
        or evidence.may_hide_growth
        or evidence.has_uncounted_children
        or any(judged.role.verdict is not Verdict.CLEAN for judged in evidence.roles)
    )


def _objects(name: str, evidence: Evidence) -> bool:
    """Whether a signal contradicts CLEAN: it grows, and not only as pages under a heap that rises at this moment.

    Resident memory that settles is waited for while readings follow: it is what the allocators take at first. One that
    grows at one rate is none if audits explain all of it: garbage may wait longer for its collection.
    """
    series = evidence.early
    role, seen, heap = SIGNALS[name].role, series[name], series.get("heap")
    if role is Role.INFORMS or not seen.is_growing:
        return False
    if name == "heap":
        return not evidence.is_only_tcache(series)
    if name in LEDGER and evidence.is_within_drops:
        return False
    is_explained = evidence.is_rss_explained and (evidence.is_last or seen.verdict is Verdict.LEAK)
    if name == "rss" and (is_explained or (evidence.is_last and seen.verdict is Verdict.SETTLING)):
        return False
    heap_rate = heap.rate if heap is not None and heap.rate is not None else 0.0
    return role is Role.DECIDES or (seen.low or 0.0) > heap_rate
