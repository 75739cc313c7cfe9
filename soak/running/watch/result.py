"""Put together what a watch found: the verdict, the signals, the causes, and what limits it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from soak.analysis.decision.outcome import Decision
from soak.analysis.evidence import LEDGER
from soak.analysis.outside import DECIDING, OutsideJudge
from soak.analysis.sites.garbage import MOST_FREE_TUPLES
from soak.attribution.causes import causes_of_sites, fingerprint, with_main_site
from soak.attribution.native.symbols import Symbols
from soak.grounds import GroundKind
from soak.measurements import SIGNALS, Role
from soak.native.layout import STATE_PYTHON_DOMAINS
from soak.results import Cause, ComponentResult, Failure, Growth, Pacing, RssAudit, SignalResult, TrackerState
from soak.running.component.reading.ledger_reader import Tracked
from soak.running.watch.descriptors import Descriptors
from soak.running.watch.judging.judge import TrackedProgram, WatchJudge
from soak.running.watch.judging.pace import WatchPace
from soak.running.watch.plan import WatchPlan
from soak.running.watch.subject import Subject
from soak.units import format_count, format_size
from soak.verdict import SeriesVerdict, Verdict

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
_NO_ROOM = "The tracker ran out of room. Its ledger shows what grows, but cannot show that nothing else grows."


@dataclass(frozen=True)
class Ending:
    """How a watch ended."""

    decision: Decision
    samples: int
    iterations: int
    """Samples or marks that count."""
    seconds: float
    stopped_by: str
    pacing: Pacing
    started: str
    """Date and time, ISO 8601."""
    failure: Failure | None
    restarted: str
    """A sentence about the program that it became, "" for none."""


def no_mark(names: Sequence[str]) -> str:
    """Say that none of the marks came that were asked for."""
    return _NO_MARK.format(names=", ".join(names))


def watch_result(
    subject: Subject, plan: WatchPlan, pace: WatchPace, judge: WatchJudge, descriptors: Descriptors, ending: Ending
) -> ComponentResult:
    """Return the result of a watch that has ended."""
    decision = ending.decision
    name, tracked = decision.decided_by, _tracked(subject, judge.program)
    deciding = decision.series.get(name or "")
    cycle_s = plan.every_s if ending.pacing.interval_s else ending.pacing.mean_period_s or 0.0
    signals, is_tracked = judge.signals, judge.program is not None
    return ComponentResult(
        name=subject.name,
        target=getattr(subject, "command", subject.name),
        verdict=decision.verdict,
        decided_by=_decided_by(decision),
        iterations=ending.iterations,
        seconds=ending.seconds,
        iterations_to_verdict=decision.decided_at,
        seconds_to_verdict=None if decision.decided_at is None else decision.decided_at * cycle_s,
        since=deciding.since if deciding else None,
        needed_iterations=decision.needed,
        n_min=pace.n_min,
        stopped_by=ending.stopped_by,
        gate=True,
        growth=_growth(name, decision.series),
        signals={name: _signal(name, series, signals, is_tracked) for name, series in decision.series.items()},
        causes=_causes(decision, tracked, descriptors),
        tracemalloc=None,
        tracker=tracked.state,
        pacing=ending.pacing,
        failure=ending.failure,
        messages=tuple(_messages(plan, pace, judge, tracked, descriptors, ending)),
        checkpoints=ending.samples + 1,
        started=ending.started,
        tolerance_bytes=plan.tolerance_bytes,
        grounds=decision.grounds,
        cycle_noun=pace.noun,
        labels=() if judge.program is None else judge.program.sites.labels,
        audit=_audit(decision, judge.program),
        pauses=None if plan.scans is None else plan.scans.pauses(),
    )


def _tracked(subject: Subject, program: TrackedProgram | None) -> Tracked:
    """Return what the tracker saw."""
    why_not = subject.why_not_tracked()
    if program is None:
        return Tracked(TrackerState(False, why_not), False, (), "")
    return program.sites.tracked(why_not)


def _audit(decision: Decision, program: TrackedProgram | None) -> RssAudit | None:
    """Return what a library maps and hands out itself, where that decided."""
    decides = decision.grounds[0].kind in (GroundKind.HIDDEN_MEMORY, GroundKind.STEADY_MAPPED)
    return program.counts.mapped.audit(program.ledger.locate) if decides and program is not None else None


def _signal(name: str, series: SeriesVerdict, judge: OutsideJudge, is_tracked: bool) -> SignalResult:
    signal = SIGNALS[name]
    role = signal.role if is_tracked or name not in DECIDING else Role.DECIDES
    first, last, readings = judge.first[name], judge.last[name], judge.readings[name]
    return SignalResult.of(series, signal.unit, role.value, first=first, last=last, readings=readings)


def _causes(decision: Decision, tracked: Tracked, descriptors: Descriptors) -> tuple[Cause, ...]:
    """Return the call sites that grow, and before them what a counter says that is not memory seen again."""
    sites: tuple[Cause, ...] = ()
    if decision.verdict is not Verdict.CLEAN:
        sites = causes_of_sites(tracked.sites, Symbols(tracked.maps).frames, gc_held_off=False, memory=tracked.memory)
    if decision.grounds[0].kind in (GroundKind.FEW_CYCLES, GroundKind.REPLACING):
        sites = tuple(replace(cause, confirmed=False) for cause in sites)  # each may be a cache
    name = decision.decided_by
    sites = with_main_site(sites, decision.leaking_bytes)
    if name is None or decision.verdict is not Verdict.LEAK or (sites and name in (*LEDGER, "rss", "mapped")):
        return sites
    return (*_cause_of_counter(name, decision.series[name], descriptors), *sites)


def _cause_of_counter(name: str, series: SeriesVerdict, descriptors: Descriptors) -> tuple[Cause, ...]:
    signal, rate = SIGNALS[name], series.rate or 0.0
    if name in ("rss", *LEDGER):
        return ()  # of which kind the memory is cannot be told from here
    kind, is_bytes = signal.kind, signal.unit == "bytes"
    return (
        Cause(
            kind=kind,
            confirmed=True,
            state="unknown",
            fingerprint=fingerprint(kind, None, None, None),
            bytes_per_iteration=rate if is_bytes else None,
            every=1 / rate if 0 < rate < 1 and not is_bytes else None,
            since=series.since,
            type=descriptors.most_grown() if name == "fds" else None,
        ),
    )


def _messages(
    plan: WatchPlan,
    pace: WatchPace,
    judge: WatchJudge,
    tracked: Tracked,
    descriptors: Descriptors,
    ending: Ending,
) -> Iterator[str]:
    yield from filter(None, (ending.restarted, descriptors.message()))
    program = judge.program
    if program is None:
        if ending.decision.decided_by in ("rss", "mapped"):
            yield _NO_PLACE
        return
    yield from _missing_marks(plan, pace)
    if program.sites.free_tuples.sites:
        yield _FREE_TUPLES.format(most=format_count(MOST_FREE_TUPLES))
    if pace.noun == "sample" and pace.quiet_samples:
        yield _QUIET.format(samples=format_count(pace.quiet_samples))
    if program.sites.scanner is not None:
        yield from program.sites.scanner.messages()
    if not tracked.complete:
        yield _NO_ROOM
    if judge.most_children and not plan.tree and not plan.follow:
        yield _CHILDREN
    if program.ledger.state & STATE_PYTHON_DOMAINS and "python" not in tracked.state.covers:
        yield _REPLACED
    if program.counts.falls.falls is not None:
        times, mean_bytes = program.counts.falls.falls
        yield _WAITS_FOR_COLLECTION.format(times=format_count(times), fall=format_size(mean_bytes))


def _missing_marks(plan: WatchPlan, pace: WatchPace) -> Iterator[str]:
    if pace.noun == "mark":
        return
    if pace.marks:
        yield _FEW_MARKS
    elif plan.marks:
        yield no_mark(plan.marks)


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
