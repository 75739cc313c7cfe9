"""Soak one component: start it, read what it counts, judge while it runs, and stop it when enough is known."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from soak.analysis.caches import CachedSite
from soak.analysis.component import LARGEST_N_MIN, ComponentJudge, choose_n_min, n_min_at_half_time
from soak.analysis.decide import Decision, decide
from soak.analysis.evidence import LEDGER, REQUIRED_IN_A_RUN, Evidence, Lost
from soak.analysis.ledger import Suspect
from soak.attribution.causes import MAPPING_DOMAIN
from soak.attribution.object_answers import NO_ANSWERS, ObjectAnswers
from soak.attribution.opened_causes import StillOpen
from soak.inside import ring
from soak.measurements import Reading
from soak.probes.limits import read_hidden_limits, read_limits
from soak.probes.outside import OutsideReader, open_reader
from soak.results import Failure, Pacing, RssAudit
from soak.running.component.auditing import Auditor
from soak.running.component.failures import describe_failure
from soak.running.component.guards import HeatGuard, hottest_c, tripped_guard, what_ran_out
from soak.running.component.ledger_reader import LedgerReader, Tracked, open_ledger_file
from soak.running.component.open_items import OpenItems
from soak.running.component.process import MeasuredProcess
from soak.running.component.scanning import Scanner
from soak.running.interpreter import Interpreter
from soak.settings import ComponentPlan
from soak.verdict import Verdict

_WAIT_S = 0.05
_DETAILS_EVERY_S = 1.0
_JUDGE_EVERY_S, _JUDGE_REST = 0.1, 3.0
_CYCLE_TIME_KNOWN_AFTER_S = 1.0
_EARLY_SHARE, _EARLY_AT_MOST_S = 1 / 64, 0.25
"""Of the budget: n_min is an eighth of it, and the first look that can decide reaches back to a quarter of n_min."""
_EXHAUSTIBLE, _FEW = ("fds", "threads"), 8
_IN_A_HURRY = ("guard:", "signal")
"""Why a component is stopped when not a cycle more should be run, measured or not."""
_MORE_CYCLES = 1024
_EXAMINATION_S = 5.0
_PEAK_OBJECTS = 64
"""Garbage of so many objects at a checkpoint is worth telling of what it consists."""
_LOST_STANDS_AFTER_S = 3.0
"""Lost blocks are a leak at once, but the series then tell soon by how much, and what else there is."""
_FIELDS_READ_INSIDE = ("heap", "heap_free", "python_blocks_before_gc", "python_blocks", "gc_objects", "traced")
_FIELDS_OF_THE_LOOP = ("cycle", "at_ns", "checkpoint_ns", "gc_found")
_FIELD_NUMBERS = {name: ring.ROW_FIELDS.index(name) for name in (*_FIELDS_READ_INSIDE, *_FIELDS_OF_THE_LOOP)}


@dataclass(frozen=True)
class RunContext:
    """What all components of a run share."""

    interpreter: Interpreter
    folder: Path
    """The working folder of the measured processes; also on their path, behind the driver's own."""
    stopping: threading.Event
    """Set when the whole run is to end; each component then ends in order and is judged."""
    tracker_library: Path | None = None
    """Preloaded into the measured processes; None to count without the allocation tracker."""
    no_tracker_reason: str | None = None
    read_temperature_c: Callable[[], float | None] = hottest_c


@dataclass(frozen=True)
class ComponentProgress:
    """How far a component is."""

    cycles: int
    elapsed_s: float
    note: str


@dataclass(frozen=True)
class Observations:
    """How one component's process went, before it is put into words."""

    evidence: Evidence
    """All that the verdict can rest on, but for the controls."""
    judge: ComponentJudge
    iterations: int
    seconds: float
    stopped_by: str
    failure: Failure | None
    pacing: Pacing
    checkpoints: int
    checkpoint_share: float
    lost_rows: int
    gc_held_off: bool
    """The component ran with gc disabled or frozen, so soak did not collect for it either."""
    output: str
    started: str
    tracked: Tracked
    opened: tuple[StillOpen, ...] = ()
    """What was opened during the cycles and is open at their end."""
    paused_s: float = 0.0
    """For how long the loop stood still, because the machine was too hot; no part of ``seconds``."""
    hottest_c: float | None = None
    """The highest temperature seen; None when none was asked for or could be read."""
    audit: RssAudit | None = None
    """What the growth of RSS was made of."""
    object_answers: ObjectAnswers = NO_ANSWERS
    """What the process said of its objects after its last cycle."""
    most_garbage: int = 0
    """Objects that the collection at a checkpoint found to be garbage, at most."""

    @cached_property
    def decision(self) -> Decision:
        """The decision on what was measured, whether or not the driver failed in the end."""
        return decide(replace(self.evidence, failed=False))


def _ignore(_: object) -> None:
    """Nobody listens."""


class Supervisor:
    """Drives one measured process from its start to its judgement."""

    def __init__(
        self,
        plan: ComponentPlan,
        context: RunContext,
        *,
        on_n_min: Callable[[int], None] = _ignore,
        on_readings: Callable[[list[Reading]], None] = _ignore,
        on_progress: Callable[[ComponentProgress], None] = _ignore,
        tracemalloc_frames: int = 0,
        tracemalloc_file: Path | None = None,
        audits: bool = True,
    ) -> None:
        """Prepare; the callbacks are called from the thread that calls `run`.

        ``tracemalloc_frames``: above 0 for the second pass of a component that grows (see soak.inside.snapshots).
        ``audits``: whether resident memory is audited, which is not done in that pass.
        """
        self._plan = plan
        self._context = context
        self._on_n_min = on_n_min
        self._on_readings = on_readings
        self._on_progress = on_progress
        self._tracemalloc = (tracemalloc_frames, str(tracemalloc_file or ""))
        # tracemalloc is itself a wrapper around Python's allocators; in the second pass it is alone.
        self._tracks = context.tracker_library is not None and not tracemalloc_frames
        self._audits = audits and not tracemalloc_frames
        self._rows_read = 0
        self._rows_lost = 0
        self._details_due_s = 0.0
        self._judge_due_s = 0.0
        self._cycle_s: float | None = None
        self._last_values: dict[str, float] = {}
        self._standing: tuple[Evidence, Decision] | None = None
        self._suspects: list[Suspect] = []
        self._most_garbage = 0
        self._lost_since_s = 0.0
        self._lost_at = 0

    def run(self) -> Observations:
        """Soak the component. Raises OSError when its process cannot be started; what goes wrong later is returned."""
        started = datetime.now(UTC).isoformat(timespec="seconds")
        process = MeasuredProcess(
            self._context.interpreter,
            self._settings(),
            self._context.folder,
            self._context.tracker_library if self._tracks else None,
        )
        self._ledger = LedgerReader(
            lambda: open_ledger_file(process.ledger_path), process.pid, self._plan.tolerance_bytes
        )
        self._scanner = Scanner(process)
        self._auditor = Auditor(process)
        self._opened = OpenItems(process, self._ledger)
        try:
            return self._watch(process, started)
        finally:
            self._ledger.close()
            process.close()

    def _settings(self) -> dict[str, Any]:
        plan, target = self._plan, self._plan.target
        own_folder = [str(Path(target.path).parent)] if target.path else []
        frames, file = self._tracemalloc
        return {
            "target": {
                "kind": target.kind,
                "path": target.path or "",
                "module": target.module or "",
                "function": target.function or "",
            },
            "path": [*own_folder, str(self._context.folder)],
            "settings": plan.settings,
            "interval_s": plan.interval_s,
            "iterations": plan.iterations,
            "checkpoint_every": plan.checkpoint_every,
            "checkpoint_share": plan.checkpoint_share,
            "nice": plan.nice,
            "inject": (plan.injection.kind, plan.injection.size, plan.injection.every) if plan.injection else None,
            "tracemalloc_frames": frames,
            "tracemalloc_file": file,
        }

    def _watch(self, process: MeasuredProcess, started: str) -> Observations:
        plan = self._plan
        reader = open_reader(process.pid)
        limits = self._limits = read_limits(process.pid)
        judge = self._judge = ComponentJudge(plan.tolerance_bytes, limits, REQUIRED_IN_A_RUN)
        if plan.n_min is not None:
            self._fix_n_min(process, plan.n_min, asked_for=True)
        elif plan.budget_s is not None and plan.iterations is None:
            early_s = min(plan.budget_s * _EARLY_SHARE, _EARLY_AT_MOST_S)
            process.words[ring.WORD_EARLY_NS] = int(early_s * 1e9)
        process.words[ring.WORD_MORE_CYCLES] = _MORE_CYCLES
        stopped_by, hung, held = "", False, False
        guard_stop_s = 0.0
        liveness = _Liveness(plan.cycle_timeout_s)
        heat = HeatGuard(plan.max_temperature_c, self._context.read_temperature_c)
        while process.exit_status() is None:
            process.wait_for_row(self._rows_read, _WAIT_S)
            self._take_rows(process, reader)
            if process.words[ring.WORD_NAMES_BYTES] and not process.words[ring.WORD_LISTED]:
                self._opened.look()
                process.let_go()
            self._fix_n_min_when_known(process)
            if not stopped_by:
                stopped_by = self._reason_to_stop(process, limits)
                if stopped_by.startswith(_IN_A_HURRY):
                    process.words[ring.WORD_MORE_CYCLES] = 0
                if stopped_by:
                    process.ask_to_stop()
            process.pause(on=heat.is_too_hot(time.monotonic()))
            if liveness.is_hung(process):
                hung = True
                held = process.is_stopped()
                process.abort()
            elif stopped_by.startswith("guard:"):
                # A guard that is not obeyed within a cycle's usual time must not become the machine's problem.
                guard_stop_s = guard_stop_s or time.monotonic() + plan.cycle_timeout_s
                if time.monotonic() > guard_stop_s:
                    process.abort()
            self._on_progress(self._progress(process))
        self._take_rows(process, None)
        self._fix_n_min_when_known(process, ended=True)
        failure = describe_failure(process, hung=hung, held=held)
        exhausted = tripped_guard(self._last_values, limits, plan.max_rss_bytes)
        if exhausted is None and failure is not None:
            exhausted = what_ran_out(failure.detail, judge.first, judge.last, limits, read_hidden_limits())
        if exhausted is not None and not stopped_by:
            # It failed because it ran into a limit before the guard could stop it: that is the leak, not a fault.
            stopped_by = f"guard:{exhausted}"
        if stopped_by.startswith("guard:"):
            failure = None
        words = process.words
        evidence = self._last_evidence(process, stopped_by, failed=failure is not None)
        object_answers = self._scanner.read_answer()
        tracked = self._ledger.finish(
            self._suspects,
            self._context.no_tracker_reason,
            self._scanner.reachability,
            self._scanner.memory,
            object_answers.garbage_sites,
        )
        if failure is not None:
            stopped_by = "failure"
        audit = self._auditor.finish(self._ledger.locate)
        iterations, loop_s = words[ring.WORD_COMPLETED], self._elapsed_s(process)
        return Observations(
            evidence=replace(
                evidence,
                failed=failure is not None,
                cached=_cached(tracked),
                is_fragmented=audit is not None and audit.fragmentation,
            ),
            judge=judge,
            iterations=iterations,
            seconds=loop_s,
            stopped_by=stopped_by or "budget",
            failure=failure,
            pacing=_pacing(process, plan.interval_s, loop_s),
            checkpoints=self._rows_read,
            checkpoint_share=words[ring.WORD_CHECKPOINT_NS] / 1e9 / loop_s if loop_s else 0.0,
            lost_rows=self._rows_lost,
            gc_held_off=bool(self._rows_read and not words[ring.WORD_GC_COLLECTED]),
            output=process.output(),
            started=started,
            tracked=tracked,
            opened=self._opened.still_open(),
            paused_s=words[ring.WORD_PAUSED_NS] / 1e9,
            hottest_c=heat.hottest_c,
            audit=audit,
            object_answers=object_answers,
            most_garbage=self._most_garbage,
        )

    def _take_rows(self, process: MeasuredProcess, reader: OutsideReader | None) -> None:
        """Read the new rows, and the outside while the child waits at its checkpoint; then let it go on."""
        written = process.words[ring.WORD_ROWS_WRITTEN]
        if written == self._rows_read:
            return
        if not self._rows_read:
            self._limits.update(read_limits(process.pid))  # the driver's setup may have lowered them
        outside = self._read_outside(reader) if reader is not None else {}
        if any(outside.get(name, 0.0) >= self._judge.first.get(name, float("inf")) + _FEW for name in _EXHAUSTIBLE):
            process.words[ring.WORD_EARLY_NS] = 0  # it may run out of them within a thousand cycles
        ledger_cycle, sums = self._ledger.read() if self._tracks else (None, {})
        if not self._ledger.is_complete:
            self._judge.distrust(LEDGER)
        waits = process.words[ring.WORD_ROWS_READ] < written
        if waits and reader is not None:
            self._opened.at_checkpoint(process.words[ring.WORD_COUNTED], outside)
        if waits and reader is not None and (ledger_cycle is not None or not self._tracks):
            self._look_at_memory(process, written)
        # Where CLEAN may be proven, the child waits for the answer: it may be its last cycle.
        may_be_last = self._ledger.has_new_look and self._plan.early_stop
        if waits and not may_be_last:
            process.acknowledge(written)
        readings = self._read_rows(process, written, outside, ledger_cycle, sums)
        for reading in readings:
            self._judge.add(reading)
        begun_s = time.monotonic()
        if begun_s >= self._judge_due_s or may_be_last:
            evidence = self._evidence(process)
            self._standing = evidence, decide(evidence)
            # Many sites that grow take long to judge, and meanwhile nothing is read from outside.
            judged_s = time.monotonic()
            self._judge_due_s = judged_s + max(_JUDGE_EVERY_S, _JUDGE_REST * (judged_s - begun_s))
        if waits and may_be_last:
            if self._reason_to_stop(process, self._limits) == "verdict":
                process.ask_to_stop()
                self._look_at_memory(process, written)  # of the last cycle, as it turns out
            process.acknowledge(written)
        self._on_readings(readings)

    def _read_rows(
        self,
        process: MeasuredProcess,
        written: int,
        outside: dict[str, float],
        ledger_cycle: int | None,
        sums: dict[str, float],
    ) -> list[Reading]:
        """Return the readings up to row ``written``; what is read beside the ring belongs to the newest."""
        readings = []
        for number in range(self._rows_read, written):
            row = process.ring.read_row(number)
            if row is None:
                self._rows_lost += 1
                continue
            values = {
                name: float(row[_FIELD_NUMBERS[name]])
                for name in _FIELDS_READ_INSIDE
                if row[_FIELD_NUMBERS[name]] != ring.NOT_READ
            }
            cycle = row[_FIELD_NUMBERS["cycle"]]
            if cycle:  # before, it is what importing left
                self._most_garbage = max(self._most_garbage, row[_FIELD_NUMBERS["gc_found"]])
                # The first checkpoints are dense; what they take says nothing of how long a cycle takes.
                cycles_ns = row[_FIELD_NUMBERS["at_ns"]] - row[_FIELD_NUMBERS["checkpoint_ns"]]
                self._cycle_s = cycles_ns / 1e9 / cycle
            if number == written - 1:
                values.update(outside)
            if cycle == ledger_cycle:
                values.update(sums)
                if "mapped" in values:
                    values["mapped"] -= values.pop("own_mapped")
                values.pop("own_mapped", None)
            elif self._ledger.latest is not None:
                values.pop("mapped", None)  # with a gigabyte of the tracker's own in it
            readings.append(Reading(cycle, row[_FIELD_NUMBERS["at_ns"]] / 1e9, values))
        self._rows_read = written
        if self._most_garbage >= _PEAK_OBJECTS and self._tracks:
            process.words[ring.WORD_ASKED] |= ring.ASKED_GARBAGE
        return readings

    def _evidence(self, process: MeasuredProcess, *, is_last: bool = False) -> Evidence:
        """Return all that the signals, the ledger's sites and the scans of the memory say so far."""
        cycles, n_min = process.words[ring.WORD_COMPLETED], self._judge.n_min or LARGEST_N_MIN
        self._suspects = self._ledger.suspects(cycles, n_min, at_end=is_last)
        survivors = self._ledger.survivors(self._judge.n_clean, at_end=is_last)
        evidence = self._judge.evidence(survivors, is_last=is_last)
        return replace(evidence, cycles=cycles, suspects=tuple(self._suspects), lost=self._lost())

    def _lost(self) -> Lost | None:
        """Return what the scans found that nothing points to, of the sites that grow."""
        reachabilities = {suspect.site: self._scanner.reachability(suspect.site) for suspect in self._suspects}
        lost = [site for site, reachability in reachabilities.items() if reachability.state == "lost"]
        growth = self._ledger.growth(lost)
        if growth is None:
            return None
        if not self._lost_since_s:
            self._lost_since_s = time.monotonic()
            self._lost_at = max(reachabilities[site].decided_at or 0 for site in lost)
        is_settled = time.monotonic() > self._lost_since_s + _LOST_STANDS_AFTER_S
        return Lost(len(lost), growth, self._lost_at, is_settled)

    def _last_evidence(self, process: MeasuredProcess, stopped_by: str, *, failed: bool) -> Evidence:
        """Return what is known when the process has ended, but for what needs its last answers."""
        guard = stopped_by.removeprefix("guard:")
        if guard != stopped_by:
            stop = self._judge.stop_at(guard, process.words[ring.WORD_COMPLETED])
            return replace(self._evidence(process, is_last=True), stop=stop)
        if stopped_by != "verdict" or self._standing is None or failed:
            return self._evidence(process, is_last=True)
        # Signals that were undecided when the verdict stood have now at least a rate to show.
        evidence = self._standing[0]
        shown = self._judge.evidence(is_last=True).series
        series = {name: shown[name] if each.rate is None else each for name, each in evidence.series.items()}
        return replace(evidence, series=series)

    def _look_at_memory(self, process: MeasuredProcess, written: int) -> None:
        """Audit the memory, and scan it for the blocks of the sites that grow now, while the process waits."""
        cycle, elapsed_s = process.words[ring.WORD_COUNTED], self._elapsed_s(process)
        is_last = process.words[ring.WORD_STOP] == ring.STOP or cycle == self._plan.iterations
        checkpoint = self._ledger.latest
        scans = checkpoint is not None and self._scanner.is_due(cycle, elapsed_s, self._suspects)
        audits = self._audits and self._auditor.is_due(cycle, elapsed_s, is_last=is_last)
        if not (scans or audits):
            return
        with process.looked_at(cycle) as waits:
            if waits and audits:
                row = process.ring.read_row(written - 1)
                free_bytes = row[_FIELD_NUMBERS["heap_free"]] if row is not None else 0
                self._auditor.audit(cycle, checkpoint, max(free_bytes, 0))
            if waits and scans and checkpoint is not None:
                self._scanner.scan(checkpoint, self._ledger.suspects(cycle, self._judge.n_min or LARGEST_N_MIN))

    def _read_outside(self, reader: OutsideReader) -> dict[str, float]:
        values = reader.read_counts()
        now_s = time.monotonic()
        if now_s >= self._details_due_s:
            values.update(reader.read_details())
            self._details_due_s = now_s + _DETAILS_EVERY_S
        self._last_values = values
        return values

    def _reason_to_stop(self, process: MeasuredProcess, limits: dict[str, float]) -> str:
        """Return why the component should stop now, or an empty text."""
        if self._context.stopping.is_set():
            return "signal"
        guard = tripped_guard(self._last_values, limits, self._plan.max_rss_bytes)
        if guard is not None:
            return f"guard:{guard}"
        if self._plan.budget_s is not None and self._elapsed_s(process) >= self._plan.budget_s:
            return "budget"
        scanning = self._tracks and self._scanner.is_at_it(process.words[ring.WORD_COMPLETED], self._suspects)
        if self._standing is None or not self._plan.early_stop or scanning:
            return ""
        decision = self._standing[1]
        clean_so_far = decision.verdict is Verdict.CLEAN and self._plan.full_budget
        return "verdict" if decision.is_final and not clean_so_far else ""

    def _fix_n_min_when_known(self, process: MeasuredProcess, *, ended: bool = False) -> None:
        """Fix n_min once the budget in cycles can be told: from the iterations, the interval, or the first second.

        At half time it may turn out to be too far away.
        """
        plan = self._plan
        elapsed_s, done = self._elapsed_s(process), process.words[ring.WORD_COMPLETED]
        if self._judge.n_min is not None:
            lowest = n_min_at_half_time(self._judge.n_min, done)
            is_half_time = plan.budget_s is not None and elapsed_s >= plan.budget_s / 2
            if is_half_time and plan.n_min is None and lowest < self._judge.n_min:
                self._judge.lower_n_min(lowest)
                self._tell_n_min(process, lowest)
            return
        budgets = [] if plan.iterations is None else [float(plan.iterations)]
        if plan.budget_s is not None:
            if not ended and elapsed_s < min(_CYCLE_TIME_KNOWN_AFTER_S, plan.budget_s / 8):
                return
            if self._cycle_s is not None:
                budgets.append(plan.budget_s / max(self._cycle_s, plan.interval_s, 1e-9))
        budget_cycles = min(budgets, default=0.0)
        self._fix_n_min(process, choose_n_min(budget_cycles))

    def _fix_n_min(self, process: MeasuredProcess, n_min: int, *, asked_for: bool = False) -> None:
        self._judge.fix_n_min(n_min, asked_for=asked_for, may_fall=not asked_for)
        self._tell_n_min(process, n_min)

    def _tell_n_min(self, process: MeasuredProcess, n_min: int) -> None:
        self._on_n_min(n_min)
        # A leak that begins late is found by the rule's smallest windows, which need readings of this spacing.
        process.words[ring.WORD_SPACING] = max(1, n_min // 256)

    @staticmethod
    def _elapsed_s(process: MeasuredProcess) -> float:
        """Return for how long the loop has been running, or ran, without the times it was made to stand still."""
        words = process.words
        if not words[ring.WORD_LOOP_STARTED_NS]:
            return 0.0
        until_ns = words[ring.WORD_LOOP_ENDED_NS] or time.monotonic_ns()
        return (until_ns - words[ring.WORD_LOOP_STARTED_NS] - _stood_still_ns(words)) / 1e9

    def _progress(self, process: MeasuredProcess) -> ComponentProgress:
        words = process.words
        note = ring.PHASE_NAMES[words[ring.WORD_PHASE]] if words[ring.WORD_PHASE] != ring.PHASE_CYCLES else ""
        if words[ring.WORD_STOP] == ring.PAUSE:
            note = "too hot, waiting"
        if self._standing is not None and not note:
            note = self._standing[1].verdict.value
        return ComponentProgress(words[ring.WORD_COMPLETED], self._elapsed_s(process), note)


class _Liveness:
    """Tells a child whose setup, cycle or teardown does not end."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._seen: tuple[int, int, int] | None = None
        self._since_s = 0.0

    def is_hung(self, process: MeasuredProcess) -> bool:
        words = process.words
        now_s = time.monotonic()
        state = (words[ring.WORD_PHASE], words[ring.WORD_CYCLE], words[ring.WORD_ROWS_WRITTEN])
        # Between cycles it may wait for the next one as long as its pace says, but not when it was told to stop.
        waits = (
            words[ring.WORD_PHASE] == ring.PHASE_CYCLES
            and words[ring.WORD_CYCLE] == words[ring.WORD_COMPLETED]
            and words[ring.WORD_STOP] != ring.STOP
            and not words[ring.WORD_COUNTING]
            and not process.is_stopped()
        )
        if state != self._seen or waits:
            self._seen, self._since_s = state, now_s
        # What it is asked after its last cycle takes its time, however short a cycle may be.
        is_asked = words[ring.WORD_LOOP_ENDED_NS] and words[ring.WORD_PHASE] == ring.PHASE_CYCLES
        return now_s - self._since_s > self._timeout_s + (_EXAMINATION_S if is_asked else 0.0)


def _cached(tracked: Tracked) -> tuple[CachedSite, ...]:
    """Return the sites that grow, each with the cache that holds its objects, as the process itself said."""
    return tuple(
        CachedSite(
            site.bytes_per_cycle,
            site.cache,
            site.is_proven,
        )
        for site in tracked.sites
        if site.domain != MAPPING_DOMAIN
    )


def _pacing(process: MeasuredProcess, interval_s: float, loop_s: float) -> Pacing:
    words = process.words
    done = words[ring.WORD_COMPLETED]
    if not interval_s:
        return Pacing(None, loop_s / done if done else None, 0, 0.0)
    # From the first deadline to the last, so that what follows the last cycle does not count.
    between_ns = words[ring.WORD_LAST_START_NS] - words[ring.WORD_FIRST_START_NS] - _stood_still_ns(words)
    mean_s = between_ns / 1e9 / (done - 1) if done > 1 else None
    return Pacing(interval_s, mean_s, words[ring.WORD_MISSED_DEADLINES], words[ring.WORD_WORST_LAG_NS] / 1e9)


def _stood_still_ns(words: memoryview[int]) -> int:
    """Return for how long the child was made to stand still: for the heat, and for scans of its memory."""
    return words[ring.WORD_PAUSED_NS] + words[ring.WORD_HELD_NS]
