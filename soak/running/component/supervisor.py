"""Soak one component: start it, read what it counts, judge while it runs, and stop it when enough is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from soak.analysis.component import ComponentJudge
from soak.analysis.decision.decide import decide
from soak.analysis.evidence import LEDGER, REQUIRED_IN_A_RUN, Evidence
from soak.attribution.object_answers import NO_ANSWERS, ObjectAnswers
from soak.measurements import Reading
from soak.probes.limits import read_hidden_limits
from soak.probes.mappings import maps_reader
from soak.results import AT_WORK, Failure, Pacing
from soak.running.child.child import Child
from soak.running.child.child_ring import ChildRing
from soak.running.child.failures import describe_failure
from soak.running.child.guards import HeatGuard, tripped_guard, what_ran_out
from soak.running.child.process import MeasuredProcess, start_component
from soak.running.clock import Clock, SystemClock
from soak.running.component.deciding import ComponentDecisions
from soak.running.component.horizon import Horizon
from soak.running.component.observations import ComponentProgress, Observations
from soak.running.component.reading.checkpoints import Beside, OutsideProbe, RowReader, is_soon_exhausted
from soak.running.component.reading.ledger_reader import LedgerReader, Tracked
from soak.running.component.reading.left_behind import LeftBehind
from soak.running.component.reading.memory_looks import MemoryLooks
from soak.running.component.reading.open_items import OpenItems
from soak.running.component.stopping import (
    BUDGET,
    VERDICT,
    Liveness,
    Patience,
    StopRules,
    how_it_ended,
    is_in_a_hurry,
)
from soak.running.context import RunContext
from soak.running.processes.following import FollowedProcesses
from soak.running.scanning.naming.half_empty import find_half_empty_tables
from soak.running.time_share import TimeShare
from soak.settings import ComponentPlan
from soak.verdict import Verdict

_WAIT_S, _END_WAIT_S = 0.05, 0.002
"""How long to wait for a row: while the cycles run, and for the end of the process after them."""
_MORE_CYCLES = 1024
_LOOKING = "scanning its memory"
_SO_FAR_EVERY_S, _SO_FAR_SHARE = 5.0, 0.02
"""What can be said so far is summed up as often, and not in the first seconds: a short run has no need of it."""
_PEAK_OBJECTS = 64
"""Garbage of at least this many objects at a checkpoint is described."""


def _from_later_on(now_s: float) -> TimeShare:
    """Return the share of the time that summing up may take, from some seconds after now on."""
    share = TimeShare(_SO_FAR_SHARE, every_s=_SO_FAR_EVERY_S)
    share.spend(now_s, 0.0)
    return share


def _read_ledger_of(child: Child, tolerance_bytes: float) -> LedgerReader:
    find_half_empty = partial(find_half_empty_tables, child.pid)
    return LedgerReader(child.open_ledger, maps_reader(child.pid), tolerance_bytes, find_half_empty=find_half_empty)


def _ignore(_: object) -> None:
    """Nobody listens."""


def soak_component(
    plan: ComponentPlan,
    context: RunContext,
    *,
    on_n_min: Callable[[int], None] = _ignore,
    on_readings: Callable[[list[Reading]], None] = _ignore,
    on_progress: Callable[[ComponentProgress], None] = _ignore,
    tracemalloc_frames: int = 0,
    tracemalloc_file: Path | None = None,
    audits: bool = True,
    longest_s: float = math.inf,
    process: MeasuredProcess | None = None,
) -> Observations:
    """Soak a component in a process of its own. Raises OSError when that cannot be started.

    The callbacks are called from the thread that calls this. ``tracemalloc_frames``: above 0 for the second pass of a
    component that grows (see soak.inside.counting.snapshots). ``audits``: whether resident memory is audited, which is
    not done in that pass. ``longest_s``: from start to end; a process that takes longer is ended then. ``process``:
    the component's, where `start_component` has started it before.
    """
    child = process or start_component(plan, context, tracemalloc_frames, tracemalloc_file)
    try:
        return Supervisor(
            child,
            SystemClock(),
            plan,
            context,
            on_n_min=on_n_min,
            on_readings=on_readings,
            on_progress=on_progress,
            audits=audits and not tracemalloc_frames,
            longest_s=longest_s,
        ).run()
    finally:
        child.close()


class Supervisor:
    """Watches over one child from its start to its judgement."""

    def __init__(
        self,
        child: Child,
        clock: Clock,
        plan: ComponentPlan,
        context: RunContext,
        *,
        on_n_min: Callable[[int], None] = _ignore,
        on_readings: Callable[[list[Reading]], None] = _ignore,
        on_progress: Callable[[ComponentProgress], None] = _ignore,
        audits: bool = True,
        longest_s: float = math.inf,
    ) -> None:
        """Prepare for a child that has just been started, by ``context``; who started it closes it.

        The callbacks are called from the thread that calls `run`. ``audits``: whether resident memory is audited.
        ``longest_s``: the child is ended when it lives longer than this.
        """
        self._child, self._ring, self._has_budget = child, child.ring, plan.max_pause_s is not None
        self._clock, self._plan, self._context = clock, plan, context
        self._on_n_min, self._on_readings, self._on_progress = on_n_min, on_readings, on_progress
        self._summing_up = _from_later_on(clock.now_s())
        self._limits = child.read_limits()
        self._judge = ComponentJudge(
            plan.tolerance_bytes, self._limits, REQUIRED_IN_A_RUN, rss_limit_bytes=plan.max_rss_bytes
        )
        self._horizon, self._rows = Horizon(plan), RowReader(child.ring)
        self._processes = FollowedProcesses(child.announcements, child.pid, clock, plan)
        self._outside = OutsideProbe(
            child.outside, clock, plan.target.ignored_children, self._processes.update, plan.max_pause_s
        )
        self._ledger = _read_ledger_of(child, plan.tolerance_bytes)
        self._looks = MemoryLooks(child, clock, plan, self._ledger, self._horizon, audits=audits)
        self._scanner = self._looks.scanner
        self._opened = OpenItems(child, self._ledger, clock)
        self._left = LeftBehind(self._ledger, clock, str(context.folder))
        self._heat = HeatGuard(plan.max_temperature_c, context.read_temperature_c)
        self._stop_rules = StopRules(plan, context.stopping)
        self._liveness, self._patience = Liveness(plan.cycle_timeout_s), Patience(plan.cycle_timeout_s)
        self._ends_at_s = clock.now_s() + longest_s
        self._stopped_by, self._is_hung, self._is_held, self._is_extended = "", False, False, False
        self._decisions = ComponentDecisions(plan, clock, self._judge, self._looks, self._outside, self._processes)

    def run(self) -> Observations:
        """Soak the component; whatever goes wrong with it is returned."""
        started = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            self._prepare()
            while self._child.exit_status() is None:
                wait_s = _END_WAIT_S if self._ring.has_loop_ended else _WAIT_S
                self._child.wait_for_row(self._rows.rows_read, wait_s)
                self._take_rows()
                self._list_what_is_open()
                self._update_horizon()
                self._stop_when_due()
                self._ring.pause(on=self._heat.is_too_hot(self._clock.now_s()))
                self._end_if_stuck()
                self._on_progress(replace(self._progress(), so_far=self._so_far(started)))
            self._take_rows(is_alive=False)
            self._update_horizon(ended=True)
            self._looks.finish(in_a_hurry=is_in_a_hurry(self._stopped_by))
            return self._observe(started)
        finally:
            self._looks.close()
            self._ledger.close()
            self._processes.close()

    def _prepare(self) -> None:
        if self._horizon.n_min is not None:
            self._judge.fix_n_min(self._horizon.n_min, asked_for=True)
            self._tell_n_min()
        self._ring.allow_sparse_checkpoints(self._horizon.early_s)
        self._ring.allow_more_cycles(_MORE_CYCLES)

    # What is read.

    def _take_rows(self, *, is_alive: bool = True) -> None:
        """Read the new rows, and the outside while the child waits at its checkpoint; then let it go on."""
        written = self._ring.rows_written
        if written == self._rows.rows_read:
            return
        if not self._rows.rows_read:
            self._limits.update(self._child.read_limits())  # the driver's setup may have lowered them
        waits = self._ring.rows_acknowledged < written
        if waits and is_alive:
            beside = self._look_while_it_waits(written)
        else:
            outside = self._read_outside() if is_alive else {}
            beside = self._read_beside(outside, is_late=self._has_gone_on(written))
        # Where CLEAN may be proven, the child waits for the answer: it may be its last cycle.
        has_new_look = self._ledger.has_new_look or self._processes.has_new_look
        can_be_clean = has_new_look and self._ring.counted >= self._judge.n_clean
        may_be_last = can_be_clean and self._plan.early_stop and not self._has_budget
        if waits and not may_be_last:
            self._ring.acknowledge(written)
            self._read_processes_while_it_goes_on()
        readings = self._rows.read(written, beside)
        for reading in readings:
            if self._is_in_phase(reading.cycle):
                self._judge.add(reading)
        if self._rows.most_garbage >= _PEAK_OBJECTS and self._child.is_tracked:
            self._ring.ask_about_garbage()
        if self._stopped_by != VERDICT:
            # A verdict that has ended the run stands: how many cycles follow until then depends on the machine.
            self._decisions.decide_when_due(at_once=may_be_last)
        if waits and may_be_last:
            self._stop_at_this_checkpoint(written)
        self._looks.look_at_copy()
        self._on_readings(readings)

    def _look_while_it_waits(self, written: int) -> Beside:
        """Read all that is read at a checkpoint; a child whose pauses have a budget goes on before the ledger is read.

        The ledger keeps the checkpoint until the next one but one.
        """
        is_last = self._ring.is_asked_to_stop or self._ring.counted == self._plan.iterations
        cycle, outside = self._ring.counted, self._read_outside()
        notes_living = self._is_in_phase(cycle) and self._judge.is_living_due(cycle)
        living = self._outside.read_living() if notes_living else {}
        is_late = self._has_gone_on(written)
        if notes_living and not is_late:
            self._judge.add_living(cycle, living)
        self._opened.at_checkpoint(cycle, outside)
        if self._has_budget and not is_last:
            self._ring.acknowledge(written)
        beside = self._read_beside(outside, is_late=is_late)
        if beside.ledger_cycle is not None or not self._child.is_tracked:
            self._look_at_memory(written, is_last=is_last)
        return beside

    def _has_gone_on(self, written: int) -> bool:
        """Whether the child has begun other cycles since it wrote this row, its latest."""
        row = self._ring.read_row(written - 1)
        return row is None or not self._ring.is_at_rest_after(row.cycle)

    def _read_beside(self, outside: dict[str, float], *, is_late: bool) -> Beside:
        """Read the ledger beside the outside; what grows fast enough to run out soon wants dense checkpoints."""
        reads_ledger = self._child.is_tracked and self._is_in_phase(self._ring.counted)
        ledger_cycle, sums = self._ledger.read() if reads_ledger else (None, {})
        incomplete = () if self._ledger.is_complete else LEDGER
        self._judge.distrust((*incomplete, "left_behind") if self._left.lost else incomplete)
        if is_soon_exhausted(outside, self._judge.first):
            self._ring.allow_sparse_checkpoints(0.0)
        return Beside(outside, ledger_cycle, sums, tracker_is_mapped=self._ledger.latest is not None, is_late=is_late)

    def _read_outside(self) -> dict[str, float]:
        """Read the process, and those that it started, from outside."""
        self._processes.cycle = self._ring.counted
        outside = self._read_process()
        if self._is_in_phase(self._ring.counted) and not self._has_budget:
            self._processes.read(self._elapsed_s())
        return {**outside, **self._processes.sums, **self._left.read(self._ring.counted)}

    def _read_process(self) -> dict[str, float]:
        return self._ledger.read_beside(self._outside.read) if self._child.is_tracked else self._outside.read()

    def _read_processes_while_it_goes_on(self) -> None:
        """Count in other processes without keeping the cycle waiting, where its pauses are limited."""
        if self._has_budget and self._is_in_phase(self._ring.counted):
            self._processes.read(self._elapsed_s())

    def _is_in_phase(self, cycle: int) -> bool:
        """Whether a checkpoint can be compared with others; the last one may be within a period of the driver."""
        return cycle % self._plan.target.period == 0

    def _look_at_memory(self, written: int, *, is_last: bool) -> None:
        suspects, rss_bytes = self._decisions.suspects, self._outside.latest.get("rss", 0.0)
        self._looks.look_while_it_waits(
            written,
            suspects,
            rss_bytes,
            self._tell_of_look,
            is_last=is_last,
            in_a_hurry=is_in_a_hurry(self._stopped_by),
        )

    def _tell_of_look(self) -> None:
        self._on_progress(replace(self._progress(), note=_LOOKING))

    def _list_what_is_open(self) -> None:
        if self._ring.waits_for_list:
            self._opened.look()
            self._left.look(self._ring.counted)
            self._ring.release_from_list()

    # How many cycles it may need.

    def _update_horizon(self, *, ended: bool = False) -> None:
        was_chosen = self._horizon.n_min is not None
        ring = self._ring
        elapsed_s, looked_at_s = self._elapsed_s(), ring.looked_at_s
        if not self._horizon.update(
            ring.completed, elapsed_s, self._rows.cycle_s, looked_at_s=looked_at_s, ended=ended
        ):
            self._judge.take_pace(are_cycles_slow=self._horizon.are_cycles_slow)
            if self._horizon.is_early_over:
                self._ring.allow_sparse_checkpoints(0.0)
            return
        n_min = self._horizon.longest
        if was_chosen:
            self._judge.lower_n_min(n_min)
        else:
            self._judge.fix_n_min(n_min, may_fall=True, are_cycles_slow=self._horizon.are_cycles_slow)
        self._tell_n_min()

    def _tell_n_min(self) -> None:
        self._on_n_min(self._horizon.longest)
        self._processes.fix_n_min(self._horizon.longest, asked_for=self._horizon.is_asked_for)
        self._ring.set_checkpoint_spacing(self._horizon.checkpoint_spacing)
        self._ring.allow_sparse_checkpoints(self._horizon.early_s)

    # When it is over.

    def _stop_when_due(self) -> None:
        if self._stopped_by:
            return
        self._stopped_by = self._reason_to_stop()
        if self._stopped_by == BUDGET and self._may_go_on():
            self._stopped_by = ""
        if is_in_a_hurry(self._stopped_by):
            self._ring.allow_more_cycles(0)
        if self._stopped_by:
            self._ring.ask_to_stop()

    def _may_go_on(self) -> bool:
        """Whether nothing is decided, also not by a look at the end, and there may be more time for it.

        Not where checkpoints went by unread: no look that reaches back to them decides, so another run does sooner.
        """
        if not self._stop_rules.can_be_extended or self._rows.has_missed_rows:
            return False
        if decide(self._decisions.collect(is_last=True)).verdict is not Verdict.INCONCLUSIVE:
            return False
        self._stop_rules.extend_budget()
        self._is_extended = True
        return True

    def _stop_at_this_checkpoint(self, written: int) -> None:
        """Let the child, which waits for it, go on or end: where the verdict stands, this was its last cycle."""
        if self._reason_to_stop() == VERDICT:
            self._ring.ask_to_stop()
            self._look_at_memory(written, is_last=True)
        self._ring.acknowledge(written)

    def _reason_to_stop(self) -> str:
        decision = self._decisions.decision
        is_leak = decision is not None and decision.is_final and decision.verdict is Verdict.LEAK
        stands = is_leak and self._child.is_tracked
        is_scanning = stands and self._scanner.is_at_it(self._ring.completed, self._decisions.suspects)
        return self._stop_rules.reason(
            self._elapsed_s(),
            self._outside.latest,
            self._limits,
            decision,
            is_scanning=is_scanning,
            looked_at_s=self._ring.looked_at_s,
        )

    def _end_if_stuck(self) -> None:
        """End a child that hangs, or that does not stop although a guard asked it to."""
        now_s = self._clock.now_s()
        if self._liveness.is_hung(self._child, now_s):
            self._is_hung, self._is_held = True, self._child.is_stopped()
            self._child.abort()
        elif self._patience.is_over(self._stopped_by, now_s) or now_s > self._ends_at_s:
            self._child.abort()

    def _ending(self) -> tuple[str, Failure | None]:
        """Return why the component, whose process has ended, was stopped, and its failure if it is one."""
        judge, limits = self._judge, self._limits
        failure = describe_failure(self._child, hung=self._is_hung, held=self._is_held)
        exhausted = tripped_guard(self._outside.latest, limits, self._plan.max_rss_bytes)
        if exhausted is None and failure is not None:
            exhausted = what_ran_out(failure.detail, judge.first, judge.last, limits, read_hidden_limits())
        return how_it_ended(self._stopped_by, failure, exhausted)

    # What is told.

    def _elapsed_s(self) -> float:
        """Return for how long the loop has been running, or ran, without the times it was held up."""
        return self._ring.elapsed_s(self._clock.now_s())

    def _progress(self) -> ComponentProgress:
        note = "" if self._ring.runs_cycles else self._ring.phase_name
        if self._ring.runs_cycles and self._ring.has_loop_ended:
            note = "finding what holds the blocks"
        if self._ring.is_paused:
            note = "too hot, waiting"
        if self._scanner.is_reading and not note:
            note = _LOOKING
        decision = self._decisions.decision
        if decision is not None and not note:
            note = decision.verdict.value
        is_leak = decision is not None and decision.verdict is Verdict.LEAK
        return ComponentProgress(
            self._ring.completed,
            self._elapsed_s(),
            note,
            may_leak=is_leak or self._scanner.has_seen_lost or self._judge.rises_at_first,
            rss_bytes=self._outside.latest.get("rss"),
            growth_bytes=self._decisions.growth_bytes(),
        )

    def _so_far(self, started: str) -> Observations | None:
        """Return, now and then, what can be said of a process that is still at work."""
        begun_s = self._clock.now_s()
        evidence = self._decisions.evidence
        if evidence is None or not self._ring.runs_cycles or not self._summing_up.is_due(begun_s):
            return None
        found = self._observations(evidence, AT_WORK, None, self._tracked(NO_ANSWERS), started)
        self._summing_up.spend(begun_s, self._clock.now_s() - begun_s)
        return replace(found, provisional=self._judge.provisional())

    def _observations(
        self, evidence: Evidence, stopped_by: str, failure: Failure | None, tracked: Tracked, started: str
    ) -> Observations:
        """Return what is known of a process, at work or ended."""
        seconds = self._elapsed_s()
        return Observations(
            evidence=evidence,
            judge=self._judge,
            iterations=self._ring.completed,
            seconds=seconds,
            stopped_by=stopped_by,
            failure=failure,
            pacing=_pacing(self._ring, self._plan.interval_s, seconds),
            pauses=self._ring.pauses(self._plan.max_pause_s),
            checkpoints=self._rows.rows_read,
            checkpoint_share=self._ring.checkpoint_s / seconds if seconds else 0.0,
            lost_rows=self._rows.rows_lost,
            gc_held_off=bool(self._rows.rows_read) and not self._ring.has_collected_garbage,
            output=self._child.output(),
            started=started,
            tracked=tracked,
            is_extended=self._is_extended,
        )

    def _observe(self, started: str) -> Observations:
        """Put together what is known of a process that has ended."""
        stopped_by, failure = self._ending()
        failed = failure is not None
        evidence = self._decisions.collect_last(stopped_by, self._stopped_by, failed=failed)
        object_answers = self._scanner.read_answer(self._with_bounds)
        tracked = self._tracked(object_answers)
        audit = self._looks.auditor.finish(self._ledger.locate)
        evidence = replace(self._decisions.with_last_answers(evidence, tracked, audit), failed=failed)
        return replace(
            self._observations(evidence, stopped_by, failure, tracked, started),
            opened=(*self._opened.still_open(), *self._left.still_there()),
            unrecorded=self._left.lost,
            kept_files=self._left.kept_files,
            paused_s=self._ring.paused_s,
            hottest_c=self._heat.hottest_c,
            audit=audit,
            object_answers=object_answers,
            gobjects=self._scanner.gobjects,
            most_garbage=self._rows.most_garbage,
            children_left_out=self._outside.children.left_out,
            roles=self._processes.finish(),
            loop_ended_s=self._ring.loop_ended_s(self._clock.now_s()),
            provisional=self._judge.provisional(),
        )

    def _with_bounds(self, object_answers: ObjectAnswers) -> ObjectAnswers:
        decision = self._decisions.decision
        if self._stopped_by == VERDICT and decision is not None and decision.verdict is Verdict.CLEAN:
            return object_answers  # reading the code of large libraries takes long, and no cache changes this
        return self._decisions.proofs.with_bounds(object_answers, self._ring.completed)

    def _tracked(self, object_answers: ObjectAnswers) -> Tracked:
        return self._ledger.finish(
            self._decisions.suspects,
            self._context.no_tracker_reason,
            self._scanner.reachability,
            self._scanner.memory,
            object_answers.garbage_sites,
            self._decisions.proofs.keepers,
        )


def _pacing(ring: ChildRing, interval_s: float, loop_s: float) -> Pacing:
    done = ring.completed
    if not interval_s:
        return Pacing(None, loop_s / done if done else None, 0, 0.0)
    # From the first deadline to the last, so that what follows the last cycle does not count.
    mean_s = ring.first_to_last_start_s / (done - 1) if done > 1 else None
    return Pacing(interval_s, mean_s, ring.missed_deadlines, ring.worst_lag_s)
