"""Rules on the processes that a component started."""

from __future__ import annotations

from dataclasses import replace

from soak.analysis.decision.rules.signals import steady_signals
from soak.analysis.evidence import Evidence
from soak.grounds import Ground, GroundKind
from soak.measurements import NOTABLE_RSS_BYTES
from soak.verdict import SeriesState, SeriesVerdict, Verdict


def find_steady_children(evidence: Evidence) -> Ground | None:
    """Return this ground if the RSS of children that still live grows; a few pages do not count."""
    children = evidence.children
    if children is None or children.growth_bytes < NOTABLE_RSS_BYTES:
        return None
    ground = steady_signals(evidence, ("children_rss",), GroundKind.STEADY_CHILDREN)
    return None if ground is None else replace(ground, children=children)


def find_growing_processes(evidence: Evidence) -> Ground | None:
    """Return this ground if processes leak in which the tracker counts; those that keep most come first."""
    leaking = [judged for judged in evidence.roles if judged.role.verdict is Verdict.LEAK]
    leaking.sort(key=lambda judged: -((judged.growth.rate if judged.growth is not None else None) or 0.0))
    if not leaking:
        return None
    return Ground(GroundKind.GROWING_PROCESSES, ("children_tracked",), roles=tuple(judged.role for judged in leaking))


def find_open_processes(evidence: Evidence) -> Ground | None:
    """Return this ground if processes in which the tracker counts have no verdict yet."""
    decided = (Verdict.CLEAN, Verdict.LEAK)
    still_open = tuple(judged.role for judged in evidence.roles if judged.role.verdict not in decided)
    return Ground(GroundKind.OPEN_PROCESSES, roles=still_open) if still_open else None


def find_uncounted_children(evidence: Evidence) -> Ground | None:
    """Return this ground if child processes may grow and were not counted."""
    if not evidence.has_uncounted_children:
        return None
    return Ground(GroundKind.UNCOUNTED_CHILDREN, children=evidence.children)


def growth_of_leaking_processes(evidence: Evidence) -> list[SeriesVerdict]:
    """Return the growth of each role of processes that leaks; one of unknown rate where none is known."""
    leaking = [j.growth for j in evidence.roles if j.role.verdict is Verdict.LEAK and j.growth is not None]
    return leaking or [SeriesVerdict(Verdict.LEAK, SeriesState.MEASURED)]
