"""What a watch says of scripted processes: exact counts, no clock."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from soak.probes.ledgers.tables import LiveTables
from soak.reporting.commands.watch import render_watch
from soak.reporting.outcome import EXIT_CODES
from soak.reporting.words import why_words
from soak.results import WATCHED_FROM_OUTSIDE, ComponentResult
from soak.running.watch.judging.counts import BlockCounts
from soak.running.watch.judging.pace import WatchPace
from soak.running.watch.plan import WatchPlan
from soak.running.watch.watch import Watch
from soak.verdict import Verdict

N_MIN = 256
PAGE = 4096


class Clock:
    """A clock that moves only in sleep; a test can make it move too far."""

    def __init__(self, late_s: dict[int, float] | None = None) -> None:
        self.now_s = 0.0
        self._late_s = late_s or {}
        self._sleeps = 0

    def now(self) -> float:
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        self._sleeps += 1
        self.now_s += duration_s + self._late_s.get(self._sleeps, 0.0)


class ScriptedSubject:
    """Gives prepared samples, then ends."""

    def __init__(self, samples: Iterable[dict[str, float]], *, status: int | None = None, programs: Sequence[str] = ()):
        self.name = "scripted"
        self._samples = iter(samples)
        self._status = status
        self._programs = iter(programs)
        self._program = "program"

    def read(self) -> dict[str, float]:
        return next(self._samples, {})

    def program(self) -> str:
        self._program = next(self._programs, self._program)
        return self._program

    def describe_fds(self) -> dict[str, int]:
        return {}

    def has_huge_pages(self) -> bool:
        return False

    def exit_status(self) -> int | None:
        return self._status

    def tables(self) -> LiveTables | None:
        return None

    def why_not_tracked(self) -> str | None:
        return WATCHED_FROM_OUTSIDE


def watch(samples: Iterable[dict[str, float]], clock: Clock | None = None, **changes) -> ComponentResult:
    subject_changes = {name: changes.pop(name) for name in ("status", "programs") if name in changes}
    plan = WatchPlan(**{"every_s": 1.0, "duration_s": None, "tolerance_bytes": 1.0, "n_min": N_MIN,
                        "stop_at_leak": True} | changes)  # fmt: skip
    clock = clock or Clock()
    subject = ScriptedSubject(samples, **subject_changes)
    return Watch(subject, plan, threading.Event(), now=clock.now, sleep=clock.sleep).run()


def steady(count: int, **series) -> list[dict[str, float]]:
    quiet = {"rss": 50.0 * PAGE, "mapped": 900.0 * PAGE, "threads": 1.0, "children": 0.0, "fds": 5.0}
    return [{**quiet, **{name: value(n) for name, value in series.items()}} for n in range(count)]


def resident(bytes_in_use: float) -> float:
    """Give RSS of that much: whole pages."""
    return -(-bytes_in_use // PAGE) * PAGE


def test_a_leak_of_100_bytes_a_sample_is_found_from_rss_alone():
    """Pages come one in 41 samples: the rule needs eight of them in each window."""
    result = watch(steady(16_384, rss=lambda n: resident(1e6 + 100 * n)), n_min=2048)

    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "counter:rss")
    assert result.growth is not None
    assert result.growth.bytes_per_iteration == pytest.approx(100, rel=0.05)
    assert result.iterations in (2048, 4096)
    assert result.stopped_by == "verdict"


@pytest.mark.parametrize(
    "rss",
    [
        lambda n: resident(5e6 * (1 - 2.718 ** (-n / 100))),
        lambda n: resident(1e6 + min(n, 150) * 20_000),
        lambda n: resident(1e6 + (n % 128) * 5_000),
        lambda n: resident(1e6 + (8e6 if n > 1500 else 0)),
    ],
    ids=["exponential", "cache that fills", "sawtooth", "one step"],
)
def test_a_process_that_only_warms_up_is_no_leak(rss):
    result = watch(steady(4096, rss=rss))

    assert result.verdict in (Verdict.INCONCLUSIVE, Verdict.SETTLING)
    assert result.stopped_by == "ended"


def test_rss_alone_is_never_clean():
    result = watch(steady(65_536, rss=lambda _: 1e6))

    assert (result.verdict, EXIT_CODES[result.verdict]) == (Verdict.INCONCLUSIVE, 3)
    assert result.signals["rss"].verdict is Verdict.CLEAN
    assert "never proves CLEAN" in why_words(result)


@pytest.mark.parametrize(
    ("signal", "kind"), [("fds", "file-descriptor"), ("threads", "thread"), ("children", "child-process")]
)
def test_counts_that_grow_are_leaks_of_their_kind(signal: str, kind: str):
    result = watch(steady(1024, **{signal: lambda n: 5 + n // 4}))

    assert (result.verdict, result.decided_by) == (Verdict.LEAK, f"counter:{signal}")
    assert [cause.kind for cause in result.causes] == [kind]
    assert result.growth is not None
    assert result.growth.per_iteration == pytest.approx(0.25, rel=0.02)


def test_the_watch_of_a_command_goes_on_after_a_leak_stands():
    result = watch(steady(1000, fds=lambda n: 5 + n), stop_at_leak=False)

    assert (result.verdict, result.stopped_by, result.iterations) == (Verdict.LEAK, "ended", 1000)


def test_a_duration_ends_the_watch():
    result = watch(steady(1000), duration_s=30.0)

    assert (result.stopped_by, result.iterations, result.seconds) == ("budget", 30, 30.0)


def test_samples_that_come_late_are_counted_and_keep_the_grid():
    """A machine that slept for ten seconds has missed ten samples; the cycles are wall-clock intervals."""
    result = watch(steady(100), clock=Clock(late_s={50: 10.0}))

    assert (result.pacing.missed_deadlines, result.pacing.worst_lag_s) == (10, 10.0)
    assert result.iterations == 110


def test_a_process_that_becomes_another_program_is_judged_from_then_on():
    result = watch(steady(600, rss=lambda n: 1e6 if n < 20 else 9e6), programs=["sh"] * 21 + ["python"] * 2000)

    assert result.messages[0].startswith("At sample 20 the process became another program (python)")
    assert result.signals["rss"].first == 9e6


@pytest.mark.parametrize(("status", "said"), [(3, "it ended with status 3"), (-9, "it was ended by signal 9")])
def test_a_command_that_fails_is_failed_with_what_was_seen_until_then(status: int, said: str):
    result = watch(steady(600), status=status)

    assert result.verdict is Verdict.FAILED
    assert result.failure is not None
    assert result.failure.detail == said
    assert "Its verdict until then: INCONCLUSIVE." in why_words(result)


def test_a_command_that_ends_in_order_is_not():
    assert watch(steady(600), status=0).verdict is Verdict.INCONCLUSIVE


def test_what_cannot_be_read_is_left_out():
    result = watch([{"rss": 1e6, "threads": 1.0}] * 300)

    assert set(result.signals) == {"threads", "rss"}


def test_the_text_gives_the_rate_per_sample_and_per_hour():
    result = watch(steady(4096, rss=lambda n: resident(1e6 + 10_240 * n)))

    text = render_watch(result, 1.0)

    assert text.startswith("▲ LEAK  scripted: 256 samples, one every 1 s\nResident memory (RSS) grows by ")
    assert "per hour" in text
    assert "per call" not in text
    assert "cycle" not in text


@pytest.mark.parametrize(
    ("duration_s", "every_s", "expected"), [(None, 1.0, 256), (60.0, 1.0, 64), (8 * 3600.0, 1.0, 7200), (60, 0.1, 150)]
)
def test_n_min_is_a_quarter_of_what_there_will_be(duration_s, every_s, expected):
    plan = WatchPlan(every_s, duration_s, 1.0, None, stop_at_leak=False)

    assert plan.choose_samples(tracked=False) == expected


# --- a program that warms up ----------------------------------------------------------------------------------------

MIB = 2.0**20


def fills_then(samples: int, later: float = 0.0):
    """Grow by 50 MiB a sample as it starts, then by ``later``."""
    return lambda n: resident(MIB * 50 * min(n, samples) + later * max(n - samples, 0))


@pytest.mark.parametrize("n_min", [16, 32, 64])
def test_a_program_that_fills_gigabytes_as_it_starts_and_then_stays_is_no_leak(n_min: int):
    """While it fills it looks like a leak; what follows tells."""
    result = watch(steady(600, rss=fills_then(80), mapped=fills_then(80)), n_min=n_min, stop_at_leak=False)

    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.signals["rss"].state == "ended"
    assert 80 <= result.signals["rss"].until <= 320
    assert "but not after that. It warmed up, or it leaks only while the program has work." in why_words(result)


def test_a_leak_that_follows_a_warm_up_has_its_own_rate():
    result = watch(steady(1200, rss=fills_then(80, later=2 * PAGE)), n_min=32, stop_at_leak=False)

    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "counter:rss")
    assert result.growth.bytes_per_iteration == pytest.approx(2 * PAGE, rel=0.05)


def test_a_leak_of_most_of_a_watch_stands_when_it_stops():
    """The program has no work for the last third of the watch."""
    result = watch(steady(900, rss=fills_then(600)), n_min=64, stop_at_leak=False)

    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "counter:rss")


def test_a_leak_that_began_late_and_stopped_is_a_leak():
    """It is no warm-up."""
    late = lambda n: resident(MIB * 20 * min(max(n - 600, 0), 600))  # noqa: E731
    result = watch(steady(3000, rss=late), n_min=256, stop_at_leak=False)

    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "counter:rss")


def test_a_leak_that_goes_on_after_a_pause_is_a_leak_again():
    pauses = lambda n: resident(MIB * (min(n, 80) + max(n - 700, 0)))  # noqa: E731
    result = watch(steady(4000, rss=pauses), n_min=64, stop_at_leak=False)

    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "counter:rss")


def test_a_count_during_which_many_marks_came_is_made_again():
    """The program went on between the two readings: 60 marks of 333 B each would seem to be of the first 100."""
    pace = WatchPace(WatchPlan(0.02, None, 1.0, None, stop_at_leak=False), 0, tracked=True)
    pace.noun, pace.n_min = "mark", N_MIN
    marks, looks = iter([100, 160, 170, 171]), []
    tables: Any = SimpleNamespace(marks=lambda: next(marks))
    ledger: Any = SimpleNamespace(look=lambda: looks.append(1))
    counts = BlockCounts(tables, ledger, pace, 0.02, lambda *_: False)

    assert counts.look(90) == (None, 170)
    assert len(looks) == 2
