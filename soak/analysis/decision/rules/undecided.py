"""Rules on what is undecided: signals that are open, not read, or not explained."""

from __future__ import annotations

from soak.analysis.decision.rules.signals import growing_signals, most_telling_first, open_signals
from soak.analysis.evidence import Evidence
from soak.analysis.sites.streaks import (
    told_streak,
)
from soak.grounds import Ground, GroundKind
from soak.measurements import SIGNALS, Role
from soak.verdict import Verdict


def find_not_read(evidence: Evidence) -> Ground | None:
    """Return this ground if a signal that is needed for CLEAN could not be read."""
    missing = evidence.needed_for_clean - evidence.deciding.keys()
    if evidence.only_outside or not missing:
        return None
    return Ground(GroundKind.NOT_READ, tuple(sorted(missing)))


def find_heap_beside_ledger(evidence: Evidence) -> Ground | None:
    """Return this ground if the heap counter alone is open: it leaks, and the ledger is flat."""
    is_open = evidence.open
    only_heap = list(is_open) == ["heap"] and is_open["heap"].verdict is Verdict.LEAK
    return Ground(GroundKind.HEAP_BESIDE_LEDGER, ("heap",)) if only_heap and evidence.is_ledger_flat else None


def find_slowing(evidence: Evidence) -> Ground | None:
    """Return this ground if everything that still grows slows down."""
    is_open = open_signals(evidence)
    settling = tuple(name for name, series in is_open.items() if series.verdict is Verdict.SETTLING)
    others = growing_signals(is_open) if evidence.only_outside else is_open.keys() - settling
    if not settling or others:
        return None
    return Ground(GroundKind.SLOWING, settling if evidence.only_outside else most_telling_first(evidence, settling))


def find_undecided(evidence: Evidence) -> Ground | None:
    """Return this ground if growth of at least one signal is neither shown nor ruled out."""
    is_open = list(open_signals(evidence))
    if not is_open:
        return None
    names = most_telling_first(evidence, is_open)
    return Ground(GroundKind.UNDECIDED, names, streak=told_streak(evidence, names[0]))


def find_unexplained_rss(evidence: Evidence) -> Ground | None:
    """Return this ground while an alarm sounds: pages that malloc took only at first do not count."""
    if evidence.only_outside:
        return None
    sounding = [
        name
        for name, series in evidence.judged.items()
        if SIGNALS[name].role is Role.ALARMS
        and series.verdict is Verdict.LEAK
        and series.is_growing
        and not (name == "rss" and evidence.is_rss_explained)
    ]
    return Ground(GroundKind.UNEXPLAINED_RSS, tuple(sounding)) if sounding else None


def find_only_outside(evidence: Evidence) -> Ground | None:
    """Return this ground if the process was read from outside only, which never proves CLEAN."""
    return Ground(GroundKind.ONLY_OUTSIDE) if evidence.only_outside else None


def find_nothing_read(_: Evidence) -> Ground:
    """Return this ground, the last row: no signal was read."""
    return Ground(GroundKind.NOTHING_READ)
