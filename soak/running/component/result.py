"""Make a component's result of what was observed of its process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from soak.analysis.decision.decide import decide
from soak.analysis.decision.outcome import Decision
from soak.analysis.evidence import LEDGER
from soak.analysis.sites.caches import most_allocated
from soak.attribution.causes import place_of_allocation
from soak.attribution.native.symbols import Symbols
from soak.attribution.object_answers import describe_garbage, garbage_messages
from soak.grounds import Ground, GroundKind
from soak.measurements import SIGNALS
from soak.native.layout import CREATION_NAME, CREATIONS_LIMIT
from soak.results import (
    NEVER_RAN,
    Cause,
    ComponentResult,
    Failure,
    Garbage,
    Growth,
    Pacing,
    SignalResult,
    TracemallocLine,
    TracemallocResult,
    TrackerState,
)
from soak.running.clock import SystemClock
from soak.running.component.causes import find_causes
from soak.running.component.observations import Observations
from soak.running.component.second_pass import Trace
from soak.running.interpreter import Interpreter
from soak.running.processes.report import role_result
from soak.settings import ComponentPlan
from soak.units import format_duration
from soak.verdict import SeriesVerdict, Verdict

_SOON_S = 60.0
"""The run waits for a verdict that it can have this soon."""
_OUTPUT_TAIL_CHARACTERS = 4000
_WORTH_SAYING_FILES = 20
"""From this many files on, there may be one for each cycle."""


def make_result(
    plan: ComponentPlan,
    observed: Observations,
    trace: Trace | None,
    interpreter: Interpreter,
    failed_controls: Callable[[], frozenset[str]] = frozenset,
) -> ComponentResult:
    """Return what was found; ``trace``: of a second pass, if any; ``failed_controls``, by signal, may wait for them."""
    decision = decide(dataclasses.replace(observed.evidence, failed_controls=failed_controls()))
    causes = find_causes(observed, trace)
    result = ComponentResult(
        name=plan.name,
        target=str(plan.target),
        verdict=decision.verdict,
        decided_by="lost-scan" if _by_scan(decision) else _decider(decision.decided_by),
        iterations=observed.iterations,
        seconds=observed.seconds,
        iterations_to_verdict=decision.decided_at,
        seconds_to_verdict=None if decision.decided_at is None else observed.judge.time_of(decision.decided_at),
        since=_since(decision),
        needed_iterations=decision.needed,
        n_min=observed.judge.n_min,
        stopped_by=observed.stopped_by,
        gate=plan.gate,
        growth=_growth(decision.decided_by, decision.series, trace, causes),
        signals={name: _signal(name, series, observed) for name, series in decision.series.items()},
        causes=causes,
        tracemalloc=_tracemalloc(trace),
        tracker=observed.tracked.state,
        pacing=observed.pacing,
        pauses=observed.pauses,
        failure=observed.failure,
        messages=(*_messages(plan, observed, decision.verdict), *garbage_messages(_garbage(observed))),
        checkpoints=observed.checkpoints,
        checkpoint_share=observed.checkpoint_share,
        lost_rows=observed.lost_rows,
        started=observed.started,
        python=str(interpreter),
        tolerance_bytes=plan.tolerance_bytes,
        output_tail=observed.output[-_OUTPUT_TAIL_CHARACTERS:],
        grounds=decision.grounds,
    )
    return _with_details(result, observed)


def _with_details(result: ComponentResult, observed: Observations) -> ComponentResult:
    """Return the result with what else is known of the process."""
    return dataclasses.replace(
        result,
        audit=observed.audit,
        garbage=_garbage(observed),
        provisional=_provisional(observed, result.verdict),
        roles=tuple(map(role_result, observed.roles)),
        gobjects=dict(observed.gobjects),
    )


def _since(decision: Decision) -> int | None:
    deciding = decision.series.get(decision.decided_by or "")
    return deciding.since if deciding else None


def _provisional(observed: Observations, verdict: Verdict) -> SignalResult | None:
    """Return what grows by the rule of a short run, in a run that goes on for long before its own rule can decide."""
    found = observed.provisional
    if found is None or verdict is not Verdict.INCONCLUSIVE:
        return None
    cycle_s = observed.seconds / max(observed.iterations, 1)
    n_min = observed.judge.n_min
    if n_min is not None and (n_min - observed.iterations) * cycle_s < _SOON_S:
        return None
    return _signal(*found, observed)


def _by_scan(decision: Decision) -> bool:
    """Whether a scan of the memory decided, or had decided until the driver failed."""
    kinds = [ground.kind for ground in decision.grounds]
    return kinds[1 if kinds[0] is GroundKind.DRIVER_FAILED else 0] is GroundKind.LOST_BLOCKS


def _garbage(observed: Observations) -> Garbage | None:
    """Return what collections of garbage find, with the lines that allocated the objects of a ring."""
    places, locate = observed.tracked.places, Symbols(observed.tracked.maps).frames
    return describe_garbage(
        observed.object_answers, observed.most_garbage, lambda site: place_of_allocation(places.get(site), locate)
    )


def _decider(signal: str | None) -> str | None:
    if signal is None:
        return None
    return "ledger" if signal in (*LEDGER, "children_tracked") else f"counter:{signal}"


def seconds_since(moment_s: float | None) -> float:
    """Return the seconds since a moment on the system's clock; 0 since one that never came."""
    return 0.0 if moment_s is None else SystemClock().now_s() - moment_s


def failed_to_start(plan: ComponentPlan, error: OSError, interpreter: Interpreter) -> ComponentResult:
    """Return the result of a component whose process could not be started."""
    return never_began(plan, f"its process could not be started: {error}", str(interpreter))


def never_began(plan: ComponentPlan, detail: str, python: str) -> ComponentResult:
    """Return the result of a component that FAILED before its first cycle; ``detail`` says why."""
    return ComponentResult(
        name=plan.name,
        target=str(plan.target),
        verdict=Verdict.FAILED,
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
        tracker=TrackerState(False, NEVER_RAN),
        pacing=Pacing(plan.interval_s or None, None, 0, 0.0),
        failure=Failure("start", 0, "exit", detail),
        messages=(),
        python=python,
        grounds=(Ground(GroundKind.DRIVER_FAILED),),
    )


def _signal(name: str, series: SeriesVerdict, observed: Observations) -> SignalResult:
    signal, judge = SIGNALS[name], observed.judge
    first, last, readings = judge.first[name], judge.last[name], judge.readings[name]
    return SignalResult.of(series, signal.unit, signal.role.value, first=first, last=last, readings=readings)


def _allocated(series: Mapping[str, SeriesVerdict]) -> float | None:
    """Return what malloc makes of what was asked for, where the heap counter tells; None if it counts other things.

    Python's own allocator takes no part in the heap, so it may grow by less than was asked for; and by more than
    malloc's rounding only by what the ledger does not speak of.
    """
    heap, tracked = series.get("heap"), series.get("tracked")
    if heap is None or heap.rate is None or (heap.low or 0.0) <= 0:
        return None
    if tracked is None or tracked.rate is None:
        return heap.rate
    return heap.rate if tracked.rate <= heap.rate <= most_allocated(series) else None


def _growth(
    decided_by: str | None, series: Mapping[str, SeriesVerdict], trace: Trace | None, causes: Sequence[Cause] = ()
) -> Growth | None:
    """Return the growth the verdict rests on.

    How many bytes blocks are is told by the ledger, by the second pass for Python's, or by the call sites alone: a
    busy machine may leave too few readings of all memory together.
    """
    if decided_by is None:
        return None
    deciding, signal = series[decided_by], SIGNALS[decided_by]
    allocated = _allocated(series)
    requested = None
    if decided_by in LEDGER:
        in_bytes, measures = series["tracked"], "requested"
        requested = in_bytes.rate
    elif decided_by == "python_blocks" and trace is not None and trace.bytes_per_iteration is not None:
        in_bytes, measures = trace.bytes_per_iteration, "requested"
        requested = in_bytes.rate
    elif decided_by == "children_tracked":
        in_bytes, measures = deciding, "requested"
        requested = in_bytes.rate
    elif signal.unit == "bytes":
        in_bytes, measures = deciding, "allocated"
    elif (tracked := series.get("tracked")) is not None and tracked.low is not None and tracked.low > 0:
        # What leaks descriptors or threads mostly leaks memory with them.
        in_bytes, measures = tracked, "requested"
        requested = tracked.rate
    else:
        in_bytes, measures = None, None
    bytes_per_iteration = in_bytes.rate if in_bytes else None
    if bytes_per_iteration is None and signal.unit == "blocks" and (at_sites := _bytes_at_sites(causes)):
        bytes_per_iteration = requested = at_sites
        measures = "requested"
    return Growth(
        signal=decided_by,
        measures=measures,
        bytes_per_iteration=bytes_per_iteration,
        low=in_bytes.low if in_bytes else None,
        high=in_bytes.high if in_bytes else None,
        requested_bytes_per_iteration=requested,
        allocated_bytes_per_iteration=allocated,
        unit=signal.unit,
        per_iteration=deciding.rate,
    )


def _bytes_at_sites(causes: Sequence[Cause]) -> float:
    """Return what all call sites that grow allocate a cycle, but for what they map."""
    return sum(cause.bytes_per_iteration or 0.0 for cause in causes if cause.kind != "mapping")


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


def _what_was_missed(observed: Observations) -> Iterator[str]:
    """Say what there was no room or no time to record."""
    if observed.tracked.state.active and not observed.tracked.complete:
        yield (
            "The tracker ran out of room, so its ledger is not complete. It shows what grows. Only the counters can "
            "show that nothing else grows."
        )
    if observed.unrecorded:
        yield (
            f"The component created {observed.unrecorded:,} files or other resources that soak did not follow: more "
            f"than {CREATIONS_LIMIT:,} at once between two checkpoints, or with paths of {CREATION_NAME} characters "
            "and more."
        )
    if observed.lost_rows:
        yield f"{observed.lost_rows} checkpoints were lost, because soak itself was delayed."


def _messages(plan: ComponentPlan, observed: Observations, verdict: Verdict) -> tuple[str, ...]:
    messages = list(_what_was_missed(observed))
    if plan.injection is not None:
        planted = plan.injection
        every = "cycle" if planted.every == 1 else f"{planted.every:,} cycles"
        messages.append(f"A leak was planted: {planted.kind}:{planted.size}, every {every}.")
    if observed.gc_held_off:
        messages.append("The component runs with gc disabled or frozen, so soak did not collect garbage for it either.")
    if observed.kept_files >= _WORTH_SAYING_FILES:
        messages.append(
            f"{observed.kept_files:,} other files that it created are still there. soak assumes that the component is "
            "meant to write them."
        )
    if observed.children_left_out:
        counts = observed.children_left_out.items()
        who = "; ".join(f"{count:,} × {command}" for command, count in counts)
        messages.append(f"Left out by the driver's IGNORED_CHILDREN: {who}.")
    if verdict is Verdict.CLEAN and plan.full_budget and observed.stopped_by in ("budget", "signal"):
        messages.append(f"CLEAN so far, after {format_duration(observed.seconds)}: a leak may still begin later.")
    if observed.is_extended:
        messages.append("The budget was too small to decide, so soak ran more cycles.")
    if observed.paused_s:
        hottest = f", because the machine reached {observed.hottest_c:.0f} °C" if observed.hottest_c is not None else ""
        messages.append(f"Paused for {format_duration(observed.paused_s)} in total{hottest}.")
    elif plan.max_temperature_c is not None and observed.hottest_c is None:
        messages.append("No temperature could be read on this machine, so --max-temperature had no effect.")
    if missed := observed.pacing.missed_deadlines:
        deadlines = "1 deadline" if missed == 1 else f"{missed:,} deadlines"
        messages.append(f"{deadlines} missed; the worst start was {format_duration(observed.pacing.worst_lag_s)} late.")
    return tuple(messages)
