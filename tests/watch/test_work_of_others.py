"""A process that only waits for others may keep as much for each of their marks as they may."""

from __future__ import annotations

import threading
from collections.abc import Collection

import pytest
from worker_builder import Supervisor

from soak.reporting.words import why_words
from soak.results import ComponentResult
from soak.running.watch.plan import WatchPlan
from soak.running.watch.watch import Watch
from soak.running.watch.work_marks import WorkMarks
from soak.verdict import Verdict

SAMPLES = 1200


class Supervised:
    """A scripted process, and workers that mark so often at each sample of it."""

    name = "server"

    def __init__(self, supervisor: Supervisor, work: WorkMarks, marks_per_sample: float) -> None:
        self._supervisor, self._work, self._marks_per_sample = supervisor, work, marks_per_sample
        self._samples = 0

    def read(self) -> dict[str, float]:
        self._samples += 1
        if self._samples > SAMPLES:
            return {}
        self._work.note("workers", int(self._samples * self._marks_per_sample))
        return {"rss": 1e7, "mapped": 1e7, "fds": 5.0, "threads": 1.0, "children": 2.0}

    def program(self) -> str:
        return self.name

    def describe_fds(self) -> dict[str, int]:
        return {}

    def has_huge_pages(self) -> bool:
        return False

    def exit_status(self) -> int | None:
        return 0

    def tables(self) -> Supervisor:
        return self._supervisor

    def why_not_tracked(self) -> str | None:
        return None


def watch(kept_at: Collection[int], size_bytes: int, marks_per_sample: float) -> ComponentResult:
    plan = WatchPlan(0.1, 120.0, 1.0, n_min=None, stop_at_leak=False, follow=True, marks=("wsgi",))
    work, stopping = WorkMarks(), threading.Event()
    subject = Supervised(Supervisor(kept_at, size_bytes), work, marks_per_sample)
    now_s = [0.0]

    def sleep(duration_s: float) -> None:
        now_s[0] += duration_s

    return Watch(subject, plan, stopping, work=work, now=lambda: now_s[0], sleep=sleep).run()


def test_what_is_kept_once_is_little_beside_a_thousand_requests():
    busy, idle = watch([400], 1748, 10), watch([400], 1748, 0)

    assert (busy.verdict, idle.verdict) == (Verdict.CLEAN, Verdict.INCONCLUSIVE)
    assert "The tolerance is 1 B per mark of the other processes, which is 10 B per sample." in why_words(busy)


@pytest.mark.parametrize("marks_per_sample", [1, 10])
def test_what_is_kept_for_each_request_is_no_less_of_a_leak_in_the_process_that_only_waits(marks_per_sample: int):
    leaking = watch(range(1, SAMPLES), 2 * marks_per_sample, marks_per_sample)

    assert leaking.verdict is not Verdict.CLEAN


def test_growth_that_samples_show_stands_against_clean_also_where_it_is_little_for_each_request():
    assert watch(range(1, SAMPLES), 400, 1000).verdict is not Verdict.CLEAN
