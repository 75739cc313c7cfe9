"""Rules on caches and modules that may explain all growth of memory.

Each looks at what holds ``below`` all rules on caches: if that is no growth of memory, caches explain nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from soak.analysis.decision.rules.memory import is_too_large_for_a_cache, tracked_memory
from soak.analysis.decision.rules.signals import is_above_zero
from soak.analysis.decision.rules.unknown_caches import WHAT_A_CACHE_MAY_BE, may_hold_unknown_caches
from soak.analysis.evidence import MEMORY, Evidence
from soak.analysis.sites.caches import (
    CachedSite,
    filling_modules,
    forecast,
    maybe_filling,
)
from soak.grounds import Ground, GroundKind
from soak.measurements import SIGNALS, Role
from soak.verdict import SeriesVerdict


def find_filling_cache(evidence: Evidence, below: Callable[[Evidence], Ground]) -> Ground | None:
    """Return this ground if growth of memory would be reported, and bounded caches hold all of it."""
    told, series = _growing_memory_alone(evidence, below)
    if series is None:
        return None
    filling = forecast(evidence.cached, series, cycles=evidence.cycles, tolerance_bytes=evidence.tolerance_bytes)
    return None if filling is None else Ground(GroundKind.FILLING_CACHE, told.signals, filling=filling)


def find_filling_modules(evidence: Evidence, below: Callable[[Evidence], Ground]) -> Ground | None:
    """Return this ground if growth of memory would be reported, and new modules hold all of it."""
    told, series = _growing_memory_alone(evidence, below)
    if series is None:
        return None
    modules = filling_modules(evidence.cached, series, tolerance_bytes=evidence.tolerance_bytes)
    return None if modules is None else Ground(GroundKind.FILLING_MODULES, told.signals, modules=modules)


def find_maybe_filling(evidence: Evidence, below: Callable[[Evidence], Ground]) -> Ground | None:
    """Return this ground if bounded caches may hold all growth, but not all of it could be looked at."""
    told, series = _growing_memory_alone(evidence, below)
    if series is None:
        return None
    cached = evidence.cached if may_hold_unknown_caches(evidence) else _of_known_bounds(evidence.cached)
    filling = maybe_filling(cached, series, cycles=evidence.cycles, tolerance_bytes=evidence.tolerance_bytes)
    if filling is None or (filling.cache.has_hidden_bound and is_too_large_for_a_cache(evidence)):
        return None
    return Ground(GroundKind.MAYBE_FILLING, told.signals, filling=filling)


def _of_known_bounds(sites: Sequence[CachedSite]) -> list[CachedSite]:
    """Return the sites without the caches of which only the code knows the bound."""
    return [replace(s, cache=None) if s.cache is not None and s.cache.has_hidden_bound else s for s in sites]


def _growing_memory_alone(
    evidence: Evidence, below: Callable[[Evidence], Ground]
) -> tuple[Ground, dict[str, SeriesVerdict] | None]:
    """Return what would be reported without caches, which is what holds ``below`` them, and all series.

    The series are None unless memory grows and nothing else does.
    """
    told = below(evidence)
    may_fill = told.kind in WHAT_A_CACHE_MAY_BE
    tracked = tracked_memory(evidence)
    if not may_fill or told.signals[0] not in MEMORY or tracked is None:
        return told, None
    series = {**evidence.trusted, "tracked": tracked}
    growing = {n for n, s in series.items() if SIGNALS[n].role is Role.DECIDES and is_above_zero(s)}
    return told, (series if growing <= set(MEMORY) else None)
