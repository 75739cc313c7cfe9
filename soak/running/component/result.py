"""Make a component's result of what was observed of its process."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from soak.analysis.caches import with_filling_caches
from soak.analysis.component import LARGEST_N_MIN, Judgement, describe_missing_cycles
from soak.analysis.wording import lookalike_limit
from soak.attribution.causes import MAPPING_DOMAIN, place_of_allocation
from soak.attribution.object_answers import describe_garbage, garbage_messages
from soak.attribution.symbols import Symbols
from soak.measurements import SIGNALS
from soak.results import (
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
from soak.running.component.causes import find_causes, is_fragmentation
from soak.running.component.second_pass import Trace
from soak.running.component.supervisor import LEDGER_SIGNALS, Observations
from soak.running.interpreter import Interpreter
from soak.settings import ComponentPlan
from soak.units import format_duration
from soak.verdict import SeriesVerdict, Verdict

_OUTPUT_TAIL_CHARACTERS = 4000
_FRAGMENTATION = "What grows is free memory that the allocators keep: fragmentation."


def make_result(
    plan: ComponentPlan, observed: Observations, trace: Trace | None, interpreter: Interpreter
) -> ComponentResult:
    """Return what was found about a component; ``trace``: of its second pass, if it had one."""
    observed = dataclasses.replace(observed, judgement=_with_caches(plan, observed))
    judgement, garbage = observed.judgement, _garbage(observed)
    decided_by = judgement.decided_by if judgement.verdict is not Verdict.CLEAN or judgement.standing else None
    verdict = Verdict.FAILED if observed.failure is not None else judgement.verdict
    deciding = judgement.series.get(decided_by or "")
    decided_at = judgement.decided_at if verdict is not Verdict.FAILED else None
    return ComponentResult(
        name=plan.name,
        target=str(plan.target),
        verdict=verdict,
        why=_why(observed, verdict),
        decided_by="lost-scan" if judgement.by_scan else _decider(decided_by),
        iterations=observed.iterations,
        seconds=observed.seconds,
        iterations_to_verdict=decided_at,
        seconds_to_verdict=observed.judge.time_of(decided_at) if decided_at is not None else None,
        since=deciding.since if deciding else None,
        needed_iterations=judgement.needed,
        n_min=observed.judge.n_min,
        stopped_by=observed.stopped_by,
        gate=plan.gate,
        growth=_growth(decided_by, judgement.series, trace),
        signals={name: _signal(name, series, observed) for name, series in judgement.series.items()},
        causes=find_causes(observed, trace),
        tracemalloc=_tracemalloc(trace),
        tracker=observed.tracked.state,
        pacing=observed.pacing,
        failure=observed.failure,
        messages=(*_messages(plan, observed, verdict), *garbage_messages(garbage)),
        checkpoints=observed.checkpoints,
        checkpoint_share=observed.checkpoint_share,
        lost_rows=observed.lost_rows,
        started=observed.started,
        python=str(interpreter),
        tolerance_bytes=plan.tolerance_bytes,
        output_tail=observed.output[-_OUTPUT_TAIL_CHARACTERS:],
        audit=observed.audit,
        garbage=garbage,
    )


def _with_caches(plan: ComponentPlan, observed: Observations) -> Judgement:
    """Take into answer which caches hold what grows, as the process itself said after its last cycle."""
    sites = [
        (
            site.bytes_per_cycle,
            site.reachability.answer.cache
            if site.reachability.state == "held" and not site.reachability.kind
            else None,
            site.is_proven,
        )
        for site in observed.tracked.sites
        if site.domain != MAPPING_DOMAIN
    ]
    return with_filling_caches(
        observed.judgement,
        sites,
        cycles=observed.iterations,
        n_min=observed.judge.n_min or LARGEST_N_MIN,
        tolerance_bytes=plan.tolerance_bytes,
    )


def _garbage(observed: Observations) -> Garbage | None:
    """Return what collections of garbage find, with the lines that allocated the objects of a ring."""
    places, locate = observed.tracked.places, Symbols(observed.tracked.maps).frames
    return describe_garbage(
        observed.object_answers, observed.most_garbage, lambda site: place_of_allocation(places.get(site), locate)
    )


def _decider(signal: str | None) -> str | None:
    if signal is None:
        return None
    return "ledger" if signal in LEDGER_SIGNALS else f"counter:{signal}"


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


def _why(observed: Observations, verdict: Verdict) -> str:
    judgement = observed.judgement
    if is_fragmentation(observed):
        why = f"{judgement.why.removeprefix('Unexplained growth: ')} {_FRAGMENTATION}"
        judgement = dataclasses.replace(judgement, why=why)
    if observed.failure is not None:
        failure = observed.failure
        where = f"in cycle {failure.cycle:,}" if failure.phase == "cycle" else f"in {failure.phase}"
        return f"The driver failed {where}: {failure.detail}. Until then {judgement.verdict.value}: {judgement.why}"
    if verdict is Verdict.LEAK and observed.judge.n_min and not judgement.by_scan:
        return f"{judgement.why} {lookalike_limit(observed.judge.n_min)}"
    if verdict in (Verdict.INCONCLUSIVE, Verdict.SETTLING) and judgement.needed and observed.iterations:
        return f"{judgement.why} {describe_missing_cycles(judgement.needed, observed.seconds / observed.iterations)}"
    return judgement.why


def _signal(name: str, series: SeriesVerdict, observed: Observations) -> SignalResult:
    signal = SIGNALS[name]
    return SignalResult(
        unit=signal.unit,
        per_iteration=series.rate,
        low=series.low,
        high=series.high,
        verdict=series.verdict,
        role=signal.role.value,
        reason=series.reason,
        first=observed.judge.first[name],
        last=observed.judge.last[name],
        readings=observed.judge.readings[name],
        since=series.since,
        decided_at=series.decided_at,
        judged_at=series.judged_at,
        needed=series.needed,
    )


def _growth(decided_by: str | None, series: Mapping[str, SeriesVerdict], trace: Trace | None) -> Growth | None:
    """Return the growth the verdict rests on; for Python blocks the second pass tells how many bytes they are."""
    if decided_by is None:
        return None
    deciding, signal = series[decided_by], SIGNALS[decided_by]
    heap = series.get("heap")
    allocated = None
    if heap is not None and heap.rate is not None and heap.low is not None and heap.low > 0:
        # Python's own allocator takes no part in it: a heap that grows by less than was asked for is another story.
        requested_rate = series["tracked"].rate if "tracked" in series else None
        allocated = heap.rate if heap.rate >= (requested_rate or 0.0) else None
    requested = None
    if decided_by in LEDGER_SIGNALS:
        in_bytes, measures = series["tracked"], "requested"
        requested = in_bytes.rate
    elif decided_by == "python_blocks" and trace is not None and trace.bytes_per_iteration is not None:
        in_bytes, measures = trace.bytes_per_iteration, "requested"
        requested = in_bytes.rate
    elif signal.unit == "bytes":
        in_bytes, measures = deciding, "allocated"
    elif (tracked := series.get("tracked")) is not None and tracked.low is not None and tracked.low > 0:
        # What leaks descriptors or threads mostly leaks memory with them.
        in_bytes, measures = tracked, "requested"
        requested = tracked.rate
    else:
        in_bytes, measures = None, None
    return Growth(
        signal=decided_by,
        measures=measures,
        bytes_per_iteration=in_bytes.rate if in_bytes else None,
        low=in_bytes.low if in_bytes else None,
        high=in_bytes.high if in_bytes else None,
        requested_bytes_per_iteration=requested,
        allocated_bytes_per_iteration=allocated,
        unit=signal.unit,
        per_iteration=deciding.rate,
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


def _messages(plan: ComponentPlan, observed: Observations, verdict: Verdict) -> tuple[str, ...]:
    messages = []
    if plan.injection is not None:
        planted = plan.injection
        every = "cycle" if planted.every == 1 else f"{planted.every:,} cycles"
        messages.append(f"A leak was planted: {planted.kind}:{planted.size}, every {every}.")
    if observed.gc_held_off:
        messages.append("The component runs with gc disabled or frozen, so soak did not collect garbage for it either.")
    if observed.tracked.state.active and not observed.tracked.complete:
        messages.append(
            "The tracker ran out of room, so its ledger is not complete: it shows what grows, but that nothing else "
            "does rests on the counters."
        )
    if observed.lost_rows:
        messages.append(f"{observed.lost_rows} checkpoints were lost, because soak itself was held up.")
    if verdict is Verdict.CLEAN and plan.full_budget and observed.stopped_by in ("budget", "signal"):
        messages.append(f"CLEAN so far, after {format_duration(observed.seconds)}: a leak may still begin later.")
    if observed.paused_s:
        hottest = f", for the machine came to {observed.hottest_c:.0f} °C" if observed.hottest_c is not None else ""
        messages.append(f"Stood still for {format_duration(observed.paused_s)} in all{hottest}.")
    elif plan.max_temperature_c is not None and observed.hottest_c is None:
        messages.append("No temperature could be read on this machine, so --max-temperature had no effect.")
    if observed.pacing.missed_deadlines:
        messages.append(
            f"{observed.pacing.missed_deadlines:,} deadlines missed; the worst start was "
            f"{format_duration(observed.pacing.worst_lag_s)} late."
        )
    return tuple(messages)
