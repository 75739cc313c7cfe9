"""What several rules ask of the signals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from soak.analysis.evidence import COUNTS, MEMORY, Evidence
from soak.analysis.sites.streaks import (
    told_streak,
)
from soak.grounds import Ground, GroundKind
from soak.verdict import SeriesVerdict, Verdict

TELLING = ("tracked", "heap", "python_blocks")
"""Of several signals that do not grow, the one whose bound says most about memory."""


def steady_signals(evidence: Evidence, names: Sequence[str], kind: GroundKind) -> Ground | None:
    """Return this ground if the rule calls one of these signals a LEAK; with all of those."""
    leaking = tuple(n for n in names if n in evidence.judged and evidence.judged[n].verdict is Verdict.LEAK)
    return Ground(kind, leaking) if leaking else None


def at_limit(evidence: Evidence, kind: GroundKind, *, is_count: bool) -> Ground | None:
    """Return this ground if the signal rose until a guard stopped the component, though the rule has no verdict."""
    stop = evidence.stop
    if stop is None or (stop.signal in COUNTS) is not is_count:
        return None
    grew = stop.limit.last > stop.limit.first and stop.limit.cycles > 0
    return Ground(kind, (stop.signal,), limit=stop.limit) if grew else None


def open_signals(evidence: Evidence) -> dict[str, SeriesVerdict]:
    """Return the signals that are not CLEAN, without those that the ledger answers for.

    If the births of all live blocks prove that no memory stays, memory that does not grow is not waited for.
    """
    if not evidence.only_outside:
        survivors, is_open = evidence.survivors, evidence.open
        others = {name: series for name, series in is_open.items() if name not in MEMORY or series.is_growing}
        is_proven = survivors is not None and survivors.verdict is Verdict.CLEAN
        return others if is_proven and others else is_open
    return {
        name: evidence.series[name]
        for name in (*COUNTS, "rss", "mapped")
        if name in evidence.series and evidence.series[name].verdict is not Verdict.CLEAN
    }


def most_telling_first(evidence: Evidence, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names with the strongest evidence of growth first.

    That is a count that rose in each cycle, then any signal that grows; of several that grow, counts before memory. If
    nothing grows, it is the signal that needs most cycles, and of several one of memory. From outside: one that grows,
    else RSS.
    """
    series = open_signals(evidence)
    if evidence.only_outside:
        first = (growing_signals(series) or [name for name in ("rss", *names) if name in names])[0]
    else:
        first = max(names, key=lambda name: _strength(evidence, name, series[name]))
    return (first, *(name for name in names if name != first))


def _strength(evidence: Evidence, name: str, series: SeriesVerdict) -> tuple[bool, bool, bool, int, bool]:
    """Return the key by which open signals are ordered: the largest is reported."""
    grows = series.is_growing and (series.low or 0.0) > 0
    is_count = name in COUNTS
    return told_streak(evidence, name) is not None, grows, grows and is_count, series.needed or 0, name in TELLING


def growing_signals(series: Mapping[str, SeriesVerdict]) -> list[str]:
    """Return the names of the signals that grow for certain and do not slow down."""
    return [n for n, s in series.items() if s.verdict is not Verdict.SETTLING and (s.low or 0.0) > 0]


def is_above_zero(series: SeriesVerdict) -> bool:
    """Whether a signal grows for certain, by any amount."""
    return series.verdict is not Verdict.CLEAN and (series.low or 0.0) > 0
