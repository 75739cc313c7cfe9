"""Soak a function in this very process, with the channels that can be read here: no tracker, no fresh start.

Net zero here too: readings go into an array that was made before, garbage collection leaves out what was there
before (gc.freeze), and everything that judging needs was used once before the first reading.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from soak.analysis.component import ComponentJudge
from soak.analysis.decision.decide import decide
from soak.analysis.evidence import REQUIRED_IN_A_RUN, Evidence
from soak.attribution.object_answers import Link, draw_nodes
from soak.attribution.opened_causes import StillOpen
from soak.attribution.pointers.backreferences import find_way, newest_of_growing_types
from soak.inside.clock import RealTime
from soak.inside.counting import counters
from soak.measurements import Reading
from soak.probes.inventory import describe_new, read_inventory
from soak.probes.limits import read_limits
from soak.probes.outside import open_reader
from soak.results import ComponentResult, Pacing, TrackerState
from soak.running.child.guards import tripped_guard
from soak.running.component.horizon import Horizon
from soak.running.component.observations import Observations
from soak.running.component.reading.ledger_reader import Tracked
from soak.running.component.result import make_result
from soak.running.component.second_pass import Trace, TracedLine
from soak.running.interpreter import find_interpreter
from soak.settings import ComponentPlan
from soak.verdict import SeriesState, SeriesVerdict, Verdict

CHANNELS = ("heap", "python_blocks", "fds", "threads", "children", "mapped", "rss")
_ROWS = 8192
_DENSEST, _SHARE = 64, 0.1
_TRACED_CYCLES, _TRACED_LINES = 1000, 8
_WARM_UP_N_MIN = 32
_REASON = "judged in the caller's own process (isolate=False)"


def soak_here(plan: ComponentPlan, function: Callable[[], Any]) -> ComponentResult:
    """Call ``function`` in this process until its verdict stands or the budget is used up.

    An ``async def`` runs in one event loop of its own. What the function raises passes through.
    """
    with _called(function) as cycle:
        with _older_objects_frozen():
            observed = _Soaking(plan, cycle).run()
        objects_stay = observed.decision.verdict is Verdict.LEAK and observed.decision.decided_by == "python_blocks"
        trace = _trace(cycle, observed) if objects_stay else None
        way = _find_holder(cycle, function, observed) if objects_stay else ()
    result = _held(make_result(plan, observed, trace, find_interpreter(None)), way)
    read = ", ".join(name for name in CHANNELS if name in result.signals)
    return replace(result, messages=(*result.messages, f"Judged in the process of the caller, by {read}."))


@contextlib.contextmanager
def _called(function: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    if not inspect.iscoroutinefunction(function):
        yield function
        return
    with asyncio.Runner() as runner:
        yield lambda: runner.run(function())


@contextlib.contextmanager
def _older_objects_frozen() -> Iterator[None]:
    """Keep collections short: what is there before the first cycle is not looked through at each checkpoint."""
    held_off = not counters.soak_may_collect()
    if not held_off:
        gc.collect()
        gc.freeze()
    try:
        yield
    finally:
        if not held_off:
            gc.unfreeze()


def _cycles_afterwards(observed: Observations) -> int:
    """Return how many cycles to call on for, to see more: a quarter of a second's."""
    return max(16, min(_TRACED_CYCLES, int(observed.iterations / observed.seconds / 4)))


def _find_holder(cycle: Callable[[], Any], function: Callable[[], Any], observed: Observations) -> tuple[Link, ...]:
    """Call on, and return the way to an object that stays; empty when gc knows none."""
    cycles = _cycles_afterwards(observed)
    with _older_objects_frozen():
        for _ in range(cycles):
            cycle()
        stayed = newest_of_growing_types(cycles)
    return find_way(stayed, function)


def _held(result: ComponentResult, way: tuple[Link, ...]) -> ComponentResult:
    """Add to the one cause of objects that stay who holds them."""
    if not way or len(result.causes) != 1 or result.causes[0].kind != "python-object":
        return result
    cause = replace(
        result.causes[0],
        state="held",
        type=way[-1].type,
        chain=draw_nodes(way, lambda _: None),
    )
    return replace(result, causes=(cause,))


def _trace(cycle: Callable[[], Any], observed: Observations) -> Trace | None:
    """Call on under tracemalloc, for a second at most, and return the lines that grow; None when it is in use."""
    if tracemalloc.is_tracing():
        return None
    cycles = _cycles_afterwards(observed)
    tracemalloc.start(1)
    try:
        snapshots = []
        for _ in range(3):  # the first is for what taking one leaves behind
            for _ in range(cycles):
                cycle()
            gc.collect()
            snapshots.append(tracemalloc.take_snapshot())
    finally:
        tracemalloc.stop()
    own = tuple(tracemalloc.Filter(False, file) for file in (tracemalloc.__file__, __file__))
    before, after = (snapshot.filter_traces(own) for snapshot in snapshots[1:])
    grown = [line for line in after.compare_to(before, "lineno") if line.size_diff > 0][:_TRACED_LINES]
    lines = tuple(
        TracedLine(frame.filename, frame.lineno, line.size_diff, line.count_diff, ((frame.filename, frame.lineno),))
        for line in grown
        for frame in line.traceback
    )
    rate = sum(line.size for line in lines) / cycles
    return Trace(
        1, cycles, lines, SeriesVerdict(Verdict.LEAK, SeriesState.MEASURED, rate, rate, rate) if lines else None
    )


class _Soaking:
    """One function's cycles in this process."""

    def __init__(self, plan: ComponentPlan, cycle: Callable[[], Any]) -> None:
        self._plan = plan
        self._cycle = cycle
        self._collects = gc.isenabled()
        self._reader = open_reader(os.getpid())
        self._limits = read_limits(os.getpid())
        self._rows = np.full((_ROWS, len(CHANNELS) + 2), np.nan)  # cycle, seconds, then the channels
        self._count = 0
        self._horizon = Horizon(plan)
        self._checkpoint_s = 0.0
        self._before = read_inventory(os.getpid())

    def run(self) -> Observations:
        """Run cycles, a checkpoint now and then, and a judgement now and then."""
        started = datetime.now(UTC).isoformat(timespec="seconds")
        self._warm_up()
        begun_s, stopped_by, done = RealTime.monotonic(), "", 0
        self._checkpoint(0, 0.0)
        while not stopped_by:
            until = self._next_checkpoint(done, RealTime.monotonic() - begun_s)
            for _ in range(until - done):
                self._cycle()
            done = until
            values = self._checkpoint(done, RealTime.monotonic() - begun_s)
            stopped_by = self._reason_to_stop(done, RealTime.monotonic() - begun_s, values)
        seconds = RealTime.monotonic() - begun_s
        self._update_horizon(done, seconds, ended=True)
        judge = self._judge()
        guard = stopped_by.removeprefix("guard:")
        evidence = judge.evidence(is_last=True)
        if guard != stopped_by:
            evidence = replace(evidence, stop=judge.stop_at(guard))
        return self._observed(evidence, judge, done, seconds, stopped_by, started)

    def _warm_up(self) -> None:
        """Use everything once that a checkpoint and a judgement use, and forget what they said."""
        for cycle in range(2 * _WARM_UP_N_MIN):
            self._checkpoint(cycle, 0.0)
        decide(self._judge(_WARM_UP_N_MIN).evidence(is_last=True))
        self._rows.fill(np.nan)
        self._count, self._checkpoint_s = 0, 0.0

    def _checkpoint(self, cycle: int, at_s: float) -> dict[str, float]:
        begun_s = RealTime.monotonic()
        if self._collects:
            gc.collect()
            counters.clear_type_cache()
        values: dict[str, float] = {"python_blocks": counters.read_python_blocks()}
        if counters.read_malloc is not None:
            malloc = counters.read_malloc()
            values["heap"] = malloc.uordblks + malloc.hblkhd
        values.update(self._reader.read_counts())
        row = self._rows[self._count]
        row[0], row[1] = cycle, at_s
        for column, name in enumerate(CHANNELS, 2):
            row[column] = values.get(name, np.nan)
        self._count += 1
        self._checkpoint_s += RealTime.monotonic() - begun_s
        return values

    def _next_checkpoint(self, done: int, elapsed_s: float) -> int:
        spacing = self._plan.checkpoint_every or max(1, done // _DENSEST)
        if done and self._plan.checkpoint_every is None:
            cycle_s = max(elapsed_s - self._checkpoint_s, 1e-9) / done
            affordable = self._checkpoint_s / self._count / _SHARE / cycle_s
            spacing = max(spacing, min(int(affordable), done // 40))
        last = self._plan.iterations
        return done + spacing if last is None else min(done + spacing, last)

    def _reason_to_stop(self, done: int, elapsed_s: float, values: dict[str, float]) -> str:
        plan = self._plan
        guard = tripped_guard(values, self._limits, plan.max_rss_bytes)
        if guard is not None:
            return f"guard:{guard}"
        if plan.iterations is not None and done >= plan.iterations:
            return "budget"
        if (plan.budget_s is not None and elapsed_s >= plan.budget_s) or self._count == _ROWS:
            return "budget"
        self._update_horizon(done, elapsed_s)
        if self._horizon.n_min is None or not plan.early_stop or not self._is_due(done):
            return ""
        decision = decide(self._judge().evidence())
        clean_so_far = decision.verdict is Verdict.CLEAN and plan.full_budget
        return "verdict" if decision.is_final and not clean_so_far else ""

    def _is_due(self, done: int) -> bool:
        """Whether it is time to judge: at 2 n_min, 8 n_min, 32 n_min, ... cycles.

        Judging in this process leaves some kilobytes in malloc's caches. The rule's windows at one of these looks
        begin where the one before it was, so they hold no such step.
        """
        before = self._rows[self._count - 2, 0]
        look = 2.0 * self._horizon.longest
        while look <= before:
            look *= 4
        return look <= done

    def _update_horizon(self, done: int, elapsed_s: float, *, ended: bool = False) -> None:
        self._horizon.update(done, elapsed_s, max(elapsed_s - self._checkpoint_s, 1e-9) / done, ended=ended)

    def _judge(self, n_min: int | None = None) -> ComponentJudge:
        judge = ComponentJudge(
            self._plan.tolerance_bytes, self._limits, REQUIRED_IN_A_RUN, rss_limit_bytes=self._plan.max_rss_bytes
        )
        judge.fix_n_min(n_min or self._horizon.longest, are_cycles_slow=self._horizon.are_cycles_slow)
        for row in self._rows[: self._count].tolist():
            values = {name: value for name, value in zip(CHANNELS, row[2:], strict=True) if value == value}
            judge.add(Reading(int(row[0]), row[1], values))
        return judge

    def _observed(
        self, evidence: Evidence, judge: ComponentJudge, done: int, seconds: float, stopped_by: str, started: str
    ) -> Observations:
        names = {thread.native_id: thread.name for thread in threading.enumerate() if thread.native_id}
        return Observations(
            evidence=evidence,
            judge=judge,
            iterations=done,
            seconds=seconds,
            stopped_by=stopped_by,
            failure=None,
            pacing=Pacing(None, seconds / done, 0, 0.0),
            pauses=None,
            checkpoints=self._count,
            checkpoint_share=self._checkpoint_s / seconds,
            lost_rows=0,
            gc_held_off=not self._collects,
            output="",
            started=started,
            tracked=Tracked(TrackerState(False, _REASON), False, (), ""),
            opened=tuple(map(StillOpen, describe_new(os.getpid(), self._before, (), names))),
        )
