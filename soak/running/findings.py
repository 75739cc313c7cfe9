"""Put a component's course into the words and numbers of a result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from soak.analysis.component import describe_missing_cycles
from soak.analysis.wording import lookalike_limit
from soak.measurements import SIGNALS
from soak.results import (
    Cause,
    ComponentResult,
    Failure,
    Growth,
    Pacing,
    Place,
    SignalResult,
    TracemallocLine,
    TracemallocResult,
    TrackerState,
)
from soak.running.interpreter import Interpreter
from soak.running.supervisor import Course
from soak.running.tracing import Trace
from soak.settings import ComponentPlan
from soak.units import format_duration
from soak.verdict import SeriesVerdict, Verdict

_OUTPUT_TAIL_CHARACTERS = 4000
_LEDGER_SIGNALS = ("tracked", "tracked_blocks")
_ADVICE = {
    "thread": "Join the threads that a cycle starts, or keep one pool for all cycles.",
    "child-process": "Wait for the processes that a cycle starts; a zombie keeps its place in the process table.",
    "file-descriptor": "Close what a cycle opens (with ... as ...:), on the error path too.",
    "native": "Memory from malloc is not given back: look for a missing free in the C code that a cycle calls.",
    "python-object": "Python objects stay: look at the lines below for a list, dict or cache that a cycle adds to, "
    "or a C extension that forgets a reference.",
    "reference-cycle": "Objects that refer to each other stay because garbage collection is off: turn it on, call "
    "gc.collect() now and then, or break the cycles.",
    "mapping": "Mappings are made and not unmapped: look for mmap, shared memory or an allocator of a library's own.",
    "fragmentation": "Resident memory grows while memory in use does not: look at block sizes that vary, or at memory "
    "that is reserved once and touched later.",
}


def make_result(plan: ComponentPlan, course: Course, trace: Trace | None, interpreter: Interpreter) -> ComponentResult:
    """Return what was found about a component; ``trace``: of its second pass, if it had one."""
    judgement = course.judgement
    decided_by = judgement.decided_by if judgement.verdict is not Verdict.CLEAN or judgement.standing else None
    verdict = Verdict.FAILED if course.failure is not None else judgement.verdict
    deciding = judgement.series.get(decided_by or "")
    decided_at = judgement.decided_at if verdict is not Verdict.FAILED else None
    return ComponentResult(
        name=plan.name,
        target=str(plan.target),
        verdict=verdict,
        why=_why(course, verdict),
        decided_by=_decider(decided_by),
        iterations=course.iterations,
        seconds=course.seconds,
        iterations_to_verdict=decided_at,
        seconds_to_verdict=course.judge.time_of(decided_at) if decided_at is not None else None,
        since=deciding.since if deciding else None,
        needed_iterations=judgement.needed,
        n_min=course.judge.n_min,
        stopped_by=course.stopped_by,
        gate=plan.gate,
        growth=_growth(decided_by, judgement.series, trace),
        signals={name: _signal(name, series, course) for name, series in judgement.series.items()},
        causes=_causes(course, trace),
        tracemalloc=_tracemalloc(trace),
        tracker=course.tracked.state,
        pacing=course.pacing,
        failure=course.failure,
        messages=_messages(plan, course, verdict),
        checkpoints=course.checkpoints,
        checkpoint_share=course.checkpoint_share,
        lost_rows=course.lost_rows,
        started=course.started,
        python=str(interpreter),
        tolerance_bytes=plan.tolerance_bytes,
        output_tail=course.output[-_OUTPUT_TAIL_CHARACTERS:],
    )


def _decider(signal: str | None) -> str | None:
    if signal is None:
        return None
    return "ledger" if signal in _LEDGER_SIGNALS else f"counter:{signal}"


def failed_to_start(plan: ComponentPlan, error: OSError, interpreter: Interpreter) -> ComponentResult:
    """Return the result of a component whose process could not be started."""
    detail = f"its process could not be started: {error}"
    return ComponentResult(
        name=plan.name,
        target=str(plan.target),
        verdict=Verdict.FAILED,
        why=f"The driver failed in setup: {detail}.",
        decided_by=None,
        iterations=0,
        seconds=0.0,
        iterations_to_verdict=None,
        seconds_to_verdict=None,
        since=None,
        needed_iterations=None,
        n_min=None,
        stopped_by="failure",
        gate=plan.gate,
        growth=None,
        signals={},
        causes=(),
        tracemalloc=None,
        tracker=TrackerState(False, "it never ran"),
        pacing=Pacing(plan.interval_s or None, None, 0, 0.0),
        failure=Failure("setup", 0, "exit", detail),
        messages=(),
        python=str(interpreter),
    )


def _why(course: Course, verdict: Verdict) -> str:
    judgement = course.judgement
    if course.failure is not None:
        failure = course.failure
        where = f"in cycle {failure.cycle:,}" if failure.phase == "cycle" else f"in {failure.phase}"
        return f"The driver failed {where}: {failure.detail}. Until then: {judgement.verdict.value}, {judgement.why}"
    if verdict is Verdict.LEAK and course.judge.n_min:
        return f"{judgement.why} {lookalike_limit(course.judge.n_min)}"
    if verdict in (Verdict.INCONCLUSIVE, Verdict.SETTLING) and judgement.needed and course.iterations:
        return f"{judgement.why} {describe_missing_cycles(judgement.needed, course.seconds / course.iterations)}"
    return judgement.why


def _signal(name: str, series: SeriesVerdict, course: Course) -> SignalResult:
    signal = SIGNALS[name]
    return SignalResult(
        unit=signal.unit,
        per_iteration=series.rate,
        low=series.low,
        high=series.high,
        verdict=series.verdict,
        role=signal.role.value,
        reason=series.reason,
        first=course.judge.first[name],
        last=course.judge.last[name],
        readings=course.judge.readings[name],
        since=series.since,
        decided_at=series.decided_at,
        needed=series.needed,
    )


def _growth(decided_by: str | None, series: Mapping[str, SeriesVerdict], trace: Trace | None) -> Growth | None:
    """Return the growth the verdict rests on; for Python blocks the second pass tells how many bytes they are."""
    if decided_by is None:
        return None
    deciding, signal = series[decided_by], SIGNALS[decided_by]
    heap = series.get("heap")
    traced = trace.bytes_per_iteration if trace is not None else None
    in_bytes = (deciding.rate, deciding.low, deciding.high) if signal.unit == "bytes" else (None, None, None)
    measures = "allocated" if signal.unit == "bytes" else None
    requested = None
    if decided_by == "python_blocks" and traced is not None:
        in_bytes, measures, requested = (traced.rate, traced.low, traced.high), "requested", traced.rate
    return Growth(
        signal=decided_by,
        measures=measures,
        bytes_per_iteration=in_bytes[0],
        low=in_bytes[1],
        high=in_bytes[2],
        requested_bytes_per_iteration=requested,
        allocated_bytes_per_iteration=heap.rate if heap is not None and decided_by == "heap" else None,
        unit=signal.unit,
        per_iteration=deciding.rate,
    )


def _causes(course: Course, trace: Trace | None) -> tuple[Cause, ...]:
    """Return one cause for each signal that leaks, the deciding one first."""
    judgement = course.judgement
    leaking = [name for name, verdict in judgement.series.items() if verdict.verdict is Verdict.LEAK]
    named = [name for name in leaking if name == judgement.decided_by]
    # The other signals' growth is mostly the same leak seen again: a thread takes heap, heap takes RSS.
    return tuple(_cause(name, course, trace) for name in named)


def _cause(name: str, course: Course, trace: Trace | None) -> Cause:
    signal, series = SIGNALS[name], course.judgement.series[name]
    kind = signal.kind
    if name == "python_blocks" and course.gc_held_off:
        kind = "reference-cycle"
    line = trace.top[0] if trace is not None and trace.top and name in ("heap", "python_blocks") else None
    rate = series.rate or 0.0
    # tracemalloc sees Python's blocks only, so what it shows is the place of those and of nothing else.
    python_where = None
    stack: tuple[str, ...] = ()
    if line is not None and name == "python_blocks":
        python_where = Place(None, line.file, line.line)
        stack = tuple(f"{file}:{number}" for file, number in line.stack)
    blocks = rate if name == "python_blocks" else None
    bytes_per_iteration = rate if signal.unit == "bytes" else None
    if name == "python_blocks" and trace is not None and trace.bytes_per_iteration is not None:
        bytes_per_iteration = trace.bytes_per_iteration.rate
    opened = {kind: n - course.fds_at_start.get(kind, 0) for kind, n in course.fds_at_end.items()}
    most = max(opened, key=lambda kind: opened[kind], default=None) if name == "fds" else None
    place = f"{python_where.file}:{python_where.line}" if python_where else most or ""
    return Cause(
        kind=kind,
        confirmed=course.judgement.verdict is Verdict.LEAK,
        state="unknown",
        fingerprint=hashlib.sha256(f"{kind}\n{place}".encode()).hexdigest()[:12],
        bytes_per_iteration=bytes_per_iteration,
        blocks_per_iteration=blocks,
        requested_size=None,
        every=1 / rate if 0 < rate < 1 and signal.unit not in ("bytes", "blocks") else None,
        since=series.since,
        where=None,
        python_where=python_where,
        stack=stack,
        held_by=(),
        type=most,
        advice=_ADVICE[kind],
    )


def _tracemalloc(trace: Trace | None) -> TracemallocResult | None:
    if trace is None or not trace.iterations:
        return None
    return TracemallocResult(
        frames=trace.frames,
        iterations=trace.iterations,
        top=tuple(
            TracemallocLine(line.file, line.line, line.size / trace.iterations, line.blocks / trace.iterations)
            for line in trace.top
        ),
    )


def _messages(plan: ComponentPlan, course: Course, verdict: Verdict) -> tuple[str, ...]:
    messages = []
    if plan.injection is not None:
        planted = plan.injection
        messages.append(f"A leak was planted: {planted.kind}:{planted.size}, every {planted.every} cycle(s).")
    if course.gc_held_off:
        messages.append("The component runs with gc disabled or frozen, so soak did not collect garbage for it either.")
    if course.lost_rows:
        messages.append(f"{course.lost_rows} checkpoints were lost, because soak itself was held up.")
    if verdict is Verdict.CLEAN and plan.full_budget and course.stopped_by in ("budget", "signal"):
        messages.append(f"CLEAN so far, after {format_duration(course.seconds)}: a leak may still begin later.")
    if course.pacing.missed_deadlines:
        messages.append(
            f"{course.pacing.missed_deadlines:,} deadlines missed; the worst start was "
            f"{format_duration(course.pacing.worst_lag_s)} late."
        )
    return tuple(messages)
