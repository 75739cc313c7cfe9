"""What each signal says, completed by what other evidence knows of it."""

from __future__ import annotations

from dataclasses import replace

from soak.analysis.decision.rules.memory import tracked_memory
from soak.analysis.decision.rules.processes import growth_of_leaking_processes
from soak.analysis.evidence import Evidence
from soak.analysis.sites.rates import risen, together
from soak.grounds import VERDICTS, Ground, GroundKind, Streak
from soak.measurements import SIGNALS
from soak.verdict import SeriesVerdict, Verdict


def completed_series(evidence: Evidence, grounds: tuple[Ground, ...]) -> dict[str, SeriesVerdict]:
    """Return what each signal says, with what the sites, a scan, the survivors or a guard know of it.

    In the order of SIGNALS; the first ground has decided.
    """
    first = grounds[0]
    if first.kind is GroundKind.NOTHING_STAYS and evidence.survivors is not None:
        series = {**evidence.early, "tracked": evidence.survivors}
    else:
        series = evidence.trusted
        if (tracked := tracked_memory(evidence)) is not None:
            series["tracked"] = tracked
        if first.limit is not None:
            limit = first.limit
            at = max(limit.cycles, evidence.cycles)
            series[first.signals[0]] = risen(limit.last - limit.first, since=0, cycles=limit.cycles, at=at)
        if first.kind is GroundKind.GROWING_PROCESSES:
            series["children_tracked"] = together(growth_of_leaking_processes(evidence))
        if first.streak is not None:
            series[first.signals[0]] = _with_streak(evidence, first, first.streak)
    return {name: series[name] for name in SIGNALS if name in series}


def _with_streak(evidence: Evidence, ground: Ground, streak: Streak) -> SeriesVerdict:
    """Return what a signal that rose in each cycle says: its exact rate; if undecided, only if no rate is known."""
    if VERDICTS[ground.kind] is Verdict.LEAK:
        until = streak.since + streak.cycles
        return risen(streak.growth, since=streak.since, cycles=streak.cycles, at=until)
    series, rate = evidence.series[ground.signals[0]], streak.rate
    return series if series.rate is not None else replace(series, rate=rate, low=rate, high=rate, is_growing=True)
