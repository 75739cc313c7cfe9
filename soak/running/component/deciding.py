"""Decide on a component by its signals, its ledger's sites and the looks at its memory: while it runs, and last."""

from __future__ import annotations

import time
from dataclasses import replace

from soak.analysis.component import ComponentJudge
from soak.analysis.decision.decide import decide
from soak.analysis.decision.outcome import Decision
from soak.analysis.evidence import MEMORY, Evidence
from soak.analysis.sites.caches import CachedSite
from soak.analysis.sites.ledger import Suspect
from soak.attribution.causes import MAPPING_DOMAIN
from soak.attribution.fragmentation import explains_rss, is_mapped_by_program
from soak.attribution.holders import Reachability
from soak.results import RssAudit, Unseen
from soak.running.clock import Clock
from soak.running.component.reading.checkpoints import OutsideProbe
from soak.running.component.reading.ledger_reader import Tracked
from soak.running.component.reading.memory_looks import MemoryLooks
from soak.running.component.stopping import VERDICT, guard_of
from soak.running.processes.following import FollowedProcesses
from soak.running.scanning.proving import Proofs
from soak.running.time_share import TimeShare
from soak.settings import ComponentPlan
from soak.verdict import Verdict

_DECIDE_EVERY_S, _DECIDE_SHARE = 0.1, 0.25


class ComponentDecisions:
    """The decisions on one component, the latest one, and what it rests on."""

    def __init__(
        self,
        plan: ComponentPlan,
        clock: Clock,
        judge: ComponentJudge,
        looks: MemoryLooks,
        outside: OutsideProbe,
        processes: FollowedProcesses,
    ) -> None:
        """Decide nothing yet."""
        self._judge, self._clock, self._tolerance_bytes = judge, clock, plan.tolerance_bytes
        self._looks, self._outside, self._processes = looks, outside, processes
        self._ring, self._ledger, self._horizon = looks.ring, looks.ledger, looks.horizon
        self._deciding = TimeShare(_DECIDE_SHARE, every_s=_DECIDE_EVERY_S)
        self.proofs = Proofs(looks.ledger, looks.scanner.reachability, clock)
        self.suspects: list[Suspect] = []
        """The sites that grow, as the latest evidence has them."""
        self.evidence: Evidence | None = None
        self.decision: Decision | None = None

    def decide_when_due(self, *, at_once: bool) -> None:
        """Decide, not too often: many sites that grow take long, and meanwhile nothing is read from outside."""
        begun_s, begun_cpu_s = self._clock.now_s(), time.thread_time()
        if at_once or self._deciding.is_due(begun_s):
            self.evidence = self.collect()
            self.decision = decide(self.evidence)
            # Processor time: on a busy machine one decision would be followed by half a minute without any.
            self._deciding.spend(begun_s, time.thread_time() - begun_cpu_s)

    def collect(self, *, is_last: bool = False) -> Evidence:
        """Return all that the signals, the ledger's sites and the scans of the memory say so far."""
        ledger, scanner, auditor, judge = self._ledger, self._looks.scanner, self._looks.auditor, self._judge
        cycles, longest = self._ring.completed, self._horizon.longest
        suspects = ledger.suspects(cycles, longest, at_end=is_last, beside=scanner.holding)
        self.suspects = scanner.with_births(suspects)
        leaks = any(suspect.is_leak for suspect in self.suspects)
        evidence = judge.evidence(ledger.survivors(judge.n_clean, at_end=is_last), is_last=is_last)
        series = evidence.series
        is_told = leaks or any(series[name].verdict is Verdict.LEAK for name in MEMORY if name in series)
        children = self._outside.children.living
        rss = (series.get("rss") for series in (evidence.series, evidence.early))
        rises = any(series is not None and series.verdict is Verdict.LEAK for series in rss)
        evidence = replace(
            evidence,
            is_rss_explained=rises and auditor.explains_so_far(cycles, self._tolerance_bytes, ledger.locate),
            may_hide_growth=auditor.may_hide_growth(cycles, self._tolerance_bytes),
            cycles=cycles,
            suspects=tuple(self.suspects),
            falling=ledger.falling() if leaks else None,
            cached=tuple(self._with_reachability(suspect) for suspect in self.suspects),
            steady=ledger.steady_growth(self.suspects) if leaks else None,
            lost=self.proofs.lost(self.suspects, cycles),
            kept=self.proofs.kept(self.suspects, cycles, scanner.holding),
            is_below_bound=is_told and self.proofs.is_below_bound(self.suspects, cycles),
            may_be_bounded=evidence.is_n_min_of_slow_cycles and self.proofs.may_be_bounded(self.suspects),
            has_uncounted_children=children is not None,
            children=children,
            roles=self._processes.judge(longest, is_last=is_last),
        )
        evidence = self.proofs.ended.apply(evidence)
        self.suspects = list(evidence.suspects)
        return evidence

    def _with_reachability(self, suspect: Suspect) -> CachedSite:
        """Return a site with what scans say: which caches there are, the process says after its last cycle."""
        found = self._looks.scanner.reachability(suspect.site)
        return CachedSite(suspect.bytes_per_cycle, None, suspect.is_leak, may_be_cached=_may_be_cached(found))

    def collect_last(self, stopped_by: str, asked_to_stop_by: str, *, failed: bool) -> Evidence:
        """Return what is known when the process has ended, but for what needs its last answers.

        ``asked_to_stop_by``: what it was asked to stop for, if that was it.
        """
        guard = guard_of(stopped_by)
        if guard is not None:
            is_reached = guard_of(asked_to_stop_by) is None
            return replace(self.collect(is_last=True), stop=self._judge.stop_at(guard, is_reached=is_reached))
        if stopped_by != VERDICT or self.evidence is None or failed:
            return self.collect(is_last=True)
        # Signals that were undecided when the verdict stood have now at least a rate to show.
        shown = self._judge.evidence(is_last=True).series
        series = {name: shown[name] if each.rate is None else each for name, each in self.evidence.series.items()}
        return replace(self.evidence, series=series)

    def with_last_answers(self, evidence: Evidence, tracked: Tracked, audit: RssAudit | None) -> Evidence:
        """Return the last evidence with what the process said of its caches, and what its memory was made of."""
        bounded = {site.suspect.site for site in tracked.sites if site.cache is not None and site.cache.is_bounded}
        evidence = self.proofs.without_bounded(evidence, bounded)
        return replace(
            evidence,
            cached=_cached(tracked),
            is_fragmented=audit is not None and audit.fragmentation,
            is_rss_explained=audit is not None and explains_rss(audit, self._tolerance_bytes),
            is_rss_mapped=audit is not None and is_mapped_by_program(audit),
        )

    def growth_bytes(self) -> float | None:
        """Return the bytes per cycle of the latest evidence; None before there are any."""
        series = {} if self.evidence is None else self.evidence.series
        rates = (series[name].rate for name in ("tracked", "heap", "rss") if name in series)
        return next((rate for rate in rates if rate is not None), None)


def _cached(tracked: Tracked) -> tuple[CachedSite, ...]:
    """Return the sites that grow, each with the cache that holds its objects, as the process itself said."""
    return tuple(
        CachedSite(
            site.bytes_per_cycle,
            site.cache,
            site.is_proven,
            may_be_cached=_may_be_cached(site.reachability),
            is_of_import=site.is_of_import,
            is_unseen=site.reachability.unseen is Unseen.TOO_MANY_OBJECTS,
            blocks_per_cycle=site.suspect.blocks_per_cycle,
        )
        for site in tracked.sites
        if site.domain != MAPPING_DOMAIN
    )


def _may_be_cached(found: Reachability) -> bool:
    """Whether something may hold a site's blocks, and they not only each other."""
    return found.state != "lost" and found.kind is None
