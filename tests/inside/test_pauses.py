"""How long cycles wait for soak: a histogram of all pauses, and the latest as windows."""

from __future__ import annotations

from pathlib import Path

import pytest
from inside_builder import Clock, Parent, a_loop, a_ring, attend

from soak.inside import loop, pauses, ring
from soak.inside.counting import counters
from soak.running.child.child_ring import ChildRing


def test_a_bucket_holds_what_is_shorter_than_its_limit_and_a_tenth_longer_at_most():
    for took_ns in [*range(1, 70_000, 7), 10**7, 10**9, 10**11]:
        bucket = pauses.bucket_of(took_ns)

        assert took_ns < pauses.longest_in(bucket) <= max(1 << 14, took_ns * 1.125 + 1)
        assert bucket == 0 or took_ns >= pauses.longest_in(bucket - 1)


def test_a_pause_without_end_is_in_the_last_bucket():
    assert pauses.bucket_of(1 << 62) == pauses.BUCKETS - 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stopped = Clock()
    monkeypatch.setattr(loop, "RealTime", stopped)
    monkeypatch.setattr(counters, "soak_may_collect", lambda: False)
    monkeypatch.setattr(counters, "count_gc_objects", lambda: 4711)
    return stopped


def test_the_time_that_cycles_wait_for_checkpoints_is_told(tmp_path: Path, clock: Clock):
    """Of 200 checkpoints 198 take 2 ms and two 30 ms; the first and the last keep no cycle waiting."""
    area = a_ring(tmp_path)
    soaking = a_loop(area, iterations=201)
    attend(soaking, Parent(area, lambda row: clock.advance(0.03 if row["cycle"] in (0, 50, 60, 201) else 0.002)))

    soaking.run(lambda: None, ())

    told = ChildRing(area).pauses(0.01)
    assert told is not None
    assert (told.count, told.budget_s, told.worst_s) == (200, 0.01, 0.03)
    assert told.p50_s == pytest.approx(0.002, rel=0.125)
    assert told.p99_s == pytest.approx(0.002, rel=0.125)


def test_where_no_cycle_waited_nothing_is_told(tmp_path: Path):
    assert ChildRing(a_ring(tmp_path)).pauses(None) is None


def test_a_driver_sees_the_windows_of_the_pauses(tmp_path: Path, clock: Clock):
    """Begin and end of the latest 64, by the clock that the driver has too."""
    area = a_ring(tmp_path)
    windows = area.words[ring.WORD_PAUSES : ring.WORD_PAUSES + pauses.WORDS_OF_WINDOWS].toreadonly()
    soaking = a_loop(area, iterations=100)
    attend(soaking, Parent(area, lambda row: clock.advance(0.002)))
    ended_ns: list[int] = []

    def cycle() -> None:
        number = windows[0] - 1
        begin_ns, end_ns = windows[1 + 2 * (number % 64)], windows[2 + 2 * (number % 64)]
        assert end_ns == begin_ns + 2_000_000 == clock.monotonic_ns()
        ended_ns.append(end_ns)
        clock.advance(0.01)

    soaking.run(cycle, ())

    assert len(ended_ns) == 100
    assert windows[0] == 101


def test_a_checkpoint_waits_for_the_parent_within_the_budget_only(tmp_path: Path, clock: Clock):
    """A parent that is not scheduled keeps no cycle waiting beyond it; only the last checkpoint waits for longer."""
    area = a_ring(tmp_path)
    waited_s: list[float] = []

    def wait(_read: int, timeout_s: float) -> None:
        waited_s.append(timeout_s)
        clock.advance(timeout_s)

    soaking = a_loop(area, iterations=3, max_pause_s=0.01)
    attend(soaking, Parent(area))
    soaking.written = type("Silent", (), {"wake": lambda self: None})()
    soaking.read = type("Slow", (), {"wait": staticmethod(wait)})()
    soaking.run(lambda: None, ())

    assert waited_s[0] == pytest.approx(0.0075)
    assert waited_s[-1] == 10.0
    assert max(waited_s[:-1]) <= 0.0075
