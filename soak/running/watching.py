"""Watch a process that knows nothing of soak: sample its outside at a steady pace, and judge while it runs.

It is only read, through /proc: nothing is attached, stopped or sent to it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Protocol

import psutil

from soak.analysis.component import LARGEST_N_MIN, Judgement
from soak.analysis.outside import DECIDING, OutsideJudge
from soak.attribution.causes import fingerprint
from soak.attribution.opened import StillOpen, causes_of_opened, name_groups
from soak.attribution.symbols import Symbols
from soak.errors import UsageError
from soak.measurements import SIGNALS, Role
from soak.probes.opened import DESCRIPTOR, Inventory, OpenItem, describe_new, read_inventory
from soak.probes.outside import OutsideReader, open_reader
from soak.results import Cause, ComponentResult, Failure, Growth, Pacing, SignalResult, TrackerState
from soak.units import format_count
from soak.verdict import SeriesVerdict, Verdict

SMALLEST_N_MIN, USUAL_N_MIN = 64, 256
_DESCRIBE_EVERY = 60
"""Samples between two looks at what it has open: as many links to read as there are descriptors."""
_DETAILS_SHARE = 0.001
"""Part of the time that reading PSS and USS may take; a small process's are read at every sample."""
_ADVICE = {
    "thread": "Join the threads that the work starts, or keep one pool for all of it.",
    "child-process": "Wait for the processes it starts; a zombie keeps its place in the process table.",
    "file-descriptor": "Close what it opens, on the error path too.",
    "mapping": "Mappings are made and not unmapped, or an allocator of its own grows.",
}
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

    def inventory(self) -> Inventory:
        """List what it has open."""

    def describe_new(self, before: Inventory) -> tuple[OpenItem, ...]:
        """Return what it has open now and had not ``before``."""

    def has_huge_pages(self) -> bool:
        """Tell whether the kernel backs it with pages of 2 MiB."""

    def exit_status(self) -> int | None:
        """Return how it ended (negative: the signal), for a program of ours that has ended."""


class Process:
    """A process of this machine, alone or with all its descendants."""

    def __init__(self, pid: int, *, tree: bool, started: subprocess.Popen[bytes] | None = None) -> None:
        """Find the process. Raises UsageError when there is none or nothing of it may be read."""
        self.pid = pid
        self._tree = tree
        self._started = started
        try:
            self._process = psutil.Process(pid)
            self._process.create_time()  # by which a later process of the same number is told from it
            self.name = self._process.name()
            command = " ".join(self._process.cmdline())
        except psutil.NoSuchProcess:
            raise UsageError(f"there is no process {pid}") from None
        except psutil.AccessDenied:
            command = ""
        self.command = command or getattr(self, "name", f"process {pid}")
        self._readers: dict[int, OutsideReader] = {pid: open_reader(pid)}
        self._details_due_s = 0.0
        values = self.read()
        if not values:
            raise UsageError(f"process {pid} cannot be read: it has ended, or it is not ours to read")
        self.unreadable = [name for name in ("fds", "children", "pss") if name not in values]

    def read(self) -> dict[str, float]:
        """See Subject."""
        if not self._is_alive():
            return {}
        pids = [self.pid, *(_descendants(self.pid) if self._tree else ())]
        self._readers = {pid: self._readers.get(pid) or open_reader(pid) for pid in pids}
        sums = _sum(reader.read_counts() for reader in self._readers.values())
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
            return psutil.Process(self.pid).name()
        return ""

    def inventory(self) -> Inventory:
        """See Subject."""
        return read_inventory(self.pid)

    def describe_new(self, before: Inventory) -> tuple[OpenItem, ...]:
        """See Subject."""
        return describe_new(self.pid, before)

    def has_huge_pages(self) -> bool:
        """See Subject."""
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii")
            return any(line.startswith("AnonHugePages:") and " 0 kB" not in line for line in rollup.splitlines())
        return False

    def exit_status(self) -> int | None:
        """See Subject."""
        return None if self._started is None else self._started.poll()

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

    def inventory(self) -> Inventory:
        """See Subject."""
        return Inventory()

    def describe_new(self, before: Inventory) -> tuple[OpenItem, ...]:  # noqa: ARG002 - it has nothing open
        """See Subject."""
        return ()

    def has_huge_pages(self) -> bool:
        """See Subject."""
        return False

    def exit_status(self) -> int | None:
        """See Subject."""
        return self._status


def start_program(command: Sequence[str], *, output_to_stderr: bool, tree: bool) -> Process:
    """Start a program with our own streams and environment, and watch it. Raises UsageError when it does not start."""
    try:
        started = subprocess.Popen(command, stdout=2 if output_to_stderr else None)
    except OSError as error:
        raise UsageError(f"{command[0]!r} cannot be started: {error.strerror}") from error
    return Process(started.pid, tree=tree, started=started)


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
        self._opened: tuple[OpenItem, ...] = ()

    def run(self) -> ComponentResult:
        """Sample until the verdict stands, the time is over, the process has ended, or ``stopping`` is set."""
        plan, subject = self._plan, self._subject
        started, begun_s = datetime.now(UTC).isoformat(timespec="seconds"), self._now()
        self._begin(subject.program())
        sample, worst_lag_s, missed, standing = 0, 0.0, 0, None
        while True:
            values = subject.read()
            if not values:
                stopped_by = "ended"
                break
            self._restart_after_exec(sample)
            if self._judge.add(sample - self._offset, values):
                standing = self._judge.judge()
            if sample % _DESCRIBE_EVERY == _DESCRIBE_EVERY - 1:
                self._opened = subject.describe_new(self._before) or self._opened
            self._on_sample(sample, values, standing)
            stopped_by = self._reason_to_stop(self._now() - begun_s, standing)
            if stopped_by:
                break
            due_s = begun_s + (sample + 1) * plan.every_s
            self._sleep(max(0.0, due_s - self._now()))
            lag_s = max(0.0, self._now() - due_s)
            worst_lag_s = max(worst_lag_s, lag_s)
            skipped = int(lag_s / plan.every_s)
            missed += skipped
            sample += 1 + skipped
        seconds = self._now() - begun_s
        self._opened = subject.describe_new(self._before) or self._opened
        judgement = self._judge.judge(at_end=True)
        pacing = Pacing(plan.every_s, seconds / sample if sample else None, missed, worst_lag_s)
        return self._result(judgement, sample, seconds, stopped_by, pacing, started)

    def _begin(self, program: str) -> None:
        self._program = program
        self._offset = 0
        self._before, self._opened = self._subject.inventory(), ()
        self._judge = OutsideJudge(
            self._plan.tolerance_bytes, self._plan.n_min, huge_pages=self._subject.has_huge_pages()
        )

    def _restart_after_exec(self, sample: int) -> None:
        program = self._subject.program()
        if program == self._program or not program:
            return
        self._messages.append(
            f"At sample {sample} the process became another program ({program}); judged is what came after."
        )
        self._begin(program)
        self._offset = sample

    def _reason_to_stop(self, elapsed_s: float, standing: Judgement | None) -> str:
        if self._stopping.is_set():
            return "signal"
        if self._plan.duration_s is not None and elapsed_s >= self._plan.duration_s:
            return "budget"
        leaks = standing is not None and standing.verdict is Verdict.LEAK
        return "verdict" if leaks and self._plan.stop_at_leak else ""

    def _result(
        self, judgement: Judgement, samples: int, seconds: float, stopped_by: str, pacing: Pacing, started: str
    ) -> ComponentResult:
        failure = self._failure(samples, stopped_by)
        name = judgement.decided_by
        deciding = judgement.series.get(name or "")
        return ComponentResult(
            name=self._subject.name,
            target=getattr(self._subject, "command", self._subject.name),
            verdict=Verdict.FAILED if failure is not None else judgement.verdict,
            why=judgement.why
            if failure is None
            else f"The program failed: {failure.detail}. Until then: {judgement.verdict}, {judgement.why}",
            decided_by=None if name is None else f"counter:{name}",
            iterations=samples - self._offset,
            seconds=seconds,
            iterations_to_verdict=judgement.decided_at,
            seconds_to_verdict=None if judgement.decided_at is None else judgement.decided_at * self._plan.every_s,
            since=deciding.since if deciding else None,
            needed_iterations=judgement.needed,
            n_min=self._plan.n_min,
            stopped_by=stopped_by,
            gate=True,
            growth=_growth(name, deciding),
            signals={name: self._signal(name, series) for name, series in judgement.series.items()},
            causes=self._causes(name, deciding) if judgement.verdict is Verdict.LEAK else (),
            tracemalloc=None,
            tracker=TrackerState(False, "watched from outside"),
            pacing=pacing,
            failure=failure,
            messages=(
                *self._messages,
                *self._opened_message(name),
                *([_NO_PLACE] if name in ("rss", "mapped") else []),
            ),
            checkpoints=samples + 1,
            started=started,
            tolerance_bytes=self._plan.tolerance_bytes,
        )

    def _failure(self, samples: int, stopped_by: str) -> Failure | None:
        status = self._subject.exit_status()
        if stopped_by != "ended" or not status:
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
            role=(Role.DECIDES if name in DECIDING else signal.role).value,
            reason=series.reason,
            first=self._judge.first[name],
            last=self._judge.last[name],
            readings=self._judge.readings[name],
            since=series.since,
            decided_at=series.decided_at,
            needed=series.needed,
        )

    def _causes(self, name: str | None, series: SeriesVerdict | None) -> tuple[Cause, ...]:
        assert name is not None
        assert series is not None
        signal, rate = SIGNALS[name], series.rate or 0.0
        if name == "rss":
            return ()  # of which kind the memory is cannot be told from here
        kind = signal.kind
        if signal.unit != "bytes":
            opened = [StillOpen(item) for item in self._opened if item.kind == kind]
            return causes_of_opened(opened, Symbols("").locate, kind, rate, series.since, _ADVICE[kind])
        return (
            Cause(
                kind=kind,
                confirmed=True,
                state="unknown",
                fingerprint=fingerprint(kind, None, None, None),
                bytes_per_iteration=rate,
                blocks_per_iteration=None,
                requested_size=None,
                every=None,
                since=series.since,
                where=None,
                python_where=None,
                stack=(),
                held_by=(),
                type=None,
                advice=_ADVICE[kind],
            ),
        )

    def _opened_message(self, decided_by: str | None) -> Iterator[str]:
        groups = name_groups([item for item in self._opened if item.kind == DESCRIPTOR])
        if groups and decided_by != "fds":  # else the cause says it
            told = ", ".join(f"{format_count(group.count)} × {group.kind} {group.name}".rstrip() for group in groups)
            yield f"Open at the end and not at the beginning: {told}."


def _growth(name: str | None, series: SeriesVerdict | None) -> Growth | None:
    if name is None or series is None:
        return None
    in_bytes = SIGNALS[name].unit == "bytes"
    rate = series.rate if in_bytes else None
    return Growth(
        signal=name,
        measures="allocated" if in_bytes else None,
        bytes_per_iteration=rate,
        low=series.low if in_bytes else None,
        high=series.high if in_bytes else None,
        requested_bytes_per_iteration=None,
        allocated_bytes_per_iteration=rate,
        unit=SIGNALS[name].unit,
        per_iteration=series.rate,
    )
