"""Watch a process that knows nothing of soak: sample it at a steady pace, and judge while it runs.

It is only read, through /proc: nothing is attached, stopped or sent to it. A program that the watch starts has the
tracker in it as well, whose tables are read the same way. Where scans are allowed (``--scan``), the tracker makes
copies of the program, and these are read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event

import numpy as np

from soak.analysis.decision.decide import decide
from soak.analysis.decision.outcome import Decision
from soak.analysis.evidence import LEDGER, Proven
from soak.analysis.falls import FallCounter
from soak.analysis.outside import DECIDING, OutsideJudge
from soak.analysis.sites.drops import is_within, without_drops
from soak.analysis.sites.garbage import (
    LARGEST_TUPLE_BYTES,
    MOST_FREE_TUPLES,
    most_waiting,
    risen_blocks,
    without_waiting,
)
from soak.analysis.sites.labels import growth_by_label
from soak.analysis.sites.ledger import Suspect
from soak.analysis.sites.standing import StandingLeaks
from soak.analysis.sites.survivors import FEWEST_CYCLES, SETTLED_OF_WATCHED
from soak.attribution.causes import causes_of_sites, fingerprint, with_main_site
from soak.attribution.holders import UNSCANNED, Reachability
from soak.attribution.native.symbols import Symbols
from soak.grounds import GroundKind
from soak.measurements import SIGNALS, Role
from soak.native.layout import STACK_SITE, STATE_PYTHON_DOMAINS
from soak.native.ledger import Checkpoint
from soak.probes.ledgers.tables import WatchedTables
from soak.results import (
    Cause,
    ComponentResult,
    Failure,
    Growth,
    LabelGrowth,
    Pacing,
    RssAudit,
    SignalResult,
    TrackerState,
)
from soak.running.clock import SystemClock
from soak.running.component.ledger_reader import PYTHON_DOMAINS, LedgerReader, Tracked
from soak.running.scanning.mapped_memory import MappedMemory
from soak.running.scanning.watched import WatchScanner
from soak.running.time_share import TimeShare
from soak.running.watch.counting import CountPace
from soak.running.watch.name_cache import NameCache
from soak.running.watch.pace import WatchPace
from soak.running.watch.plan import WatchPlan
from soak.running.watch.proofs import WatchProofs
from soak.running.watch.quiet import QuietTime
from soak.running.watch.record import WatchRecord
from soak.running.watch.subject import CPU_S, Subject
from soak.units import format_count, format_size
from soak.verdict import SeriesVerdict, Verdict

_DESCRIBE_EVERY, _DESCRIBE_SHARE = 60, 0.01
"""Samples between two looks at what the descriptors are, and the share of the time that these may take: there are as
many links to read as descriptors."""
_FLAG_AFTER_PART = 4
"""Stacks are asked for after this share of n_min."""
_LONGEST_FALL = 16
"""Counts that are held back at most."""
_MARKS_BESIDE_PART = 128
"""Marks may be made while the blocks are counted, up to this part of n_min: a rate is wrong by as much."""
_MOST_LOOKS = 4
_CLOCK = SystemClock()
_LOOK_AGAIN_AFTER = 1.25
_MOST_OF_GROWTH = 0.8
"""A site grows by what lies in a free list when that is at least this share of its growth."""
_CHILDREN = "The tracker is in the program itself, not in the processes that it starts."
_REPLACED = "Python's own allocators were replaced (PYTHONMALLOC, -X dev), so objects have no line of their own."
_WAITS_FOR_COLLECTION = (
    "The memory of Python objects dropped suddenly {times} times, by {fall} on average. Reference cycles that wait for "
    "garbage collection look like this. So does a cache that is emptied. If gc.collect() in the program lowers the "
    "memory, break the cycles, or collect more often."
)
_FEW_MARKS = "There were marks, but too few to use them as cycles."
_QUIET = "The program was idle in {samples} more samples; they do not count."
_FREE_TUPLES = (
    "Part of the growth is free tuples that CPython keeps for reuse, up to {most} of each size: they are not a leak."
)
_NO_MARK = (
    "soak received no mark: {names} was not called, or is not where --mark looks (docs/watch.md). "
    "Python ignores --mark with -I, -E and -S."
)
_NO_PLACE = "soak cannot name a line from outside: use soak run or soak.check on the function that does the work."


def no_mark(names: Sequence[str]) -> str:
    """Say that none of the marks came that were asked for."""
    return _NO_MARK.format(names=", ".join(names))


class Watch:
    """One process's samples from the first to the verdict."""

    def __init__(
        self,
        subject: Subject,
        plan: WatchPlan,
        stopping: Event,
        *,
        on_sample: Callable[[int, dict[str, float], Decision | None], None] = lambda *_: None,
        record: WatchRecord | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """Prepare. ``now`` and ``sleep`` are the clock; ``stopping`` ends the watch, never what is watched.

        ``record`` gets all that is read.
        """
        self._subject = subject
        self._plan = plan
        self._stopping = stopping
        self._on_sample = on_sample
        self._record = record
        self._now = now
        self._sleep = sleep or stopping.wait
        self._messages: list[str] = []
        self._scanner: WatchScanner | None = None
        self._describing = TimeShare(_DESCRIBE_SHARE, every_s=_DESCRIBE_EVERY * plan.every_s)
        self._fds_at_start = self._fds_at_end = self._describe_fds()

    def run(self) -> ComponentResult:
        """Sample until the verdict stands, the time is over, the process has ended, or ``stopping`` is set."""
        plan, subject = self._plan, self._subject
        started, begun_s = datetime.now(UTC).isoformat(timespec="seconds"), self._now()
        self._begun_s = begun_s
        self._begin(0, subject.program(), subject.tables())
        sample, worst_lag_s, missed, standing = 0, 0.0, 0, None
        while True:
            values = subject.read()
            if not values:
                stopped_by = "ended"
                break
            self._restart_after_exec(sample)
            if self._take(sample, values):
                standing = self._decide()
            if sample == self._offset + 1:  # at the very start a program opens what it loads
                self._fds_at_start = subject.describe_fds() or self._fds_at_start
            if self._describing.is_due(self._now()):
                self._fds_at_end = self._describe_fds() or self._fds_at_end
            self._on_sample(sample, values, standing)
            stopped_by = self._reason_to_stop(self._now() - begun_s, standing)
            if stopped_by:
                self._fds_at_end = subject.describe_fds() or self._fds_at_end
                self._look_at_leaks_once_more()
                break
            due_s = begun_s + (sample + 1) * plan.every_s
            self._sleep(max(0.0, due_s - self._now()))
            lag_s = max(0.0, self._now() - due_s)
            worst_lag_s = max(worst_lag_s, lag_s)
            skipped = int(lag_s / plan.every_s)
            missed += skipped
            sample += 1 + skipped
        seconds = self._now() - begun_s
        self._end_counts(has_ended=stopped_by == "ended")
        all_samples = sample - self._offset
        done = all_samples - self._pace.quiet_samples if self._pace.noun == "sample" else self._pace.cycles
        # The cycles of a program that marks them are its own; ours are then only when it is looked at.
        interval_s = plan.every_s if self._pace.noun == "sample" else None
        mean_s = (seconds - self._offset * plan.every_s) / done if done else None
        pacing = Pacing(interval_s, mean_s, missed, worst_lag_s)
        failure = self._failure(done, stopped_by)
        decision = self._decide(is_last=True, failed=failure is not None)
        return self._result(decision, sample, done, seconds, stopped_by, pacing, started, failure)

    def _begin(self, sample: int, program: str, tables: WatchedTables | None) -> None:
        """Begin to judge what the process is now."""
        self._program, self._tables, self._offset = program, tables, sample
        self._pace = WatchPace(self._plan, sample, tracked=tables is not None)
        self._begin_judging()

    def _begin_judging(self) -> None:
        plan, tolerance = self._plan, self._plan.tolerance_bytes
        if self._record is not None:
            self._record.begin()
        self._judge = OutsideJudge(
            tolerance,
            self._pace.n_min,
            huge_pages=self._subject.has_huge_pages(),
            tracked=self._tables is not None,
        )
        tables = self._tables
        # The sites that grow at first are those of a program that warms up; their stacks would cost it time.
        flag_after = self._pace.n_min // _FLAG_AFTER_PART
        self._ledger = (
            None
            if tables is None
            else LedgerReader(
                lambda: tables, tables.maps, tolerance, flag_after_cycles=flag_after, settled=SETTLED_OF_WATCHED
            )
        )
        self._names = None if tables is None else NameCache(tables)
        if self._scanner is not None:
            self._scanner.finish()
        self._scanner = None if tables is None or plan.scans is None else WatchScanner(tables, plan.scans, _CLOCK)
        is_scanned = self._scanner is not None
        self._proofs = (
            None
            if self._ledger is None
            else WatchProofs(self._ledger, self._reachability, _CLOCK, is_scanned=is_scanned, ended=self._ended)
        )
        self._mapped = MappedMemory()
        self._lost: dict[int, Suspect] = {}
        self._suspects: list[Suspect] = []
        self._has_filled_bounded = False
        self._standing = StandingLeaks()
        self._held: list[tuple[Checkpoint, int]] = []
        self._labels: tuple[LabelGrowth, ...] = ()
        self._free: set[int] = set()
        self._looked_for_free: dict[int, int] = {}
        self._samples_taken, self._most_children = 0, 0.0
        self._falls, self._removed = FallCounter(), 0
        self._counting = CountPace(self._plan.every_s)
        self._quiet = QuietTime(self._plan.every_s)

    def _take(self, sample: int, values: dict[str, float]) -> bool:
        """Take in a sample, and what is alive when that is due; return whether judging may say more than before."""
        tables = self._tables
        if self._pace.turn(sample, tables.marks() if tables is not None else 0):
            self._begin_judging()
            if tables is not None:
                tables.count_births_from(self._pace.first_mark)
        is_quiet = self._is_quiet(sample, values.pop(CPU_S, None))
        cycles = self._pace.cycles_at(sample, is_quiet=is_quiet)
        if cycles is None:
            return False
        self._most_children = max(self._most_children, values.get("children", 0.0))
        if tables is not None and "mapped" in values:
            values["mapped"] -= tables.own_mapped()
        active_s = self._samples_taken * self._plan.every_s
        self._samples_taken += 1
        says_more = False
        if self._ledger is not None and self._counting.is_due(active_s):
            says_more = self._count(self._ledger, active_s, cycles)
        if tables is not None and not self._pace.marks and not tables.marks():
            tables.set_cycle(cycles + 1)
        self._keep(cycles, values)
        says_more = self._scan(cycles) or says_more
        if self._proofs is not None:
            says_more = self._proofs.code.has_news() or says_more
        return self._judge.add(cycles, values) or says_more

    def _describe_fds(self) -> dict[str, int]:
        begun_s = self._now()
        found = self._subject.describe_fds()
        self._describing.spend(begun_s, self._now() - begun_s)
        return found

    def _scan(self, cycles: int) -> bool:
        """Go on with scans, where they are allowed; return whether judging may say more than before."""
        if self._scanner is None or cycles < self._pace.n_min // _FLAG_AFTER_PART:
            return False
        return self._scanner.step(cycles, self._suspects, has_marks=self._pace.noun == "mark")

    def _look_at_leaks_once_more(self) -> None:
        """Scan at the end, where scans are allowed and do not tell yet what became of a leak."""
        leaking = [suspect for suspect in self._suspects if suspect.is_leak]
        if self._scanner is not None and leaking:
            self._scanner.look_once_more(self._pace.cycles, leaking, has_marks=self._pace.noun == "mark")

    def _reachability(self, site: int) -> Reachability:
        return UNSCANNED if self._scanner is None else self._scanner.reachability(site)

    def _is_quiet(self, sample: int, cpu_s: float | None) -> bool:
        """Tell whether the program did nothing since the sample before; False where its marks tell."""
        ledger = self._ledger
        if ledger is None or self._pace.marks:
            return False

        def count() -> tuple[tuple[int, int] | None, float]:
            begun_s = time.thread_time()
            checkpoint = ledger.look()
            live = None if checkpoint is None else (checkpoint.live_blocks, checkpoint.live_bytes)
            return live, time.thread_time() - begun_s

        return self._quiet.is_quiet(sample * self._plan.every_s, cpu_s, count)

    def _count(self, ledger: LedgerReader, active_s: float, cycles: int) -> bool:
        """Count what is alive; return whether judging may say more than before."""
        begun_s, says_more = time.thread_time(), False
        checkpoint, cycles = self._look(ledger, cycles)
        if checkpoint is not None and self._names is not None and self._tables is not None:
            self._mapped.look(cycles, self._now(), self._tables.counted(checkpoint))
            checkpoint = self._names.without(checkpoint)
            falls = bool(self._held) and checkpoint.live_bytes < self._held[-1][0].live_bytes
            if not falls or len(self._held) == _LONGEST_FALL:
                says_more = self._add_held()
            self._held.append((checkpoint, cycles))
        self._counting.spend(active_s, time.thread_time() - begun_s)
        return says_more

    def _look(self, ledger: LedgerReader, cycles: int) -> tuple[Checkpoint | None, int]:
        """Return what is alive, and after which cycle.

        On a busy machine the program may make many marks between the two readings. Then both are read again.
        """
        tables, pace, checkpoint = self._tables, self._pace, None
        if tables is None or pace.noun != "mark":
            return ledger.look(), cycles
        for _ in range(_MOST_LOOKS):
            cycles = pace.catch_up(tables.marks())
            checkpoint = ledger.look()
            if tables.marks() - pace.marks <= max(pace.n_min // _MARKS_BESIDE_PART, 1):
                break
        return checkpoint, cycles

    def _end_counts(self, *, has_ended: bool) -> None:
        """Take in what was counted and scanned but not judged yet."""
        if has_ended:
            del self._held[1:]
        self._add_held()
        if self._scanner is not None:
            self._scanner.finish()
        if self._proofs is not None:
            self._proofs.code.finish()

    def _add_held(self) -> bool:
        """Take in the counts that were held back; return whether judging may say more than before.

        While what is alive falls and falls the program may be at its end, where it gives everything back.
        """
        says_more = [self._add_count(checkpoint, cycles) for checkpoint, cycles in self._held]
        self._held.clear()
        return any(says_more)

    def _add_count(self, checkpoint: Checkpoint, cycles: int) -> bool:
        ledger = self._ledger
        assert ledger is not None
        ledger.take_births(checkpoint, cycles)
        removed = 0 if self._tables is None else self._tables.removed
        if removed != self._removed:
            self._falls.restart()
            ledger.forget_drops()
            self._removed = removed
        sums = ledger.take(checkpoint, cycles)
        is_python = np.isin(checkpoint.rows["domain"], PYTHON_DOMAINS)
        self._falls.add(float(checkpoint.rows["live_bytes"][is_python].sum()))
        if not ledger.is_complete:
            self._judge.distrust_ledger()
        counted = {name: sums[name] for name in LEDGER}
        self._keep(cycles, counted)
        return self._judge.add_ledger(cycles, counted)

    def _keep(self, cycles: int, values: dict[str, float]) -> None:
        if self._record is not None:
            self._record.add(cycles, self._now() - self._begun_s, values)

    def _decide(self, *, is_last: bool = False, failed: bool = False) -> Decision:
        """Decide on the signals, and on the ledger's sites on their own: a small leak hides under others' sawteeth."""
        evidence = self._judge.evidence(self._survivors(is_last=is_last), is_last=is_last)
        if self._ledger is not None:
            suspects = self._ledger.suspects(self._pace.cycles, self._pace.n_min, at_end=is_last)
            self._suspects = self._with_lost(self._standing.keep(suspects))
            self._labels = self._growth_by_label(self._ledger) or self._labels
            uncounted = self._plan.tree and self._most_children > 0
            evidence = replace(
                evidence,
                cycles=self._pace.cycles,
                suspects=tuple(self._suspects),
                risen_blocks=risen_blocks(self._judge.first, self._judge.last),
                falling_bytes=self._ledger.falling_bytes() if any(s.is_leak for s in self._suspects) else None,
                lost=None if self._proofs is None else self._proofs.lost(self._suspects, self._pace.cycles),
                kept=self._kept(),
                may_be_bounded=self._may_be_bounded(),
                is_rss_mapped=is_last and self._mapped.explains_rss(self._ledger.locate),
                may_hide_growth=self._mapped.may_hide_growth(self._pace.cycles, self._plan.tolerance_bytes),
                is_watched=True,
                has_uncounted_children=uncounted,
                is_n_min_of_slow_cycles=self._is_beside_its_work(),
            )
            is_read = self._proofs is not None and not self._proofs.has_unread
            self._has_filled_bounded |= evidence.may_be_bounded and is_read
            if self._proofs is not None and self._has_filled_bounded:
                evidence = self._proofs.ended.apply(evidence)
            of_python = self._ledger.sites_of_python()
            whole = evidence.series.get("tracked")
            grows = whole is not None and whole.verdict is Verdict.LEAK
            free = self._sites_of_free_tuples(self._ledger, of_python, grows=grows)
            processes = 1 if self._tables is None else max(self._tables.processes, 1)
            evidence = without_drops(evidence, self._ledger.drop)
            if evidence.survivors is not None and evidence.survivors.verdict is Verdict.CLEAN:
                evidence = replace(evidence, is_within_drops=self._comes_and_goes(self._ledger))
            evidence = without_waiting(evidence, of_python, free, most=processes * most_waiting(self._ledger.maps))
            self._suspects = list(evidence.suspects)
        return decide(replace(evidence, cycles=self._pace.cycles, failed=failed))

    def _comes_and_goes(self, ledger: LedgerReader) -> bool:
        """Whether memory has not risen far above its largest drop, or by free objects alone."""
        return is_within(ledger.drop(None)) or ledger.grows_by_free_objects

    def _survivors(self, *, is_last: bool) -> SeriesVerdict | None:
        """Return what the births of all live blocks say."""
        if self._ledger is None:
            return None
        n_min = self._pace.n_min
        n_clean = n_min if self._plan.n_min is not None else min(n_min, FEWEST_CYCLES)
        return self._ledger.survivors(n_clean, at_end=is_last)

    def _ended(self) -> int:
        return 0 if self._tables is None else self._tables.removed

    def _may_be_bounded(self) -> bool:
        """Whether what grows may go into a cache of the program's own; not where the user says what fits into n_min."""
        if self._proofs is None or self._plan.n_min is not None:
            return False
        return self._proofs.may_be_bounded(self._suspects)

    def _kept(self) -> Proven | None:
        """Return what containers keep that only grow; nothing before the stacks of sites are asked for."""
        cycles = self._pace.cycles
        if self._proofs is None or cycles < self._pace.n_min // _FLAG_AFTER_PART:
            return None
        return self._proofs.kept(self._suspects, cycles)

    def _with_lost(self, suspects: list[Suspect]) -> list[Suspect]:
        """Return the sites that grow, with those whose blocks are lost: how much that is, their growth tells."""
        for suspect in suspects:
            if self._reachability(suspect.site).state == "lost":
                self._lost[suspect.site] = suspect
        grows = {suspect.site for suspect in suspects}
        return [*suspects, *(suspect for site, suspect in self._lost.items() if site not in grows)]

    def _is_beside_its_work(self) -> bool:
        """Whether the work is marked in other processes: this one is judged by samples, into which few caches fit."""
        plan = self._plan
        are_marked = bool(plan.marks) and plan.follow and self._most_children > 0
        return are_marked and plan.n_min is None and self._pace.noun == "sample"

    def _sites_of_free_tuples(self, ledger: LedgerReader, of_python: set[int], *, grows: bool) -> set[int]:
        """Return the sites that grow by tuples which CPython keeps free for the next.

        ``grows``: the sum of all sites leaks, to which those belong that do not leak on their own.
        """
        looked_at = [
            suspect
            for suspect in self._suspects
            if suspect.bytes_per_cycle <= LARGEST_TUPLE_BYTES * suspect.blocks_per_cycle
            and suspect.site in of_python
            and (grows or suspect.is_leak or self._is_due_for_free_tuples(suspect.site))
        ]
        if self._tables is None or not looked_at:
            return self._free
        groups: dict[int, Collection[int]] = {s.site: {s.site, *ledger.stacks_in(s.site)} for s in looked_at}
        found = self._tables.free_tuples(groups)
        for suspect in looked_at:
            self._looked_for_free[suspect.site] = self._pace.cycles
            free = found.get(suspect.site)
            if free is None:
                continue  # it has just ended, and what was known of it stands
            grown = suspect.blocks_per_cycle * self._pace.cycles
            (self._free.add if free >= _MOST_OF_GROWTH * grown > 0 else self._free.discard)(suspect.site)
        return self._free

    def _is_due_for_free_tuples(self, site: int) -> bool:
        """Whether to look before it leaks: it may do so only by the last look, and then the process may have ended."""
        cycles, before = self._pace.cycles, self._looked_for_free.get(site, 0)
        return 2 * cycles >= self._pace.n_min and cycles >= _LOOK_AGAIN_AFTER * before

    def _growth_by_label(self, ledger: LedgerReader) -> tuple[LabelGrowth, ...]:
        """Return what the sites that leak keep for each label of marks, with those that grow faster than they do.

        A list's buffer is proven first, and is the least part of what the list keeps. Nothing where the process has
        ended.
        """
        kept = () if self._proofs is None else self._proofs.keepers
        proven = {each.site: each.bytes_per_cycle for each in self._suspects if each.is_leak or each.site in kept}
        fastest = max(proven.values(), default=0.0)
        growing = [each.site for each in self._suspects if each.site in proven or each.bytes_per_cycle > fastest]
        tables, latest = self._tables, ledger.latest
        if not proven or tables is None or latest is None or self._pace.noun != "mark":
            return ()
        stacks = np.flatnonzero((latest.sites["kind"] == STACK_SITE) & np.isin(latest.sites["parent"], growing))
        return growth_by_label(tables.labelled({*growing, *stacks.tolist()}, self._pace.first_mark))

    def _restart_after_exec(self, sample: int) -> None:
        tables = self._subject.tables()
        program = self._subject.program()  # last: it tells whether there was a process to have tables
        if not program or (program == self._program and tables is self._tables):
            return
        became = (
            f"the process became another program ({program})" if program != self._program else "the program restarted"
        )
        if program != self._program or self._tables is not None:
            # Of a chain of them only the last matters.
            self._messages = [f"At sample {sample} {became}; the verdict is for the samples after that."]
        self._begin(sample, program, tables)

    def _reason_to_stop(self, elapsed_s: float, standing: Decision | None) -> str:
        if self._stopping.is_set():
            return "signal"
        if self._plan.duration_s is not None and elapsed_s >= self._plan.duration_s:
            return "budget"
        leaks = standing is not None and standing.verdict is Verdict.LEAK
        return "verdict" if leaks and self._plan.stop_at_leak else ""

    def _result(
        self,
        decision: Decision,
        samples: int,
        done: int,
        seconds: float,
        stopped_by: str,
        pacing: Pacing,
        started: str,
        failure: Failure | None,
    ) -> ComponentResult:
        name, tracked = decision.decided_by, self._tracked()
        deciding = decision.series.get(name or "")
        cycle_s = self._plan.every_s if pacing.interval_s else pacing.mean_period_s or 0.0
        return ComponentResult(
            name=self._subject.name,
            target=getattr(self._subject, "command", self._subject.name),
            verdict=decision.verdict,
            decided_by=_decided_by(decision),
            iterations=done,
            seconds=seconds,
            iterations_to_verdict=decision.decided_at,
            seconds_to_verdict=None if decision.decided_at is None else decision.decided_at * cycle_s,
            since=deciding.since if deciding else None,
            needed_iterations=decision.needed,
            n_min=self._pace.n_min,
            stopped_by=stopped_by,
            gate=True,
            growth=_growth(name, decision.series),
            signals={name: self._signal(name, series) for name, series in decision.series.items()},
            causes=self._causes(decision, tracked),
            tracemalloc=None,
            tracker=tracked.state,
            pacing=pacing,
            failure=failure,
            messages=(*self._messages, *self._fd_message(), *self._limits(name, tracked), *self._waits()),
            checkpoints=samples + 1,
            started=started,
            tolerance_bytes=self._plan.tolerance_bytes,
            grounds=decision.grounds,
            cycle_noun=self._pace.noun,
            labels=self._labels,
            audit=self._audit(decision),
            pauses=None if self._plan.scans is None else self._plan.scans.pauses(),
        )

    def _audit(self, decision: Decision) -> RssAudit | None:
        """Return what a library maps and hands out itself, where that decided."""
        decides = decision.grounds[0].kind in (GroundKind.HIDDEN_MEMORY, GroundKind.STEADY_MAPPED)
        return self._mapped.audit(self._ledger.locate) if decides and self._ledger is not None else None

    def _failure(self, samples: int, stopped_by: str) -> Failure | None:
        status = self._subject.exit_status() if stopped_by == "ended" else None
        if not status:
            return None
        detail = f"it ended with status {status}" if status > 0 else f"it was ended by signal {-status}"
        return Failure("cycle", samples, "exit" if status > 0 else "signal", detail)

    def _signal(self, name: str, series: SeriesVerdict) -> SignalResult:
        signal, judge = SIGNALS[name], self._judge
        role = signal.role if self._tables is not None or name not in DECIDING else Role.DECIDES
        first, last, readings = judge.first[name], judge.last[name], judge.readings[name]
        return SignalResult.of(series, signal.unit, role.value, first=first, last=last, readings=readings)

    def _tracked(self) -> Tracked:
        """Return what the tracker saw."""
        if self._ledger is None:
            return Tracked(TrackerState(False, self._subject.why_not_tracked()), False, (), "")
        memory = None if self._scanner is None else self._scanner.memory
        kept = () if self._proofs is None else self._proofs.keepers
        why_not = self._subject.why_not_tracked()
        gone = [] if self._proofs is None else self._proofs.gone(self._suspects)
        tracked = self._ledger.finish([*self._suspects, *gone], why_not, self._reachability, memory, kept=kept)
        grows = self._ledger.grows_steadily
        is_starting = self._pace.cycles < self._pace.n_min // _FLAG_AFTER_PART
        sites = (
            site
            for site in tracked.sites
            if site.is_proven or (not is_starting and (_grows_still(site.suspect) or grows(site.suspect.site)))
        )
        tracked = replace(tracked, sites=tuple(sites))
        if self._ledger.latest is not None and not self._ledger.has_python:
            covers = tuple(name for name in tracked.state.covers if name != "python")
            tracked = replace(tracked, state=replace(tracked.state, covers=covers))
        return tracked

    def _causes(self, decision: Decision, tracked: Tracked) -> tuple[Cause, ...]:
        """Return the call sites that grow, and before them what a counter says that is not memory seen again."""
        sites: tuple[Cause, ...] = ()
        if decision.verdict is not Verdict.CLEAN:
            sites = causes_of_sites(
                tracked.sites, Symbols(tracked.maps).frames, gc_held_off=False, memory=tracked.memory
            )
        if decision.grounds[0].kind in (GroundKind.FEW_CYCLES, GroundKind.REPLACING):
            sites = tuple(replace(cause, confirmed=False) for cause in sites)  # each may be a cache
        name = decision.decided_by
        sites = with_main_site(sites, decision.leaking_bytes)
        if name is None or decision.verdict is not Verdict.LEAK or (sites and name in (*LEDGER, "rss", "mapped")):
            return sites
        return (*self._cause_of_counter(name, decision.series[name]), *sites)

    def _cause_of_counter(self, name: str, series: SeriesVerdict) -> tuple[Cause, ...]:
        signal, rate = SIGNALS[name], series.rate or 0.0
        if name in ("rss", *LEDGER):
            return ()  # of which kind the memory is cannot be told from here
        kind = signal.kind
        grown = {what: n - self._fds_at_start.get(what, 0) for what, n in self._fds_at_end.items()}
        return (
            Cause(
                kind=kind,
                confirmed=True,
                state="unknown",
                fingerprint=fingerprint(kind, None, None, None),
                bytes_per_iteration=rate if signal.unit == "bytes" else None,
                every=1 / rate if 0 < rate < 1 and signal.unit != "bytes" else None,
                since=series.since,
                type=max(grown, key=lambda what: grown[what], default=None) if name == "fds" else None,
            ),
        )

    def _limits(self, name: str | None, tracked: Tracked) -> Iterator[str]:
        if self._ledger is None:
            if name in ("rss", "mapped"):
                yield _NO_PLACE
            return
        yield from self._missing_marks()
        if self._free:
            yield _FREE_TUPLES.format(most=format_count(MOST_FREE_TUPLES))
        if self._pace.noun == "sample" and self._pace.quiet_samples:
            yield _QUIET.format(samples=format_count(self._pace.quiet_samples))
        if self._scanner is not None:
            yield from self._scanner.messages()
        if not tracked.complete:
            yield "The tracker ran out of room. Its ledger shows what grows, but cannot show that nothing else grows."
        if self._most_children and not self._plan.tree and not self._plan.follow:
            yield _CHILDREN
        if self._ledger.state & STATE_PYTHON_DOMAINS and "python" not in tracked.state.covers:
            yield _REPLACED

    def _missing_marks(self) -> Iterator[str]:
        if self._pace.noun == "mark":
            return
        if self._pace.marks:
            yield _FEW_MARKS
        elif self._plan.marks:
            yield no_mark(self._plan.marks)

    def _waits(self) -> Iterator[str]:
        """Suggest that reference cycles wait for a collection, where Python's memory climbs and falls at once."""
        if self._falls.falls is not None:
            times, mean_bytes = self._falls.falls
            yield _WAITS_FOR_COLLECTION.format(times=format_count(times), fall=format_size(mean_bytes))

    def _fd_message(self) -> Iterator[str]:
        kinds = sorted(self._fds_at_start.keys() | self._fds_at_end.keys())
        changed = [
            f"{kind} {format_count(self._fds_at_start.get(kind, 0))} → {format_count(self._fds_at_end.get(kind, 0))}"
            for kind in kinds
            if self._fds_at_start.get(kind, 0) != self._fds_at_end.get(kind, 0)
        ]
        if changed:
            yield f"File descriptors by kind: {', '.join(changed[:8])}."


def _grows_still(suspect: Suspect) -> bool:
    """Whether a site grows by the rule, also early: what a program allocates at its start is over by then."""
    return suspect.is_leak or (suspect.verdict.low or 0.0) > 0


def _decided_by(decision: Decision) -> str | None:
    name = decision.decided_by
    if name is None:
        return None
    if decision.grounds[0].kind is GroundKind.LOST_BLOCKS:
        return "lost-scan"
    return "ledger" if name in LEDGER else f"counter:{name}"


def _growth(name: str | None, series: Mapping[str, SeriesVerdict]) -> Growth | None:
    if name is None:
        return None
    deciding = series[name]
    # Of the ledger the bytes say more than the blocks.
    in_bytes = series["tracked"] if name in LEDGER else deciding if SIGNALS[name].unit == "bytes" else None
    requested = name in LEDGER
    rate = None if in_bytes is None else in_bytes.rate
    return Growth(
        signal=name,
        measures=None if in_bytes is None else "requested" if requested else "allocated",
        bytes_per_iteration=rate,
        low=None if in_bytes is None else in_bytes.low,
        high=None if in_bytes is None else in_bytes.high,
        requested_bytes_per_iteration=rate if requested else None,
        allocated_bytes_per_iteration=None if requested else rate,
        unit=SIGNALS[name].unit,
        per_iteration=deciding.rate,
    )
