"""Put a component's course into the words and numbers of a result."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from soak.analysis.caches import with_filling_caches
from soak.analysis.component import LARGEST_N_MIN, Judgement, describe_missing_cycles
from soak.analysis.wording import lookalike_limit
from soak.attribution.accounts import describe_garbage, garbage_messages
from soak.attribution.causes import MAPPING_DOMAIN, Locate, causes_of_sites, fingerprint, name_allocation
from soak.attribution.opened import causes_of_opened
from soak.attribution.symbols import Symbols
from soak.measurements import SIGNALS
from soak.results import (
    Cause,
    ComponentResult,
    Failure,
    Garbage,
    Growth,
    Pacing,
    Place,
    SignalResult,
    TracemallocLine,
    TracemallocResult,
    TrackerState,
)
from soak.running.interpreter import Interpreter
from soak.running.opened import SIGNALS_OF_ITEMS
from soak.running.supervisor import LEDGER_SIGNALS, Course
from soak.running.tracing import Trace
from soak.settings import ComponentPlan
from soak.units import format_duration
from soak.verdict import SeriesVerdict, Verdict

_OUTPUT_TAIL_CHARACTERS = 4000
_FRAGMENTATION = "What grows is free memory that the allocators keep: fragmentation."
_ADVICE = {
    "thread": "Join the threads that a cycle starts, or keep one pool for all cycles.",
    "child-process": "Wait for the processes that a cycle starts; a zombie keeps its place in the process table.",
    "file-descriptor": "Close what a cycle opens (with ... as ...:), on the error path too.",
    "native": "Memory from malloc is not given back: look for a missing free in the C code that a cycle calls.",
    "python-object": "Python objects stay: look there for a list, dict or cache that a cycle adds to, "
    "or a C extension that forgets a reference.",
    "reference-cycle": "Objects that refer to each other stay because garbage collection is off: turn it on, call "
    "gc.collect() now and then, or break the cycles.",
    "lost-reference": "A reference was taken and never dropped: look for a missing Py_DECREF in the C extension that "
    "handles these objects.",
    "mapping": "Mappings are made and not unmapped: look for mmap, shared memory or an allocator of a library's own.",
    "fragmentation": "Resident memory grows while memory in use does not: look at block sizes that vary, or at memory "
    "that is reserved once and touched later.",
}
_FREE_ADVICE = (
    "Free blocks between live ones are too small for what is asked for next, so the heap grows: reuse buffers, ask for "
    "few different sizes, or make what stays before the large blocks that go."
)


def make_result(plan: ComponentPlan, course: Course, trace: Trace | None, interpreter: Interpreter) -> ComponentResult:
    """Return what was found about a component; ``trace``: of its second pass, if it had one."""
    course = dataclasses.replace(course, judgement=_with_caches(plan, course))
    judgement, garbage = course.judgement, _garbage(course)
    decided_by = judgement.decided_by if judgement.verdict is not Verdict.CLEAN or judgement.standing else None
    verdict = Verdict.FAILED if course.failure is not None else judgement.verdict
    deciding = judgement.series.get(decided_by or "")
    decided_at = judgement.decided_at if verdict is not Verdict.FAILED else None
    return ComponentResult(
        name=plan.name,
        target=str(plan.target),
        verdict=verdict,
        why=_why(course, verdict),
        decided_by="lost-scan" if judgement.by_scan else _decider(decided_by),
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
        messages=(*_messages(plan, course, verdict), *garbage_messages(garbage)),
        checkpoints=course.checkpoints,
        checkpoint_share=course.checkpoint_share,
        lost_rows=course.lost_rows,
        started=course.started,
        python=str(interpreter),
        tolerance_bytes=plan.tolerance_bytes,
        output_tail=course.output[-_OUTPUT_TAIL_CHARACTERS:],
        audit=course.audit,
        garbage=garbage,
    )


def _with_caches(plan: ComponentPlan, course: Course) -> Judgement:
    """Take into account which caches hold what grows, as the process itself said after its last cycle."""
    sites = [
        (
            site.bytes_per_cycle,
            site.fate.account.cache if site.fate.state == "held" and not site.fate.kind else None,
            site.is_proven,
        )
        for site in course.tracked.sites
        if site.domain != MAPPING_DOMAIN
    ]
    return with_filling_caches(
        course.judgement,
        sites,
        cycles=course.iterations,
        n_min=course.judge.n_min or LARGEST_N_MIN,
        tolerance_bytes=plan.tolerance_bytes,
    )


def _garbage(course: Course) -> Garbage | None:
    """Return what collections of garbage find, with the lines that allocated the objects of a ring."""
    places, locate = course.tracked.places, Symbols(course.tracked.maps).frames
    return describe_garbage(
        course.testimony, course.most_garbage, lambda site: name_allocation(places.get(site), locate)
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


def _why(course: Course, verdict: Verdict) -> str:
    judgement = course.judgement
    if _is_fragmentation(course):
        why = f"{judgement.why.removeprefix('Unexplained growth: ')} {_FRAGMENTATION}"
        judgement = dataclasses.replace(judgement, why=why)
    if course.failure is not None:
        failure = course.failure
        where = f"in cycle {failure.cycle:,}" if failure.phase == "cycle" else f"in {failure.phase}"
        return f"The driver failed {where}: {failure.detail}. Until then {judgement.verdict.value}: {judgement.why}"
    if verdict is Verdict.LEAK and course.judge.n_min and not judgement.by_scan:
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


def _causes(course: Course, trace: Trace | None) -> tuple[Cause, ...]:
    """Return what the deciding counter says, unless the tracker knows the call sites, and then those sites.

    The other counters' growth is mostly the same leak seen again: a thread takes heap, heap takes RSS. Descriptors,
    threads and processes are told each by itself, with what they are and who opened them.
    """
    judgement = course.judgement
    decided_by = judgement.decided_by if judgement.verdict is Verdict.LEAK else None
    if _is_fragmentation(course):
        decided_by = judgement.decided_by
    sites: tuple[Cause, ...] = ()
    locate = Symbols(course.tracked.maps).frames
    if judgement.verdict is not Verdict.CLEAN:
        sites = causes_of_sites(
            course.tracked.sites,
            locate,
            gc_held_off=course.gc_held_off,
            advice=_ADVICE,
            memory=course.tracked.memory,
        )
    kind = "fragmentation" if _is_fragmentation(course) else SIGNALS[decided_by].kind if decided_by else None
    if decided_by is None or (sites and kind in ("native", "python-object")):
        return sites
    if kind == "mapping" and any(site.kind == kind for site in sites):
        return sites
    if decided_by in SIGNALS_OF_ITEMS:
        return (*_causes_of_items(course, locate), *sites)
    return (_cause_of_counter(decided_by, course, trace), *sites)


def _is_fragmentation(course: Course) -> bool:
    """Tell whether what grows, and was decided by, is memory that the allocators keep free: no mapping of anybody's."""
    return course.audit is not None and course.audit.fragmentation and course.judgement.decided_by in ("mapped", "rss")


def _causes_of_items(course: Course, locate: Locate) -> Iterator[Cause]:
    """Give the causes of every count that leaks; a process started with pipes takes descriptors too."""
    judgement = course.judgement
    for name in SIGNALS_OF_ITEMS:
        series = judgement.series.get(name)
        if series is not None and (name == judgement.decided_by or series.verdict is Verdict.LEAK):
            kind = SIGNALS[name].kind
            opened = [one for one in course.opened if one.item.kind == kind]
            yield from causes_of_opened(opened, locate, kind, series.rate or 0.0, series.since, _ADVICE[kind])


def _cause_of_counter(name: str, course: Course, trace: Trace | None) -> Cause:
    """Return the cause that a counter alone can tell; tracemalloc's second pass adds the line of Python objects."""
    signal, series = SIGNALS[name], course.judgement.series[name]
    kind, rate = "fragmentation" if _is_fragmentation(course) else signal.kind, series.rate or 0.0
    bytes_per_iteration = rate if signal.unit == "bytes" else None
    python_where = None
    stack: tuple[str, ...] = ()
    if name == "python_blocks":
        kind = "reference-cycle" if course.gc_held_off else kind
        if trace is not None and trace.bytes_per_iteration is not None:
            bytes_per_iteration = trace.bytes_per_iteration.rate
        if trace is not None and trace.top:
            python_where = Place(None, trace.top[0].file, trace.top[0].line)
            stack = tuple(f"{file}:{number}" for file, number in trace.top[0].stack)
    return Cause(
        kind=kind,
        confirmed=True,
        state="unknown",
        fingerprint=fingerprint(kind, None, python_where, None),
        bytes_per_iteration=bytes_per_iteration,
        blocks_per_iteration=rate if name == "python_blocks" else None,
        requested_size=None,
        every=None,
        since=series.since,
        where=None,
        python_where=python_where,
        stack=stack,
        held_by=(),
        type=None,
        advice=_FREE_ADVICE if _is_fragmentation(course) else _ADVICE[kind],
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
        every = "cycle" if planted.every == 1 else f"{planted.every:,} cycles"
        messages.append(f"A leak was planted: {planted.kind}:{planted.size}, every {every}.")
    if course.gc_held_off:
        messages.append("The component runs with gc disabled or frozen, so soak did not collect garbage for it either.")
    if course.tracked.state.active and not course.tracked.complete:
        messages.append(
            "The tracker ran out of room, so its ledger is not complete: it shows what grows, but that nothing else "
            "does rests on the counters."
        )
    if course.lost_rows:
        messages.append(f"{course.lost_rows} checkpoints were lost, because soak itself was held up.")
    if verdict is Verdict.CLEAN and plan.full_budget and course.stopped_by in ("budget", "signal"):
        messages.append(f"CLEAN so far, after {format_duration(course.seconds)}: a leak may still begin later.")
    if course.paused_s:
        hottest = f", for the machine came to {course.hottest_c:.0f} °C" if course.hottest_c is not None else ""
        messages.append(f"Stood still for {format_duration(course.paused_s)} in all{hottest}.")
    elif plan.max_temperature_c is not None and course.hottest_c is None:
        messages.append("No temperature could be read on this machine, so --max-temperature had no effect.")
    if course.pacing.missed_deadlines:
        messages.append(
            f"{course.pacing.missed_deadlines:,} deadlines missed; the worst start was "
            f"{format_duration(course.pacing.worst_lag_s)} late."
        )
    return tuple(messages)
