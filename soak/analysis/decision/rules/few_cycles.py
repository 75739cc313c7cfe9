"""The rule on few cycles: memory grows, and a cache of unknown size may hold it."""

from __future__ import annotations

from dataclasses import replace

from soak.analysis.decision.rules.memory import find_steady_memory, is_too_large_for_a_cache
from soak.analysis.decision.rules.sites import find_growing_sites, leaking_sites, leaking_suspects
from soak.analysis.decision.rules.undecided import find_undecided
from soak.analysis.decision.rules.unknown_caches import WINDOWS_TO_LOOK, is_n_min_small, may_be_bounded
from soak.analysis.evidence import MEMORY, Evidence
from soak.analysis.sites.caches import (
    may_be_cached,
)
from soak.analysis.sites.ledger import SAME_RATE
from soak.analysis.sites.streaks import (
    MOST_OF_RUN,
    is_of_run,
)
from soak.grounds import ENOUGH_N_MIN, Ground, GroundKind
from soak.verdict import SeriesState

ENOUGH_ALIKE = ENOUGH_N_MIN * 5 // 4
"""Cycles of which each part is alike: a cache of as many entries as fill 0.6 of two windows is full before the last."""


def find_few_cycles(evidence: Evidence) -> Ground | None:
    """Return this ground if memory grows at one rate, but a cache of unknown size may hold it.

    Before n_min nothing is decided anyway; there it holds at the end, where memory rose in every interval.
    """
    if not is_n_min_small(evidence) and not may_be_bounded(evidence):
        return None
    told = find_growing_sites(evidence) or find_steady_memory(evidence) or _rising_memory(evidence)
    if told is None or not may_be_cached(evidence.cached):
        return None
    is_long = _is_long_steady(evidence, told) or _is_alike_to_the_end(evidence, told)
    if is_long and not may_be_bounded(evidence):
        return None
    if is_too_large_for_a_cache(evidence):
        return None
    return Ground(GroundKind.FEW_CYCLES, told.signals, streak=told.streak)


def _is_long_steady(evidence: Evidence, told: Ground) -> bool:
    """Whether memory has grown at one rate, up to now, over as many cycles as where n_min is enough.

    The latest look of the rule may be half of the cycles ago; a cache may have become full since. Sites are followed
    up to the latest checkpoint.
    """
    enough = WINDOWS_TO_LOOK * ENOUGH_N_MIN
    if told.kind is GroundKind.UNDECIDED or evidence.cycles < enough:
        return False
    sites, whole = leaking_sites(evidence), evidence.trusted[told.signals[0]]
    rate = sum(site.rate or 0.0 for site in sites)
    if told.kind is GroundKind.GROWING_SITES or (
        told.signals[0] == "tracked" and rate >= SAME_RATE * (whole.rate or 0)
    ):
        seen, until = sites, evidence.cycles
    else:
        seen, until = [whole], whole.judged_at or 0
    since = max((series.since or 0 for series in seen), default=until)
    return until >= enough and until - since >= MOST_OF_RUN * ENOUGH_N_MIN


def _is_alike_to_the_end(evidence: Evidence, told: Ground) -> bool:
    """Whether the ledger shows the same growth in each part of enough cycles, of what leaks: the last part too.

    Windows of the rule reach far back, so they need 2,048 cycles to tell a cache of 1,000 entries from a leak. Where
    every part has as many new blocks as all others, a cache would be full in the last of them, an eighth of the cycles.
    """
    is_known_bound = evidence.may_be_bounded  # code keeps it small, by a number that may be larger
    return evidence.cycles >= ENOUGH_ALIKE and not is_known_bound and is_alike_so_far(evidence, told)


def is_alike_so_far(evidence: Evidence, told: Ground) -> bool:
    """Whether most of what leaks has grown by much the same in each part of the run."""
    if told.signals[0] != "tracked":
        return False
    leaking = leaking_suspects(evidence)
    alike = sum(suspect.verdict.rate or 0.0 for suspect in leaking if suspect.is_alike_in_each_part)
    whole = evidence.trusted["tracked"].rate if "tracked" in evidence.trusted else None
    every = max(sum(suspect.verdict.rate or 0.0 for suspect in leaking), whole or 0.0)
    return alike >= SAME_RATE * every > 0


def _rising_memory(evidence: Evidence) -> Ground | None:
    """Return this ground if memory grows at the end of a run that has not reached n_min.

    It does if it has risen in every interval of nearly the whole run, though no look has shown it yet.
    """
    told = find_undecided(evidence) if evidence.is_last else None
    if told is None or told.signals[0] not in MEMORY:
        return None
    for name in dict.fromkeys(("tracked", *told.signals)):
        streak = evidence.streaks.get(name) if name in MEMORY else None
        if streak is not None and is_of_run(evidence, name, streak):
            return replace(told, signals=(name,), streak=streak)
    series = evidence.trusted[told.signals[0]]
    return told if series.state is SeriesState.EARLY and (series.low or 0.0) > 0 else None
