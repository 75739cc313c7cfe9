"""The causes of a component's growth, of what was observed of its process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from soak.analysis.decision.outcome import Decision
from soak.analysis.evidence import COUNTS, LEDGER
from soak.attribution.causes import Locate, causes_of_sites, fingerprint, with_main_site
from soak.attribution.native.symbols import Symbols
from soak.attribution.opened_causes import causes_of_opened
from soak.grounds import GroundKind
from soak.measurements import SIGNALS
from soak.results import Cause, Opened, Place
from soak.running.component.observations import Observations
from soak.running.component.second_pass import Trace
from soak.running.processes.report import causes_of_roles
from soak.verdict import SeriesVerdict, Verdict


def find_causes(observed: Observations, trace: Trace | None) -> tuple[Cause, ...]:
    """Return what the deciding counter says, unless the tracker knows the call sites, and then those sites.

    The other counters' growth is mostly the same leak seen again: a thread takes heap, heap takes RSS. Descriptors,
    threads, processes and what is left behind are told each on its own, with what they are and who opened them.
    """
    decision = observed.decision
    decided_by = decision.decided_by if decision.verdict is Verdict.LEAK else None
    if _is_fragmentation(observed):
        decided_by = decision.decided_by
    sites: tuple[Cause, ...] = ()
    locate = Symbols(observed.tracked.maps).frames
    if decision.verdict is not Verdict.CLEAN:
        sites = causes_of_sites(
            observed.tracked.sites,
            locate,
            gc_held_off=observed.gc_held_off,
            memory=observed.tracked.memory,
        )
    if decision.grounds[0].kind is GroundKind.REPLACING:
        sites = tuple(replace(cause, confirmed=False) for cause in sites)
    if decided_by in LEDGER:
        sites = with_main_site(sites, decision.leaking_bytes)
    sites = (*sites, *causes_of_roles(observed.roles))
    kind = "fragmentation" if _is_fragmentation(observed) else SIGNALS[decided_by].kind if decided_by else None
    if decided_by is None:
        return (*_causes_of_items(observed, locate), *sites)
    if (sites and kind in ("native", "python-object")) or decided_by == "children_tracked":
        return sites
    if kind == "mapping" and any(site.kind == kind for site in sites):
        return sites
    if decided_by in COUNTS:
        return (*_causes_of_items(observed, locate), *sites)
    return (_cause_of_counter(decided_by, observed, trace), *sites)


def _is_fragmentation(observed: Observations) -> bool:
    """Whether what grows, and was decided by, is memory that the allocators keep free: no mapping of anybody's."""
    return observed.decision.grounds[0].kind is GroundKind.FRAGMENTATION


def _causes_of_items(observed: Observations, locate: Locate) -> Iterator[Cause]:
    """Give the causes of every count that leaks; a process started with pipes takes descriptors too.

    While nothing is decided, also those of a count that grows: suspected, and not confirmed.
    """
    decision = observed.decision
    for name in COUNTS:
        series = decision.series.get(name)
        if series is None:
            continue
        confirmed = series.verdict is Verdict.LEAK
        if confirmed or _is_suspected(decision, series):
            kind = SIGNALS[name].kind
            opened = [one for one in observed.opened if one.item.kind == kind]
            causes = causes_of_opened(opened, locate, kind, series.rate or 0.0, series.since)
            yield from (replace(cause, confirmed=confirmed) for cause in causes)


def _is_suspected(decision: Decision, count: SeriesVerdict) -> bool:
    """Whether a count grows of which nothing is proven, in a run that decided nothing."""
    is_open = decision.verdict is count.verdict is Verdict.INCONCLUSIVE
    return is_open and count.is_growing and (count.low or 0.0) > 0


def _cause_of_counter(name: str, observed: Observations, trace: Trace | None) -> Cause:
    """Return the cause that a counter alone can tell; tracemalloc's second pass adds the line of Python objects."""
    signal, series = SIGNALS[name], observed.decision.series[name]
    kind, rate = "fragmentation" if _is_fragmentation(observed) else signal.kind, series.rate or 0.0
    bytes_per_iteration = rate if signal.unit == "bytes" else None
    python_where = None
    frames: tuple[Place, ...] = ()
    if name == "python_blocks":
        kind = "reference-cycle" if observed.gc_held_off else kind
        if trace is not None and trace.bytes_per_iteration is not None:
            bytes_per_iteration = trace.bytes_per_iteration.rate
        if trace is not None and trace.top:
            python_where = Place(None, trace.top[0].file, trace.top[0].line)
            frames = tuple(Place(None, file, line) for file, line in trace.top[0].stack)
    return Cause(
        kind=kind,
        confirmed=True,
        state="unknown",
        fingerprint=fingerprint(kind, None, python_where, None),
        bytes_per_iteration=bytes_per_iteration,
        blocks_per_iteration=rate if name == "python_blocks" else None,
        since=series.since,
        python_where=python_where,
        frames=frames,
        is_free_memory=_is_fragmentation(observed),
        opened=_growing_children(observed) if name == "children_rss" else (),
    )


def _growing_children(observed: Observations) -> tuple[Opened, ...]:
    """Return the child processes that live on, by their commands."""
    living = observed.evidence.children
    return () if living is None else tuple(Opened("process", name, count) for name, count in living.counts)
