"""Watch a process that knows nothing of soak: sample it at a steady pace, and judge while it runs.

It is only read, through /proc: nothing is attached, stopped or sent to it. A program that the watch starts has the
tracker in it as well, whose tables are read the same way. Where scans are allowed (``--scan``), the tracker makes
copies of the program, and these are read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event

from soak.analysis.decision.outcome import Decision
from soak.probes.ledgers.tables import WatchedTables
from soak.results import ComponentResult, Failure, Pacing
from soak.running.watch.descriptors import Descriptors
from soak.running.watch.judging.judge import WatchJudge
from soak.running.watch.judging.pace import WatchPace
from soak.running.watch.plan import WatchPlan
from soak.running.watch.record import WatchRecord
from soak.running.watch.result import Ending, watch_result
from soak.running.watch.subject import CPU_S, Subject
from soak.running.watch.work_marks import WorkMarks
from soak.verdict import Verdict


class Watch:
    """One process's samples from the first to the verdict."""

    def __init__(
        self,
        subject: Subject,
        plan: WatchPlan,
        stopping: Event,
        *,
        on_sample: Callable[[int, dict[str, float], Decision | None], None] = lambda *_: None,
        record: WatchRecord | None = None,
        work: WorkMarks | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """Prepare. ``now`` and ``sleep`` are the clock; ``stopping`` ends the watch, never what is watched.

        ``record`` gets all that is read. ``work``: the marks of all processes that are watched together.
        """
        self._subject = subject
        self._plan = plan
        self._stopping = stopping
        self._on_sample = on_sample
        self._record = record
        self._work = work or WorkMarks()
        self._now = now
        self._sleep = sleep or stopping.wait
        self._restarted = ""
        self._descriptors = Descriptors(subject.describe_fds, plan.every_s, now)

    def run(self) -> ComponentResult:
        """Sample until the verdict stands, the time is over, the process has ended, or ``stopping`` is set."""
        plan, subject, descriptors = self._plan, self._subject, self._descriptors
        started, begun_s = datetime.now(UTC).isoformat(timespec="seconds"), self._now()
        self._begun_s = begun_s
        self._begin(0, subject.program(), subject.tables())
        sample, worst_lag_s, missed, standing = 0, 0.0, 0, None
        while True:
            values = subject.read()
            if not values:
                stopped_by = "ended"
                break
            self._restart_after_exec(sample)
            if self._take(sample, values):
                standing = self._judge.decide()
            if sample == self._offset + 1:
                descriptors.look_at_start()
            descriptors.look_when_due()
            self._on_sample(sample, values, standing)
            stopped_by = self._reason_to_stop(self._now() - begun_s, standing)
            if stopped_by:
                descriptors.look_at_end()
                self._judge.look_at_leaks_once_more()
                break
            due_s = begun_s + (sample + 1) * plan.every_s
            self._sleep(max(0.0, due_s - self._now()))
            lag_s = max(0.0, self._now() - due_s)
            worst_lag_s = max(worst_lag_s, lag_s)
            skipped = int(lag_s / plan.every_s)
            missed += skipped
            sample += 1 + skipped
        self._judge.finish(has_ended=stopped_by == "ended")
        return self._result(started, sample, self._now() - begun_s, stopped_by, missed, worst_lag_s)

    def _result(
        self, started: str, sample: int, seconds: float, stopped_by: str, missed: int, worst_lag_s: float
    ) -> ComponentResult:
        is_by_sample, samples = self._pace.noun == "sample", sample - self._offset
        done = samples - self._pace.quiet_samples if is_by_sample else self._pace.cycles
        # The cycles of a program that marks them are its own; ours are then only when it is looked at.
        interval_s = self._plan.every_s if is_by_sample else None
        mean_s = (seconds - self._offset * self._plan.every_s) / done if done else None
        failure = self._failure(done, stopped_by)
        ending = Ending(
            decision=self._judge.decide(is_last=True, failed=failure is not None),
            samples=sample,
            iterations=done,
            seconds=seconds,
            stopped_by=stopped_by,
            pacing=Pacing(interval_s, mean_s, missed, worst_lag_s),
            started=started,
            failure=failure,
            restarted=self._restarted,
        )
        return watch_result(self._subject, self._plan, self._pace, self._judge, self._descriptors, ending)

    def _begin(self, sample: int, program: str, tables: WatchedTables | None) -> None:
        """Begin to judge what the process is now."""
        self._program, self._tables, self._offset = program, tables, sample
        self._pace = WatchPace(self._plan, sample, tracked=tables is not None)
        self._judge = self._new_judge()

    def _new_judge(self) -> WatchJudge:
        if self._record is not None:
            self._record.begin()
        huge_pages = self._subject.has_huge_pages()
        return WatchJudge(self._plan, self._pace, self._tables, huge_pages=huge_pages, keep=self._keep, now=self._now)

    def _take(self, sample: int, values: dict[str, float]) -> bool:
        """Take in a sample; return whether judging may say more than before."""
        tables = self._tables
        marks = 0 if tables is None else tables.marks()
        self._work.note(self, marks)
        if tables is not None and self._pace.turn(sample, marks):
            self._judge.give_up()
            self._judge = self._new_judge()
            tables.count_births_from(self._pace.first_mark)
        is_quiet = self._judge.is_quiet(sample, values.pop(CPU_S, None))
        cycles = self._pace.cycles_at(sample, is_quiet=is_quiet)
        return cycles is not None and self._judge.take(cycles, values, self._work.of_others(self))

    def _keep(self, cycles: int, values: dict[str, float]) -> None:
        if self._record is not None:
            self._record.add(cycles, self._now() - self._begun_s, values)

    def _restart_after_exec(self, sample: int) -> None:
        tables = self._subject.tables()
        program = self._subject.program()  # last: it tells whether there was a process to have tables
        if not program or (program == self._program and tables is self._tables):
            return
        became = (
            f"the process became another program ({program})" if program != self._program else "the program restarted"
        )
        if program != self._program or self._tables is not None:
            # Of a chain of them only the last matters.
            self._restarted = f"At sample {sample} {became}; the verdict is for the samples after that."
        self._judge.give_up()
        self._begin(sample, program, tables)

    def _reason_to_stop(self, elapsed_s: float, standing: Decision | None) -> str:
        if self._stopping.is_set():
            return "signal"
        if self._plan.duration_s is not None and elapsed_s >= self._plan.duration_s:
            return "budget"
        leaks = standing is not None and standing.verdict is Verdict.LEAK
        return "verdict" if leaks and self._plan.stop_at_leak else ""

    def _failure(self, cycles: int, stopped_by: str) -> Failure | None:
        status = self._subject.exit_status() if stopped_by == "ended" else None
        if not status:
            return None
        detail = f"it ended with status {status}" if status > 0 else f"it was ended by signal {-status}"
        return Failure("cycle", cycles, "exit" if status > 0 else "signal", detail)
