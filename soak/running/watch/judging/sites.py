"""What the sites of a tracked program say: which grow, what holds their blocks, and what is no leak."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from soak.analysis.evidence import Evidence, Proven
from soak.analysis.sites.drops import is_within, without_drops
from soak.analysis.sites.garbage import most_waiting, risen_blocks, without_waiting
from soak.analysis.sites.labels import growth_by_label
from soak.analysis.sites.ledger import Suspect
from soak.analysis.sites.standing import StandingLeaks
from soak.analysis.sites.survivors import FEWEST_CYCLES
from soak.attribution.holders import UNSCANNED, Reachability
from soak.native.layout import STACK_SITE
from soak.probes.ledgers.tables import WatchedTables
from soak.results import LabelGrowth
from soak.running.clock import SystemClock
from soak.running.component.reading.ledger_reader import LedgerReader, Tracked
from soak.running.scanning.mapped_memory import MappedMemory
from soak.running.scanning.watched import WatchScanner
from soak.running.watch.judging.free_tuples import FreeTuples
from soak.running.watch.judging.pace import WatchPace
from soak.running.watch.judging.proofs import WatchProofs
from soak.running.watch.plan import WatchPlan
from soak.verdict import SeriesVerdict, Verdict

FLAG_AFTER_PART = 4
"""Stacks are asked for after this share of n_min: the sites that grow at first are those of a program that warms up."""
_CLOCK = SystemClock()


class WatchedSites:
    """The sites of one program, or of the processes of one role."""

    def __init__(self, tables: WatchedTables, ledger: LedgerReader, plan: WatchPlan, pace: WatchPace) -> None:
        """Know of no site yet."""
        self._tables, self._ledger, self._plan, self._pace = tables, ledger, plan, pace
        self.scanner = None if plan.scans is None else WatchScanner(tables, plan.scans, _CLOCK)
        self.proofs = WatchProofs(
            ledger,
            self._reachability,
            _CLOCK,
            is_scanned=self.scanner is not None,
            ended=lambda: tables.removed,
            kept_per_mark=lambda sites: tables.kept_per_mark(sites) if pace.noun == "mark" else None,
        )
        self.free_tuples = FreeTuples(tables, ledger, pace.n_min)
        self.labels: tuple[LabelGrowth, ...] = ()
        self._suspects: list[Suspect] = []
        self._lost: dict[int, Suspect] = {}
        self._standing = StandingLeaks()
        self._has_filled_bounded = False

    def go_on(self, cycles: int) -> bool:
        """Go on with scans, where they are allowed, and with the code that is read beside.

        Returns whether judging may say more than before.
        """
        says_more = False
        if self.scanner is not None and cycles >= self._pace.n_min // FLAG_AFTER_PART:
            says_more = self.scanner.step(cycles, self._suspects, has_marks=self._pace.noun == "mark")
        return self.proofs.code.has_news() or says_more

    def look_at_leaks_once_more(self) -> None:
        """Scan at the end, where scans are allowed and do not tell yet what became of a leak."""
        leaking = [suspect for suspect in self._suspects if suspect.is_leak]
        if self.scanner is not None and leaking:
            self.scanner.look_once_more(self._pace.cycles, leaking, has_marks=self._pace.noun == "mark")

    def finish(self) -> None:
        """Wait for the scan and the code that are being read; nothing more will be judged but what they say."""
        if self.scanner is not None:
            self.scanner.finish()
        self.proofs.code.finish()

    def survivors(self, *, is_last: bool) -> SeriesVerdict | None:
        """Return what the births of all live blocks say."""
        n_min = self._pace.n_min
        n_clean = n_min if self._plan.n_min is not None else min(n_min, FEWEST_CYCLES)
        return self._ledger.survivors(n_clean, at_end=is_last)

    def evidence(
        self,
        evidence: Evidence,
        mapped: MappedMemory,
        first: Mapping[str, float],
        last: Mapping[str, float],
        *,
        is_last: bool,
        has_children: bool,
    ) -> Evidence:
        """Add to what the signals say what the sites say: a small leak hides under the sawteeth of others.

        ``first`` and ``last``: the values of the signals at the first and the last cycle. ``has_children``: processes
        live that nobody counts.
        """
        ledger, cycles = self._ledger, self._pace.cycles
        self._suspects = self._with_lost(self._standing.keep(ledger.suspects(cycles, self._pace.n_min, at_end=is_last)))
        self.labels = self._growth_by_label() or self.labels
        evidence = replace(
            evidence,
            cycles=cycles,
            suspects=tuple(self._suspects),
            risen_blocks=risen_blocks(first, last),
            falling=ledger.falling() if any(s.is_leak for s in self._suspects) else None,
            lost=self.proofs.lost(self._suspects, cycles),
            kept=self._kept(),
            may_be_bounded=self._may_be_bounded(),
            is_rss_mapped=is_last and mapped.explains_rss(ledger.locate),
            may_hide_growth=mapped.may_hide_growth(cycles, self._plan.tolerance_bytes),
            is_watched=True,
            has_uncounted_children=self._plan.tree and has_children,
            is_n_min_of_slow_cycles=self._is_beside_its_work(has_children=has_children),
        )
        self._has_filled_bounded |= evidence.may_be_bounded and not self.proofs.has_unread
        if self._has_filled_bounded:
            evidence = self.proofs.ended.apply(evidence)
        evidence = self._without_what_waits(evidence)
        self._suspects = list(evidence.suspects)
        return evidence

    def _without_what_waits(self, evidence: Evidence) -> Evidence:
        """Leave out what comes and goes, what waits for a collection, and what is kept free for the next object."""
        ledger = self._ledger
        of_python = ledger.sites_of_python()
        whole = evidence.series.get("tracked")
        grows = whole is not None and whole.verdict is Verdict.LEAK
        free = self.free_tuples.look(self._suspects, self._pace.cycles, of_python, grows=grows)
        evidence = without_drops(evidence, ledger.drop)
        if evidence.survivors is not None and evidence.survivors.verdict is Verdict.CLEAN:
            # Memory has not risen far above its largest drop, or by free objects alone.
            evidence = replace(evidence, is_within_drops=is_within(ledger.drop(None)) or ledger.grows_by_free_objects)
        processes = max(self._tables.processes, 1)
        return without_waiting(evidence, of_python, free, most=processes * most_waiting(ledger.maps))

    def tracked(self, why_not_tracked: str | None) -> Tracked:
        """Return what the tracker saw: the sites that are proven, or still grow when the program has warmed up."""
        ledger = self._ledger
        memory = None if self.scanner is None else self.scanner.memory
        tracked = ledger.finish(
            [*self._suspects, *self.proofs.gone(self._suspects)],
            why_not_tracked,
            self._reachability,
            memory,
            kept=self.proofs.keepers,
        )
        is_starting = self._pace.cycles < self._pace.n_min // FLAG_AFTER_PART
        sites = (
            site
            for site in tracked.sites
            if site.is_proven
            or (not is_starting and (_grows_still(site.suspect) or ledger.grows_steadily(site.suspect.site)))
        )
        tracked = replace(tracked, sites=tuple(sites))
        if ledger.latest is not None and not ledger.has_python:
            covers = tuple(name for name in tracked.state.covers if name != "python")
            tracked = replace(tracked, state=replace(tracked.state, covers=covers))
        return tracked

    def _reachability(self, site: int) -> Reachability:
        return UNSCANNED if self.scanner is None else self.scanner.reachability(site)

    def _may_be_bounded(self) -> bool:
        """Whether what grows may go into a cache of the program's own; not where the user says what fits into n_min."""
        return self._plan.n_min is None and self.proofs.may_be_bounded(self._suspects)

    def _kept(self) -> Proven | None:
        """Return what containers keep that only grow; nothing before the stacks of sites are asked for."""
        cycles = self._pace.cycles
        return None if cycles < self._pace.n_min // FLAG_AFTER_PART else self.proofs.kept(self._suspects, cycles)

    def _with_lost(self, suspects: list[Suspect]) -> list[Suspect]:
        """Return the sites that grow, with those whose blocks are lost: how much that is, their growth tells."""
        for suspect in suspects:
            if self._reachability(suspect.site).state == "lost":
                self._lost[suspect.site] = suspect
        grows = {suspect.site for suspect in suspects}
        return [*suspects, *(suspect for site, suspect in self._lost.items() if site not in grows)]

    def _is_beside_its_work(self, *, has_children: bool) -> bool:
        """Whether the work is marked in other processes: this one is judged by samples, into which few caches fit."""
        plan = self._plan
        are_marked = bool(plan.marks) and plan.follow and has_children
        return are_marked and plan.n_min is None and self._pace.noun == "sample"

    def _growth_by_label(self) -> tuple[LabelGrowth, ...]:
        """Return what the sites that leak keep for each label of marks, with those that grow faster than they do.

        A list's buffer is proven first, and is the least part of what the list keeps. Nothing where the process has
        ended.
        """
        kept = self.proofs.keepers
        proven = {each.site: each.bytes_per_cycle for each in self._suspects if each.is_leak or each.site in kept}
        fastest = max(proven.values(), default=0.0)
        growing = [each.site for each in self._suspects if each.site in proven or each.bytes_per_cycle > fastest]
        latest = self._ledger.latest
        if not proven or latest is None or self._pace.noun != "mark":
            return ()
        stacks = np.flatnonzero((latest.sites["kind"] == STACK_SITE) & np.isin(latest.sites["parent"], growing))
        return growth_by_label(self._tables.labelled({*growing, *stacks.tolist()}, self._pace.first_mark))


def _grows_still(suspect: Suspect) -> bool:
    """Whether a site grows by the rule, also early: what a program allocates at its start is over by then."""
    return suspect.is_leak or (suspect.verdict.low or 0.0) > 0
