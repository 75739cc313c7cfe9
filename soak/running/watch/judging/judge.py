"""Judge one watched program while it is sampled: by its signals, and by its sites where the tracker is in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from soak.analysis.decision.decide import decide
from soak.analysis.decision.outcome import Decision
from soak.analysis.outside import OutsideJudge
from soak.analysis.sites.survivors import SETTLED_OF_WATCHED
from soak.analysis.sites.work import WorkOfOthers
from soak.probes.ledgers.tables import WatchedTables
from soak.running.component.reading.ledger_reader import LedgerReader
from soak.running.watch.judging.counts import BlockCounts
from soak.running.watch.judging.pace import WatchPace
from soak.running.watch.judging.quiet import QuietTime
from soak.running.watch.judging.sites import FLAG_AFTER_PART, WatchedSites
from soak.running.watch.plan import WatchPlan


class TrackedProgram:
    """What is read of a program that the tracker is in."""

    def __init__(
        self,
        tables: WatchedTables,
        plan: WatchPlan,
        pace: WatchPace,
        take: Callable[[int, dict[str, float]], bool],
    ) -> None:
        """Begin with nothing counted. ``take``: see `BlockCounts`."""
        self.tables, self.work = tables, WorkOfOthers()
        flag_after = pace.n_min // FLAG_AFTER_PART
        self.ledger = LedgerReader(
            lambda: tables,
            tables.maps,
            plan.tolerance_bytes,
            flag_after_cycles=flag_after,
            settled=SETTLED_OF_WATCHED,
            work=self.work,
        )
        self.counts = BlockCounts(tables, self.ledger, pace, plan.every_s, take)
        self.sites = WatchedSites(tables, self.ledger, plan, pace)

    def live(self) -> tuple[tuple[int, int] | None, float]:
        """Return how many blocks and bytes are alive, if that can be read, and the processor time that it took."""
        begun_s = time.thread_time()
        checkpoint = self.ledger.look()
        live = None if checkpoint is None else (checkpoint.live_blocks, checkpoint.live_bytes)
        return live, time.thread_time() - begun_s


class WatchJudge:
    """What is known of one program since its cycles are counted as they are now."""

    def __init__(
        self,
        plan: WatchPlan,
        pace: WatchPace,
        tables: WatchedTables | None,
        *,
        huge_pages: bool,
        keep: Callable[[int, dict[str, float]], None],
        now: Callable[[], float],
    ) -> None:
        """Begin with nothing read. ``keep`` gets all values with their cycle; ``huge_pages``: see `OutsideJudge`."""
        self._plan, self._pace, self._keep, self._now = plan, pace, keep, now
        tracked = tables is not None
        self.signals = OutsideJudge(plan.tolerance_bytes, pace.n_min, huge_pages=huge_pages, tracked=tracked)
        self.program = None if tables is None else TrackedProgram(tables, plan, pace, self._take_counts)
        self.most_children = 0.0
        self._samples_taken = 0
        self._quiet = QuietTime(plan.every_s)

    def is_quiet(self, sample: int, cpu_s: float | None) -> bool:
        """Tell whether the program did nothing since the sample before; False where its marks tell."""
        if self.program is None or self._pace.marks:
            return False
        return self._quiet.is_quiet(sample * self._plan.every_s, cpu_s, self.program.live)

    def take(self, cycles: int, values: dict[str, float], marks_of_others: int = 0) -> bool:
        """Take in a sample, and what is alive when that is due; return whether judging may say more than before.

        ``marks_of_others``: how often other processes of the watch have marked by now.
        """
        self.most_children = max(self.most_children, values.get("children", 0.0))
        active_s = self._samples_taken * self._plan.every_s
        self._samples_taken += 1
        program, says_more = self.program, False
        if program is not None:
            if self._pace.noun == "sample":
                program.work.note(cycles, marks_of_others)
            if "mapped" in values:
                values["mapped"] -= program.tables.own_mapped()
            says_more = program.counts.count_when_due(active_s, cycles, self._now())
            if not self._pace.marks and not program.tables.marks():
                program.tables.set_cycle(cycles + 1)
        self._keep(cycles, values)
        if program is not None:
            says_more = program.sites.go_on(cycles) or says_more
        return self.signals.add(cycles, values) or says_more

    def _take_counts(self, cycles: int, sums: dict[str, float]) -> bool:
        if self.program is not None and not self.program.ledger.is_complete:
            self.signals.distrust_ledger()
        self._keep(cycles, sums)
        return self.signals.add_ledger(cycles, sums)

    def decide(self, *, is_last: bool = False, failed: bool = False) -> Decision:
        """Decide by what has been read so far."""
        program, signals = self.program, self.signals
        survivors = None if program is None else program.sites.survivors(is_last=is_last)
        evidence = signals.evidence(survivors, is_last=is_last)
        if program is not None:
            evidence = program.sites.evidence(
                evidence,
                program.counts.mapped,
                signals.first,
                signals.last,
                is_last=is_last,
                has_children=self.most_children > 0,
            )
        return decide(replace(evidence, cycles=self._pace.cycles, failed=failed))

    def look_at_leaks_once_more(self) -> None:
        """See `WatchedSites.look_at_leaks_once_more`."""
        if self.program is not None:
            self.program.sites.look_at_leaks_once_more()

    def finish(self, *, has_ended: bool) -> None:
        """Take in what was counted and scanned but not judged yet. ``has_ended``: the program has."""
        if self.program is not None:
            self.program.counts.finish(has_ended=has_ended)
            self.program.sites.finish()

    def give_up(self) -> None:
        """End the scan that goes on: the program, or the unit of its cycles, has changed."""
        if self.program is not None and self.program.sites.scanner is not None:
            self.program.sites.scanner.finish()
