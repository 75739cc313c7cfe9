"""Watch a process that knows nothing of soak: sample it at a steady pace, and judge while it runs.

It is only read, through /proc: nothing is attached, stopped or sent to it. A program that the watch starts has the
tracker in it as well, whose tables are read the same way.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Protocol

import numpy as np
import psutil

from soak.analysis.component import LARGEST_N_MIN, Judgement, with_leaking_sites
from soak.analysis.ledger import Suspect
from soak.analysis.outside import DECIDING, TRACKED, OutsideJudge
from soak.analysis.wording import RSS_LIMIT
from soak.attribution.causes import causes_of_sites, fingerprint
from soak.attribution.holders import UNSCANNED
from soak.attribution.symbols import Symbols
from soak.errors import UsageError
from soak.measurements import SIGNALS, Role
from soak.native.ledger import STATE_PYTHON_DOMAINS, Checkpoint
from soak.probes.outside import OutsideReader, open_reader
from soak.probes.tables import LiveTables
from soak.results import Cause, ComponentResult, Failure, Growth, Pacing, SignalResult, TrackerState
from soak.running.preloaded import PreloadedTracker
from soak.running.tracking import LedgerWatch, Tracked
from soak.units import format_count
from soak.verdict import SeriesVerdict, Verdict

SMALLEST_N_MIN, USUAL_N_MIN = 64, 256
_DESCRIBE_EVERY = 60
"""Samples between two looks at what the descriptors are: as many links to read as there are descriptors."""
_DETAILS_SHARE = 0.001
"""Part of the time that reading PSS and USS may take; a small process's are read at every sample."""
_COUNTS_S_PER_SAMPLE, _FREE_COUNTS_S_AT_1_HZ = 0.002, 0.05
"""Processor time that counting what is alive may take: for each sample, and once. 50,000 blocks take some 3 ms."""
_COUNTS_KEPT = 256
"""One sample in so many of what has passed is enough for the rule, and keeps what a long watch has in memory small."""
_LONGEST_FALL = 16
"""Counts that are held back at most."""
_PYTHON_DOMAINS = (1, 2)
_ENDS_WITHIN_S = 5.0
"""So long a process that has let go of its memory may take to end."""
FROM_OUTSIDE = "watched from outside"
"""Why there is no tracker in a process that was found."""
_ADVICE = {
    "native": "Memory from malloc is not given back: look there for a missing free.",
    "python-object": "Python objects stay: look there for a list, dict or cache that is added to, or a C extension "
    "that forgets a reference.",
    "thread": "Join the threads that the work starts, or keep one pool for all of it.",
    "child-process": "Wait for the processes it starts; a zombie keeps its place in the process table.",
    "file-descriptor": "Close what it opens, on the error path too.",
    "mapping": "Mappings are made and not unmapped, or an allocator of its own grows.",
}
_CHILDREN = "The tracker is in the program itself, not in the processes that it starts."
_REPLACED = "Python's own allocators were replaced (PYTHONMALLOC, -X dev), so objects have no line of their own."
_NO_PLACE = "From outside no place can be named: soak run or soak.check on the function that does the work finds it."


@dataclass(frozen=True)
class WatchPlan:
    """How to watch."""

    every_s: float
    duration_s: float | None
    """None: until the verdict stands (a process we found) or the program ends (one we started)."""
    tolerance_bytes: float
    n_min: int
    stop_at_leak: bool
    tree: bool = False
    """What is sampled is the program with all its descendants; the tracker is in the program alone."""
    n_min_marks: int | None = None
    """n_min for a program that marks its cycles; None: as many as come in ``n_min`` samples."""


def choose_samples(duration_s: float | None, every_s: float) -> int:
    """Return n_min, in samples: a quarter of what the duration has, within bounds; 256 where none is given."""
    if duration_s is None:
        return USUAL_N_MIN
    return int(min(max(duration_s / every_s / 4, SMALLEST_N_MIN), LARGEST_N_MIN))


class Subject(Protocol):
    """What is watched."""

    name: str

    def read(self) -> dict[str, float]:
        """Read all signals at once; empty when the process has ended."""

    def program(self) -> str:
        """Return what the process runs; another answer than before means that it has become another program."""

    def describe_fds(self) -> dict[str, int]:
        """Count descriptors by what they point to."""

    def has_huge_pages(self) -> bool:
        """Tell whether the kernel backs it with pages of 2 MiB."""

    def exit_status(self) -> int | None:
        """Return how it ended (negative: the signal), for a program of ours that has ended."""

    def tables(self) -> LiveTables | None:
        """Return the tracker's tables in the program that it is now, or None."""

    def why_not_tracked(self) -> str | None:
        """Return why there are no tables."""


class Process:
    """A process of this machine, alone or with all its descendants."""

    def __init__(
        self,
        pid: int,
        *,
        tree: bool,
        started: subprocess.Popen[bytes] | None = None,
        tracker: PreloadedTracker | str = FROM_OUTSIDE,
    ) -> None:
        """Find the process. Raises UsageError when there is none or nothing of it may be read.

        ``tracker``: what it was started with, or why there is none.
        """
        self.pid = pid
        self._tree = tree
        self._started = started
        self._tracker = tracker
        try:
            self._process = psutil.Process(pid)
            self._process.create_time()  # by which a later process of the same number is told from it
            self.name = self._process.name()
            command = " ".join(self._process.cmdline())
        except psutil.ZombieProcess:
            raise UsageError(f"process {pid} has ended: a zombie, for its parent has not waited for it") from None
        except psutil.NoSuchProcess:
            raise UsageError(f"there is no process {pid}") from None
        except psutil.AccessDenied:
            command = ""
        self.command = command or getattr(self, "name", f"process {pid}")
        self._readers: dict[int, OutsideReader] = {pid: open_reader(pid)}
        self._details_due_s = 0.0
        values = self.read()
        if not values:
            why = "it has no memory of its own, or it is not ours to read" if self._is_alive() else "it has ended"
            raise UsageError(f"process {pid} cannot be read: {why}")
        self.unreadable = [name for name in ("fds", "children", "pss") if name not in values]

    def read(self) -> dict[str, float]:
        """See Subject."""
        if not self._is_alive():
            return {}
        pids = [self.pid, *(_descendants(self.pid) if self._tree else ())]
        self._readers = {pid: self._readers.get(pid) or open_reader(pid) for pid in pids}
        sums = _sum(reader.read_counts() for reader in self._readers.values())
        if not sums.get("mapped"):
            return {}  # it is just ending
        begun_s = time.monotonic()
        if sums and begun_s >= self._details_due_s:
            sums = {**_sum(reader.read_details() for reader in self._readers.values()), **sums}
            # The kernel walks through all pages for it: 10 ms a GiB.
            self._details_due_s = begun_s + (time.monotonic() - begun_s) / _DETAILS_SHARE
        return sums

    def program(self) -> str:
        """See Subject."""
        with contextlib.suppress(OSError):
            return str(Path(f"/proc/{self.pid}/exe").readlink()).removesuffix(" (deleted)")
        with contextlib.suppress(psutil.Error):
            return self._process.name() if self._is_alive() else ""
        return ""

    def describe_fds(self) -> dict[str, int]:
        """See Subject."""
        return self._readers[self.pid].describe_fds()

    def has_huge_pages(self) -> bool:
        """See Subject."""
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii")
            return any(line.startswith("AnonHugePages:") and " 0 kB" not in line for line in rollup.splitlines())
        return False

    def exit_status(self) -> int | None:
        """See Subject."""
        if self._started is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._started.wait(_ENDS_WITHIN_S)
        return None

    def tables(self) -> LiveTables | None:
        """See Subject."""
        return None if isinstance(self._tracker, str) else self._tracker.tables()

    def why_not_tracked(self) -> str | None:
        """See Subject."""
        return self._tracker if isinstance(self._tracker, str) else self._tracker.reason

    def close(self) -> None:
        """Let go of it."""
        if not isinstance(self._tracker, str):
            self._tracker.close()

    def _is_alive(self) -> bool:
        if self._started is not None and self._started.poll() is not None:
            return False
        try:
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def _sum(readings: Iterable[dict[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for reading in readings:
        for name, value in reading.items():
            sums[name] = sums.get(name, 0.0) + value
    return sums


def _descendants(pid: int) -> Iterator[int]:
    if sys.platform != "linux":
        with contextlib.suppress(psutil.Error):
            yield from (child.pid for child in psutil.Process(pid).children(recursive=True))
        return
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - a plain name a thread, once a sample
            with contextlib.suppress(OSError):
                for child in Path(f"/proc/{pid}/task/{thread}/children").read_text(encoding="ascii").split():
                    yield int(child)
                    yield from _descendants(int(child))


class ScriptedSubject:
    """Gives prepared samples, then ends; for tests of what watches."""

    def __init__(self, samples: Iterable[dict[str, float]], *, status: int | None = None, programs: Sequence[str] = ()):
        self.name = "scripted"
        self._samples = iter(samples)
        self._status = status
        self._programs = iter(programs)
        self._program = "program"

    def read(self) -> dict[str, float]:
        """See Subject."""
        return next(self._samples, {})

    def program(self) -> str:
        """See Subject."""
        self._program = next(self._programs, self._program)
        return self._program

    def describe_fds(self) -> dict[str, int]:
        """See Subject."""
        return {}

    def has_huge_pages(self) -> bool:
        """See Subject."""
        return False

    def exit_status(self) -> int | None:
        """See Subject."""
        return self._status

    def tables(self) -> LiveTables | None:
        """See Subject."""
        return None

    def why_not_tracked(self) -> str | None:
        """See Subject."""
        return FROM_OUTSIDE


def start_program(
    command: Sequence[str], *, output_to_stderr: bool, tree: bool, library: Path | None, reason: str | None
) -> Process:
    """Start a program with our own streams and environment, and watch it. Raises UsageError when it does not start.

    ``library``: the tracker's, to be preloaded; None without, for ``reason``.
    """
    tracker = PreloadedTracker(library, os.environ) if library is not None else reason or "there is no library"
    preloaded = None if isinstance(tracker, str) else tracker
    try:
        environment = preloaded.environment if preloaded is not None else None
        started = subprocess.Popen(command, stdout=2 if output_to_stderr else None, env=environment)
        if preloaded is not None:
            preloaded.wait(started.pid)
        return Process(started.pid, tree=tree, started=started, tracker=tracker)
    except BaseException as error:
        if preloaded is not None:
            preloaded.close()
        if isinstance(error, OSError):
            raise UsageError(f"{command[0]!r} cannot be started: {error.strerror}") from error
        if isinstance(error, UsageError) and started.poll() is not None:
            raise UsageError(f"{command[0]!r} ended at once, with status {started.poll()}: nothing was seen") from None
        raise


class Watch:
    """One process's samples from the first to the verdict."""

    def __init__(
        self,
        subject: Subject,
        plan: WatchPlan,
        stopping: Event,
        *,
        on_sample: Callable[[int, dict[str, float], Judgement | None], None] = lambda *_: None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """Prepare. ``now`` and ``sleep`` are the clock; ``stopping`` ends the watch, never what is watched."""
        self._subject = subject
        self._plan = plan
        self._stopping = stopping
        self._on_sample = on_sample
        self._now = now
        self._sleep = sleep or stopping.wait
        self._messages: list[str] = []
        self._fds_at_start = self._fds_at_end = subject.describe_fds()

    def run(self) -> ComponentResult:
        """Sample until the verdict stands, the time is over, the process has ended, or ``stopping`` is set."""
        plan, subject = self._plan, self._subject
        started, begun_s = datetime.now(UTC).isoformat(timespec="seconds"), self._now()
        self._begin(0, subject.program(), subject.tables())
        sample, worst_lag_s, missed, standing = 0, 0.0, 0, None
        while True:
            values = subject.read()
            if not values:
                stopped_by = "ended"
                break
            self._restart_after_exec(sample)
            if self._take(sample, values):
                standing = self._judge_all()
            if sample == self._offset + 1:  # at the very start a program opens what it loads
                self._fds_at_start = subject.describe_fds() or self._fds_at_start
            if sample % _DESCRIBE_EVERY == _DESCRIBE_EVERY - 1:
                self._fds_at_end = subject.describe_fds() or self._fds_at_end
            self._on_sample(sample, values, standing)
            stopped_by = self._reason_to_stop(self._now() - begun_s, standing)
            if stopped_by:
                self._fds_at_end = subject.describe_fds() or self._fds_at_end
                break
            due_s = begun_s + (sample + 1) * plan.every_s
            self._sleep(max(0.0, due_s - self._now()))
            lag_s = max(0.0, self._now() - due_s)
            worst_lag_s = max(worst_lag_s, lag_s)
            skipped = int(lag_s / plan.every_s)
            missed += skipped
            sample += 1 + skipped
        seconds = self._now() - begun_s
        if stopped_by == "ended":
            del self._held[1:]
        self._add_held()
        judgement = self._judge_all(at_end=True)
        done = sample - self._offset if self._pace.noun == "sample" else self._pace.cycles
        # The cycles of a program that marks them are its own; ours are then only when it is looked at.
        interval_s = plan.every_s if self._pace.noun == "sample" else None
        mean_s = (seconds - self._offset * plan.every_s) / done if done else None
        pacing = Pacing(interval_s, mean_s, missed, worst_lag_s)
        return self._result(judgement, sample, done, seconds, stopped_by, pacing, started)

    def _begin(self, sample: int, program: str, tables: LiveTables | None) -> None:
        """Begin to judge what the process is now."""
        self._program, self._tables, self._offset = program, tables, sample
        self._pace = _Pace(self._plan, sample)
        self._begin_judging()

    def _begin_judging(self) -> None:
        tolerance = self._plan.tolerance_bytes
        self._judge = OutsideJudge(
            tolerance,
            self._pace.n_min,
            huge_pages=self._subject.has_huge_pages(),
            tracked=self._tables is not None,
        )
        tables = self._tables
        self._ledger = None if tables is None else LedgerWatch(lambda: tables, tables.pid, tolerance)
        self._suspects: list[Suspect] = []
        self._held: list[tuple[Checkpoint, int]] = []
        self._next_count, self._counting_s, self._most_children = 0, 0.0, 0.0

    def _take(self, sample: int, values: dict[str, float]) -> bool:
        """Take in a sample, and what is alive when that is due; return whether judging may say more than before."""
        tables = self._tables
        if self._pace.turn(sample, tables.marks() if tables is not None else 0):
            self._begin_judging()
        cycles = self._pace.cycles_at(sample)
        if cycles is None:
            return False
        self._most_children = max(self._most_children, values.get("children", 0.0))
        if tables is not None and "mapped" in values:
            values["mapped"] -= tables.own_mapped()
        if self._ledger is not None and sample >= self._next_count:
            self._count(self._ledger, sample, cycles)
        return self._judge.add(cycles, values)

    def _count(self, ledger: LedgerWatch, sample: int, cycles: int) -> None:
        """Count what is alive; later and later, and more rarely still where it takes long."""
        begun_s = time.process_time()
        checkpoint = ledger.look()
        if checkpoint is not None:
            falls = bool(self._held) and checkpoint.live_bytes < self._held[-1][0].live_bytes
            if not falls or len(self._held) == _LONGEST_FALL:
                self._add_held()
            self._held.append((checkpoint, cycles))
        took_s = time.process_time() - begun_s
        passed = sample - self._offset
        self._counting_s += took_s
        free_s = _FREE_COUNTS_S_AT_1_HZ / self._plan.every_s
        over_s = self._counting_s + took_s - free_s - _COUNTS_S_PER_SAMPLE * passed
        self._next_count = sample + max(1, passed // _COUNTS_KEPT, int(over_s / _COUNTS_S_PER_SAMPLE))

    def _add_held(self) -> None:
        """Take in the counts that were held back.

        While what is alive falls and falls the program may be at its end, where it gives everything back.
        """
        for checkpoint, cycles in self._held:
            self._add_count(checkpoint, cycles)
        self._held.clear()

    def _add_count(self, checkpoint: Checkpoint, cycles: int) -> None:
        ledger = self._ledger
        assert ledger is not None
        sums = ledger.take(checkpoint, cycles)
        if not ledger.is_complete:
            self._judge.distrust_ledger()
        self._judge.add(cycles, {name: sums[name] for name in TRACKED})

    def _judge_all(self, *, at_end: bool = False) -> Judgement:
        """Judge the signals, and the ledger's sites by themselves: a small leak hides under others' sawteeth."""
        judgement = self._judge.judge(at_end=at_end)
        if self._ledger is None:
            return self._in_words(judgement)
        self._suspects = self._ledger.suspects(self._pace.cycles, self._pace.n_min, at_end=at_end)
        judgement = with_leaking_sites(judgement, self._suspects, self._plan.tolerance_bytes)
        if judgement.verdict is Verdict.CLEAN and self._plan.tree and self._most_children:
            why = f"The program itself is clean. {_CHILDREN} {RSS_LIMIT}"
            judgement = replace(judgement, verdict=Verdict.INCONCLUSIVE, why=why, decided_by=None, standing=False)
        return self._in_words(judgement)

    def _in_words(self, judgement: Judgement) -> Judgement:
        return replace(judgement, why=judgement.why.replace("cycle", self._pace.noun))

    def _restart_after_exec(self, sample: int) -> None:
        tables = self._subject.tables()
        program = self._subject.program()  # last: it tells whether there was a process to have tables
        if not program or (program == self._program and tables is self._tables):
            return
        became = (
            f"the process became another program ({program})" if program != self._program else "the program began anew"
        )
        if program != self._program or self._tables is not None:
            # Of a chain of them only the last matters.
            self._messages = [f"At sample {sample} {became}; judged is what came after."]
        self._begin(sample, program, tables)

    def _reason_to_stop(self, elapsed_s: float, standing: Judgement | None) -> str:
        if self._stopping.is_set():
            return "signal"
        if self._plan.duration_s is not None and elapsed_s >= self._plan.duration_s:
            return "budget"
        leaks = standing is not None and standing.verdict is Verdict.LEAK
        return "verdict" if leaks and self._plan.stop_at_leak else ""

    def _result(
        self,
        judgement: Judgement,
        samples: int,
        done: int,
        seconds: float,
        stopped_by: str,
        pacing: Pacing,
        started: str,
    ) -> ComponentResult:
        failure = self._failure(done, stopped_by)
        name = judgement.decided_by
        deciding = judgement.series.get(name or "")
        tracked = self._tracked()
        cycle_s = self._plan.every_s if pacing.interval_s else pacing.mean_period_s or 0.0
        return ComponentResult(
            name=self._subject.name,
            target=getattr(self._subject, "command", self._subject.name),
            verdict=Verdict.FAILED if failure is not None else judgement.verdict,
            why=judgement.why
            if failure is None
            else f"The program failed: {failure.detail}. Until then {judgement.verdict}: {judgement.why}",
            decided_by=None if name is None else "ledger" if name in TRACKED else f"counter:{name}",
            iterations=done,
            seconds=seconds,
            iterations_to_verdict=judgement.decided_at,
            seconds_to_verdict=None if judgement.decided_at is None else judgement.decided_at * cycle_s,
            since=deciding.since if deciding else None,
            needed_iterations=judgement.needed,
            n_min=self._pace.n_min,
            stopped_by=stopped_by,
            gate=True,
            growth=_growth(name, judgement.series),
            signals={name: self._signal(name, series) for name, series in judgement.series.items()},
            causes=self._causes(judgement, tracked),
            tracemalloc=None,
            tracker=tracked.state,
            pacing=pacing,
            failure=failure,
            messages=(*self._messages, *self._fd_message(), *self._limits(name, tracked)),
            checkpoints=samples + 1,
            started=started,
            tolerance_bytes=self._plan.tolerance_bytes,
        )

    def _failure(self, samples: int, stopped_by: str) -> Failure | None:
        status = self._subject.exit_status() if stopped_by == "ended" else None
        if not status:
            return None
        detail = f"it ended with status {status}" if status > 0 else f"it was ended by signal {-status}"
        return Failure("cycle", samples, "exit" if status > 0 else "signal", detail)

    def _signal(self, name: str, series: SeriesVerdict) -> SignalResult:
        signal = SIGNALS[name]
        return SignalResult(
            unit=signal.unit,
            per_iteration=series.rate,
            low=series.low,
            high=series.high,
            verdict=series.verdict,
            role=(signal.role if self._tables is not None or name not in DECIDING else Role.DECIDES).value,
            reason=series.reason,
            first=self._judge.first[name],
            last=self._judge.last[name],
            readings=self._judge.readings[name],
            since=series.since,
            decided_at=series.decided_at,
            judged_at=series.judged_at,
            needed=series.needed,
        )

    def _tracked(self) -> Tracked:
        """Return what the tracker saw."""
        if self._ledger is None:
            return Tracked(TrackerState(False, self._subject.why_not_tracked()), False, (), "")
        tracked = self._ledger.finish(self._suspects, self._subject.why_not_tracked(), lambda _: UNSCANNED, None)
        latest = self._ledger.latest
        if latest is not None and not np.isin(latest.rows["domain"], _PYTHON_DOMAINS).any():
            covers = tuple(name for name in tracked.state.covers if name != "python")
            tracked = replace(tracked, state=replace(tracked.state, covers=covers))
        return tracked

    def _causes(self, judgement: Judgement, tracked: Tracked) -> tuple[Cause, ...]:
        """Return the call sites that grow, and before them what a counter says that is not memory seen again."""
        sites: tuple[Cause, ...] = ()
        if judgement.verdict is not Verdict.CLEAN:
            sites = causes_of_sites(tracked.sites, Symbols(tracked.maps).locate, gc_held_off=False, advice=_ADVICE)
        name = judgement.decided_by
        if name is None or judgement.verdict is not Verdict.LEAK or (sites and name in (*TRACKED, "rss", "mapped")):
            return sites
        return (*self._cause_of_counter(name, judgement.series[name]), *sites)

    def _cause_of_counter(self, name: str, series: SeriesVerdict) -> tuple[Cause, ...]:
        signal, rate = SIGNALS[name], series.rate or 0.0
        if name in ("rss", *TRACKED):
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
                blocks_per_iteration=None,
                requested_size=None,
                every=1 / rate if 0 < rate < 1 and signal.unit != "bytes" else None,
                since=series.since,
                where=None,
                python_where=None,
                stack=(),
                held_by=(),
                type=max(grown, key=lambda what: grown[what], default=None) if name == "fds" else None,
                advice=_ADVICE[kind],
            ),
        )

    def _limits(self, name: str | None, tracked: Tracked) -> Iterator[str]:
        if self._ledger is None:
            if name in ("rss", "mapped"):
                yield _NO_PLACE
            return
        if not tracked.complete:
            yield "The tracker ran out of room, so its ledger shows what grows, but not that nothing else does."
        if self._most_children and not self._plan.tree:
            yield _CHILDREN
        if self._ledger.state & STATE_PYTHON_DOMAINS and "python" not in tracked.state.covers:
            yield _REPLACED

    def _fd_message(self) -> Iterator[str]:
        kinds = sorted(self._fds_at_start.keys() | self._fds_at_end.keys())
        changed = [
            f"{kind} {format_count(self._fds_at_start.get(kind, 0))} → {format_count(self._fds_at_end.get(kind, 0))}"
            for kind in kinds
            if self._fds_at_start.get(kind, 0) != self._fds_at_end.get(kind, 0)
        ]
        if changed:
            yield f"File descriptors by kind: {', '.join(changed[:8])}."


def _growth(name: str | None, series: Mapping[str, SeriesVerdict]) -> Growth | None:
    if name is None:
        return None
    deciding = series[name]
    # Of the ledger the bytes say more than the blocks.
    in_bytes = series["tracked"] if name in TRACKED else deciding if SIGNALS[name].unit == "bytes" else None
    requested = name in TRACKED
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


class _Pace:
    """What a cycle is: a sample, until the program marks its own."""

    def __init__(self, plan: WatchPlan, first_sample: int) -> None:
        self._plan = plan
        self._first = first_sample
        self._seen: tuple[int, int] | None = None
        self._marks = 0
        self._is_new = True
        self.noun = "sample"
        self.n_min = plan.n_min
        self.cycles = 0
        """Since judging began."""

    def turn(self, sample: int, marks: int) -> bool:
        """See how many marks there are by now; return whether the cycles are marks from here on.

        Not at the first marks: how many there are to a sample is what n_min follows from.
        """
        self._is_new = marks > self._marks
        self._marks = marks
        if self.noun == "mark" or not marks:
            return False
        if self._seen is None:
            self._seen = (sample, marks)
            return False
        if marks <= self._seen[1]:
            return False
        pace = (marks - self._seen[1]) / (sample - self._seen[0])
        chosen = min(max(int(self._plan.n_min * pace), SMALLEST_N_MIN), LARGEST_N_MIN)
        self.n_min = self._plan.n_min_marks or chosen
        self.noun, self._first = "mark", marks
        return True

    def cycles_at(self, sample: int) -> int | None:
        """Return the cycles since judging began; None when none has passed since the sample before."""
        if self.noun == "mark":
            if not self._is_new:
                return None
            self.cycles = self._marks - self._first
        elif self._marks:
            return None  # it has just begun to mark
        else:
            self.cycles = sample - self._first
        return self.cycles
