"""The loop: exact cycles, exact checkpoints, exact deadlines."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from inside_builder import Clock, Parent, a_loop, a_ring, ask_python, attend, rows_of

from soak.inside import loop, ring
from soak.inside.counting import counters
from soak.inside.futex import Futex


@pytest.fixture(autouse=True)
def _light(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not collect or count the many objects of a test process where they do not matter."""
    if "held_off" not in request.fixturenames:
        monkeypatch.setattr(counters, "soak_may_collect", lambda: False)
        monkeypatch.setattr(counters, "count_gc_objects", lambda: 4711)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stopped = Clock()
    monkeypatch.setattr(loop, "RealTime", stopped)
    return stopped


def run(soaking: loop.Loop, cycle: Callable[[], object] = lambda: None) -> Parent:
    """Run a loop with a parent that takes every row at once."""
    parent = Parent(soaking.area)
    attend(soaking, parent)
    soaking.run(cycle, ())
    return parent


@pytest.mark.parametrize("iterations", [1, 2, 63, 64, 100])
@pytest.mark.parametrize("every", [1, 7, 64, 1000])
def test_the_cycles_are_as_many_as_were_asked_for(tmp_path: Path, iterations: int, every: int):
    """This holds for any spacing of checkpoints; there is one before the first cycle and one after the last."""
    calls: list[None] = []

    parent = run(a_loop(a_ring(tmp_path), iterations=iterations, checkpoint_every=every), lambda: calls.append(None))

    assert len(calls) == iterations
    assert parent.cycles() == sorted({0, iterations, *range(0, iterations, every)})
    assert parent.area.words[ring.WORD_COMPLETED] == parent.area.words[ring.WORD_CYCLE] == iterations


@pytest.mark.parametrize(("period", "every"), [(6, 1), (6, 7), (5, None), (64, None)])
def test_checkpoints_follow_on_whole_periods_and_on_the_last_cycle(tmp_path: Path, period: int, every: int | None):
    """Only there is a driver with a PERIOD in the same phase."""
    parent = run(a_loop(a_ring(tmp_path), iterations=1001, checkpoint_every=every, period=period))

    *within, last = parent.cycles()
    assert last == 1001
    assert len(within) > 8
    assert {cycle % period for cycle in within} == {0}


def test_checkpoints_of_a_driver_with_a_period_are_no_farther_apart_than_of_others(tmp_path: Path):
    """But for a period. The rule needs two readings in each of its blocks."""
    parent = run(a_loop(a_ring(tmp_path), iterations=1001, period=6))

    assert all(later - cycle <= max(6, cycle // 34) for cycle, later in itertools.pairwise(parent.cycles()))


def test_the_cycle_gets_its_arguments(tmp_path: Path):
    seen: list[tuple[int, str]] = []
    soaking = a_loop(a_ring(tmp_path), iterations=2)
    attend(soaking, Parent(soaking.area))

    soaking.run(lambda number, text: seen.append((number, text)), (5, "state"))

    assert seen == [(5, "state")] * 2


def steps_of(cycles: list[int]) -> list[tuple[int, int]]:
    """Return (cycle, cycles to the next checkpoint), without the last one, which the end of the run sets."""
    return [(before, after - before) for before, after in itertools.pairwise(cycles)][:-1]


def test_checkpoints_thin_out_in_proportion_to_what_has_run(tmp_path: Path, clock: Clock):
    """One in 64 where they cost nothing, after each cycle at first; the spacing wanders by an eighth, not more."""
    cycles = run(a_loop(a_ring(tmp_path), iterations=2**14, checkpoint_every=None)).cycles()

    assert cycles[:129] == list(range(129))
    assert cycles[-1] == 2**14
    assert all(
        7 / 8 * (before // 64) - 1 < step < 9 / 8 * (before // 64) + 1 for before, step in steps_of(cycles)[128:]
    )


def test_the_spacing_wanders(tmp_path: Path, clock: Clock):
    """With equal steps a sawtooth of their period would be read later and later in its rise."""
    area = a_ring(tmp_path)
    area.words[ring.WORD_SPACING] = 64

    cycles = run(a_loop(area, iterations=2**14, checkpoint_every=None)).cycles()

    late = [step for before, step in steps_of(cycles) if before >= 2**13]
    assert set(late) > {58, 64, 70}
    assert max(late) <= 72
    assert sum(late) / len(late) == pytest.approx(64, abs=1)


def test_checkpoints_stay_as_dense_as_the_parent_asks(tmp_path: Path, clock: Clock):
    area = a_ring(tmp_path)
    area.words[ring.WORD_SPACING] = 16

    cycles = run(a_loop(area, iterations=2**13, checkpoint_every=None)).cycles()

    assert max(step for _, step in steps_of(cycles)) <= 18
    assert len(cycles) >= 2**13 / 17


def test_dear_checkpoints_thin_out_no_further_than_the_rule_allows(tmp_path: Path, clock: Clock):
    """Each takes a second and a cycle a microsecond: two in each sixteenth of what has run all the same."""
    soaking = a_loop(a_ring(tmp_path), iterations=2**12, checkpoint_every=None)
    parent = Parent(soaking.area, lambda row: clock.advance(1.0))
    attend(soaking, parent)

    soaking.run(lambda: clock.advance(1e-6), ())

    cycles = parent.cycles()
    assert all(step <= max(1, before / 32) for before, step in steps_of(cycles))
    assert len(cycles) < 400


def test_what_a_checkpoint_costs_is_kept(tmp_path: Path, clock: Clock):
    soaking = a_loop(a_ring(tmp_path), iterations=3)
    attend(soaking, Parent(soaking.area, lambda row: clock.advance(0.25)))

    soaking.run(lambda: None, ())

    assert soaking.area.words[ring.WORD_CHECKPOINT_NS] == 3 * 250_000_000
    assert [row["checkpoint_ns"] for row in rows_of(soaking.area)] == [0, 0, 250_000_000, 500_000_000]


def test_time_counts_from_when_the_first_row_was_read(tmp_path: Path, clock: Clock):
    """The parent may still be importing what reads it: that is no time of the cycles, and leaves checkpoints dense."""
    soaking = a_loop(a_ring(tmp_path), iterations=3)
    late = iter([5.0])
    attend(soaking, Parent(soaking.area, lambda row: clock.advance(next(late, 0.0))))

    soaking.run(lambda: clock.advance(0.5), ())

    assert [row["at_ns"] for row in rows_of(soaking.area)] == [0, 500_000_000, 1_000_000_000, 1_500_000_000]
    assert soaking.area.words[ring.WORD_CHECKPOINT_NS] == 0


def test_rows_tell_the_time_since_the_loop_began(tmp_path: Path, clock: Clock):
    parent = run(a_loop(a_ring(tmp_path), iterations=3), lambda: clock.advance(0.5))

    assert [row["at_ns"] for row in parent.rows] == [0, 500_000_000, 1_000_000_000, 1_500_000_000]


def test_every_row_has_the_counters_and_every_eighth_the_objects_of_gc(tmp_path: Path):
    parent = run(a_loop(a_ring(tmp_path), iterations=16))

    assert all(row["python_blocks"] > 0 and row["heap"] > 0 and row["heap_free"] >= 0 for row in parent.rows)
    assert [row["cycle"] for row in parent.rows if row["gc_objects"] != ring.NOT_READ] == [0, 8, 16]
    assert {row["traced"] for row in parent.rows} == {ring.NOT_READ}


def test_traced_bytes_are_read_where_there_is_a_reader(tmp_path: Path):
    parent = run(a_loop(a_ring(tmp_path), iterations=2, read_traced=lambda: 4711))

    assert [row["traced"] for row in parent.rows] == [4711] * 3


GARBAGE = """
import json, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from inside_builder import a_loop, a_ring, rows_of
from soak.inside import ring
from soak.inside.counting import collecting

slots = [None] * 1000
def leave_garbage():
    circle = [None]
    circle[0] = circle
def keep():
    slots[slots.index(None)] = object()

area = a_ring(Path(sys.argv[1]))
area.words[ring.WORD_ROWS_READ] = 1 << 40  # nobody is waited for
collecting._SLOW_NS = 1 << 62  # a collection on a busy machine is no reason to freeze objects
a_loop(area, iterations=400, checkpoint_every=10).run(globals()[sys.argv[3]], ())
rows = rows_of(area)
print(json.dumps([rows[-1][name] - rows[10][name] for name in ("python_blocks", "python_blocks_before_gc")]))
"""


@pytest.mark.parametrize(("cycle", "after_gc"), [("leave_garbage", 0), ("keep", 300)])
def test_garbage_is_collected_before_counting(tmp_path: Path, cycle: str, after_gc: int):
    """At checkpoints a cycle that leaves circular garbage does not grow; one that keeps an object grows by it.

    Before collection both show what they left since the last one, the same at every checkpoint.
    """
    grown = ask_python(GARBAGE, str(tmp_path), str(Path(__file__).parent), cycle)

    assert grown == [after_gc, after_gc]


@pytest.mark.parametrize("held_off", ["disabled", "frozen", "not at all"])
def test_a_component_that_does_not_collect_is_not_collected_for(tmp_path: Path, held_off: str):
    """The garbage that it leaves is then its leak."""
    area = a_ring(tmp_path)
    collections = gc.get_stats()[2]["collections"]
    if held_off == "disabled":
        gc.disable()
    elif held_off == "frozen":
        gc.freeze()
    try:
        run(a_loop(area, iterations=3))
        collected = gc.get_stats()[2]["collections"] - collections
    finally:
        gc.enable()
        gc.unfreeze()

    assert (area.words[ring.WORD_GC_COLLECTED] == 1) == (held_off == "not at all")
    assert (collected >= 4) == (held_off == "not at all")


def test_the_loop_stops_after_the_cycle_under_way(tmp_path: Path):
    """It makes a last checkpoint, wherever the next one was due."""
    area = a_ring(tmp_path)
    calls: list[None] = []

    def cycle() -> None:
        calls.append(None)
        if len(calls) == 5:
            area.words[ring.WORD_STOP] = 1

    parent = run(a_loop(area, iterations=1000, checkpoint_every=100), cycle)

    assert len(calls) == 5
    assert parent.cycles() == [0, 5]


def test_a_stop_at_a_checkpoint_leaves_no_second_one(tmp_path: Path):
    soaking = a_loop(a_ring(tmp_path), iterations=None, checkpoint_every=10)

    def stop_at_twenty(row: dict[str, int]) -> None:
        soaking.words[ring.WORD_STOP] = row["cycle"] == 20

    parent = Parent(soaking.area, stop_at_twenty)
    attend(soaking, parent)
    soaking.run(lambda: None, ())

    assert parent.cycles() == [0, 10, 20]


def test_a_stop_before_the_first_cycle_leaves_one_row(tmp_path: Path):
    area = a_ring(tmp_path)
    area.words[ring.WORD_STOP] = 1

    assert run(a_loop(area)).cycles() == [0]


def test_a_cycle_that_raises_is_named_and_what_it_left_is_counted(tmp_path: Path):
    """WORD_CYCLE is the one that failed; the last checkpoint is behind the last that did not."""
    area = a_ring(tmp_path)
    calls: list[None] = []

    def cycle() -> None:
        calls.append(None)
        if len(calls) == 7:
            raise OSError("no more")

    soaking = a_loop(area, checkpoint_every=4)
    parent = Parent(area)
    attend(soaking, parent)
    with pytest.raises(OSError, match="no more"):
        soaking.run(cycle, ())

    assert (area.words[ring.WORD_CYCLE], area.words[ring.WORD_COMPLETED]) == (7, 6)
    assert parent.cycles() == [0, 4, 6]
    assert area.words[ring.WORD_LOOP_ENDED_NS] > 0


@pytest.mark.parametrize(("every", "leaks"), [(1, 10), (3, 3), (10, 1), (11, 0)])
def test_a_planted_leak_follows_every_nth_cycle(tmp_path: Path, every: int, leaks: int):
    planted: list[None] = []

    run(a_loop(a_ring(tmp_path), iterations=10, leak=lambda: planted.append(None), leak_every=every))

    assert len(planted) == leaks


def test_a_parent_in_another_thread_is_waited_for_at_each_checkpoint(tmp_path: Path):
    """It reads from outside while the child waits: no row is written before the last one was read."""
    area = a_ring(tmp_path)
    taken = Futex(area.word_address(ring.WORD_ROWS_READ))
    written = Futex(area.word_address(ring.WORD_ROWS_WRITTEN))
    behind: list[int] = []
    done = threading.Event()

    def take_rows() -> None:
        words = area.words
        while not done.is_set():
            if words[ring.WORD_ROWS_WRITTEN] > words[ring.WORD_ROWS_READ]:
                behind.append(words[ring.WORD_ROWS_WRITTEN] - words[ring.WORD_ROWS_READ])
                words[ring.WORD_ROWS_READ] = words[ring.WORD_ROWS_WRITTEN]
                taken.wake()
            written.wait(words[ring.WORD_ROWS_READ], 0.05)

    thread = threading.Thread(target=take_rows)
    thread.start()
    try:
        a_loop(area, iterations=30).run(lambda: None, ())
    finally:
        done.set()
        thread.join()

    assert area.words[ring.WORD_ROWS_WRITTEN] == 31
    assert behind.count(1) >= 28  # but for a machine that does not run the parent for 50 ms


@pytest.mark.long
def test_a_parent_that_stalls_is_waited_for_once(tmp_path: Path):
    """Then the child goes on without it and counts what is lost: it never blocks."""
    area = a_ring(tmp_path)
    soaking = a_loop(area, iterations=ring.ROW_CAPACITY + 10)

    soaking.run(lambda: None, ())

    assert soaking.parent_stalls
    assert area.words[ring.WORD_COMPLETED] == ring.ROW_CAPACITY + 10
    assert area.words[ring.WORD_ROWS_LOST] == 11


def waits_of(soaking: loop.Loop, clock: Clock, hold_for_s: float = 0.0) -> list[float]:
    """Run a loop whose parent reads its rows only when it holds it, that long each; return when each wait ended."""
    ended: list[float] = []
    words = soaking.words

    def wait(_seen: int, timeout_s: float) -> None:
        clock.advance(timeout_s)
        ended.append(clock.now_ns / 1e9)
        if words[ring.WORD_HOLD] and clock.now_ns >= begun[-1] + hold_for_s * 1e9:
            words[ring.WORD_ROWS_READ] = words[ring.WORD_ROWS_WRITTEN]

    begun: list[int] = []
    soaking.written = SimpleNamespace(wake=lambda: begun.append(clock.now_ns))  # type: ignore[assignment]
    soaking.read = SimpleNamespace(wait=wait)  # type: ignore[assignment]
    words[ring.WORD_HOLD] = bool(hold_for_s)
    soaking.run(lambda: None, ())
    return [end - start / 1e9 for end, start in zip(ended[-1:], begun[-1:], strict=True)]


def test_a_parent_that_looks_at_the_process_is_waited_for_as_long_as_it_takes(tmp_path: Path, clock: Clock):
    """It waits half a minute if necessary, because the parent has said so; that is no stall."""
    soaking = a_loop(a_ring(tmp_path), iterations=3)

    last = waits_of(soaking, clock, hold_for_s=30.0)

    assert last == [pytest.approx(30.0, abs=0.1)]
    assert not soaking.parent_stalls


def test_the_last_checkpoint_waits_for_a_parent_that_is_late(tmp_path: Path, clock: Clock):
    """Ten seconds, though it stalled before: what it misses there it could never read."""
    soaking = a_loop(a_ring(tmp_path), iterations=3, checkpoint_every=None)

    assert waits_of(soaking, clock) == [pytest.approx(10.0, abs=0.01)]


def test_where_it_was_said_how_often_to_count_the_parent_has_longer(tmp_path: Path, clock: Clock):
    """No other checkpoint replaces one of those; on a busy machine the parent may need seconds."""
    soaking = a_loop(a_ring(tmp_path), iterations=3, checkpoint_every=1)

    assert waits_of(soaking, clock) == [pytest.approx(10.0, abs=0.01)]


def test_when_it_is_over_the_threads_are_named_and_the_parent_waited_for(tmp_path: Path):
    """Until it has listed what is open; the child does not wait long for a parent that has ended."""
    area = a_ring(tmp_path)
    soaking = a_loop(area, iterations=1)
    waiting = threading.Event()
    thread = threading.Thread(target=waiting.wait, name="the one that waits")
    thread.start()
    seen: list[dict[int, str]] = []
    lines: list[dict[int, tuple[str, int, str]]] = []

    def look() -> None:
        while not area.words[ring.WORD_NAMES_BYTES]:
            pass
        seen.append(area.read_names())
        lines.append(area.read_lines())
        area.words[ring.WORD_LISTED] = 1

    looking = threading.Thread(target=look)
    looking.start()
    soaking.show_what_is_open()
    waiting.set()
    looking.join()
    thread.join()

    assert area.words[ring.WORD_LISTED] == 1
    assert seen[0][thread.native_id or 0] == "the one that waits"
    assert thread.native_id not in lines[0]  # it runs nothing but Python's own library
    file, line, function = lines[0][looking.native_id or 0]
    assert (file, function) == (__file__, "look")
    assert line > look.__code__.co_firstlineno


def test_threads_that_cannot_be_named_keep_nobody_from_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A component may have replaced or broken threading; the parent is told all the same."""
    area = a_ring(tmp_path)
    area.words[ring.WORD_LISTED] = 1
    monkeypatch.setattr(threading, "enumerate", None)

    a_loop(area).show_what_is_open()

    assert area.words[ring.WORD_NAMES_BYTES] == ring.NO_NAMES
    assert area.read_names() == {}


def test_a_parent_that_never_lists_is_waited_for_ten_seconds_at_most(tmp_path: Path, clock: Clock):
    soaking = a_loop(a_ring(tmp_path), iterations=1)
    soaking.read = type("Never", (), {"wait": lambda _, __, seconds: clock.advance(seconds)})()
    begun_ns = clock.now_ns

    soaking.show_what_is_open()

    assert (clock.now_ns - begun_ns) / 1e9 == pytest.approx(10.0)


# Pacing


def starts_of(soaking: loop.Loop, clock: Clock, durations_s: dict[int, float], usual_s: float = 0.01) -> list[float]:
    """Run a paced loop whose cycles take so long (by number, from 1); return when each began, from the first on."""
    starts: list[int] = []

    def cycle() -> None:
        starts.append(clock.now_ns)
        clock.advance(durations_s.get(len(starts), usual_s))

    attend(soaking, Parent(soaking.area))
    soaking.run(cycle, ())
    return [(start - starts[0]) / 1e9 for start in starts]


def test_deadlines_lie_on_a_grid_without_drift(tmp_path: Path, clock: Clock):
    """A thousand cycles at 100 ms: the last begins 99.9 s after the first, exactly."""
    soaking = a_loop(a_ring(tmp_path), interval_s=0.1, iterations=1000, checkpoint_every=100)

    starts = starts_of(soaking, clock, {}, usual_s=0.03)

    words = soaking.words
    assert starts == pytest.approx([0.1 * number for number in range(1000)], abs=1e-9)
    assert words[ring.WORD_LAST_START_NS] - words[ring.WORD_FIRST_START_NS] == 999 * 100_000_000
    assert (words[ring.WORD_MISSED_DEADLINES], words[ring.WORD_WORST_LAG_NS]) == (0, 0)


def test_a_late_cycle_does_not_shift_those_after_it(tmp_path: Path, clock: Clock):
    """Late by less than an interval: nothing is missed, the next begins at once and the grid is kept."""
    soaking = a_loop(a_ring(tmp_path), interval_s=0.1, iterations=5)

    starts = starts_of(soaking, clock, {2: 0.15})

    assert starts == pytest.approx([0, 0.1, 0.25, 0.3, 0.4])
    assert soaking.words[ring.WORD_MISSED_DEADLINES] == 0
    assert soaking.words[ring.WORD_WORST_LAG_NS] == 50_000_000


def test_missed_deadlines_are_counted_and_left_out(tmp_path: Path, clock: Clock):
    """Cycle 3 begins at 0.2 s and takes 0.35 s: those of 0.3 and 0.4 s are missed, the next on the grid is at 0.6 s."""
    soaking = a_loop(a_ring(tmp_path), interval_s=0.1, iterations=6)

    starts = starts_of(soaking, clock, {3: 0.35})

    assert starts == pytest.approx([0, 0.1, 0.2, 0.55, 0.6, 0.7])
    assert soaking.words[ring.WORD_MISSED_DEADLINES] == 2
    assert soaking.words[ring.WORD_WORST_LAG_NS] == 250_000_000


def test_a_component_slower_than_its_interval_misses_one_in_two(tmp_path: Path, clock: Clock):
    soaking = a_loop(a_ring(tmp_path), interval_s=0.1, iterations=11, checkpoint_every=100)

    starts = starts_of(soaking, clock, {}, usual_s=0.2)

    assert starts == pytest.approx([0.2 * number for number in range(11)])
    assert soaking.words[ring.WORD_MISSED_DEADLINES] == 10


def test_missed_deadlines_stand_in_the_rows(tmp_path: Path, clock: Clock):
    soaking = a_loop(a_ring(tmp_path), interval_s=0.1, iterations=5)

    starts_of(soaking, clock, {3: 0.35})

    assert [row["missed_deadlines"] for row in rows_of(soaking.area)] == [0, 0, 0, 0, 2, 2]


def test_a_stop_is_heard_within_a_long_interval(tmp_path: Path, clock: Clock):
    """The loop sleeps in short pieces, so a stop takes effect long before an hour's pause is over."""
    soaking = a_loop(a_ring(tmp_path), interval_s=3600, iterations=10)
    calls: list[None] = []
    started_ns = clock.now_ns

    class StopInSleep(Clock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            soaking.words[ring.WORD_STOP] = self.now_ns > started_ns + 10 * 10**9

    patched = StopInSleep()
    loop.RealTime = patched  # type: ignore[misc, assignment]
    parent = Parent(soaking.area)
    attend(soaking, parent)

    soaking.run(lambda: calls.append(None), ())

    assert len(calls) == 1
    assert parent.cycles() == [0, 1]
    assert patched.longest_sleep_s <= 0.2


@pytest.mark.parametrize(
    ("interval_s", "cycle_s", "allowed", "asked", "done"),
    [
        (0.0, 0.0, 1024, 8, 8),
        (0.0, 0.0, 5, 8, 5),
        (0.0, 0.0, 0, 8, 0),
        (0.0, 0.1, 1024, 8, 3),
        (0.1, 0.0, 1024, 64, 9),
        (600.0, 0.0, 1024, 8, 0),
    ],
    ids=["as asked", "as allowed", "not allowed", "in a moment", "at the pace", "not at a pace that takes too long"],
)
def test_cycles_after_the_last_one_are_few_and_keep_the_pace(
    tmp_path: Path, clock: Clock, interval_s: float, cycle_s: float, allowed: int, asked: int, done: int
):
    """They do not count as measured cycles."""
    starts: list[int] = []
    soaking = a_loop(a_ring(tmp_path), interval_s=interval_s)
    soaking.words[ring.WORD_MORE_CYCLES] = allowed

    def cycle() -> None:
        starts.append(clock.now_ns)
        clock.advance(cycle_s)

    assert soaking.run_more(cycle, (), asked) == len(starts) == done
    assert all(later - earlier >= interval_s * 1e9 for earlier, later in itertools.pairwise(starts))
    assert soaking.words[ring.WORD_COMPLETED] == soaking.words[ring.WORD_CYCLE] == 0


def test_a_cycle_after_the_last_one_that_raises_is_the_end_of_them(tmp_path: Path, clock: Clock):
    soaking = a_loop(a_ring(tmp_path))
    soaking.words[ring.WORD_MORE_CYCLES] = 100

    def cycle() -> None:
        raise SystemExit(3)

    assert (soaking.run_more(cycle, (), 8), soaking.run_more(lambda: None, (), 8)) == (0, 0)


@pytest.mark.parametrize(("cycle_s", "done"), [(0.001, 8), (0.2, 1), (0.3, 0), (300.0, 0)])
def test_a_cycle_that_takes_longer_than_there_is_time_is_not_begun_after_the_last(
    tmp_path: Path, clock: Clock, cycle_s: float, done: int
):
    """What they took while they were measured tells: a cycle of five minutes is not run once more for a question."""
    soaking = a_loop(a_ring(tmp_path), iterations=3)
    run(soaking, lambda: clock.advance(cycle_s))
    soaking.words[ring.WORD_MORE_CYCLES] = 1024
    ended_ns = clock.now_ns

    assert soaking.run_more(lambda: clock.advance(cycle_s), (), 8) == done
    assert clock.now_ns - ended_ns < 0.5e9


@pytest.mark.parametrize(
    ("max_pause_s", "takes_s", "is_read"), [(0.01, 0.002, False), (0.01, 0.0001, True), (0.0, 0.002, True)]
)
def test_what_takes_much_of_a_short_pause_is_not_read_twice(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, max_pause_s: float, takes_s: float, is_read: bool
):
    """Python's blocks are counted pool by pool. After the collection they are counted at each checkpoint."""
    monkeypatch.setattr(counters, "read_python_blocks", lambda: (clock.advance(takes_s), 5000)[1])

    parent = run(a_loop(a_ring(tmp_path), iterations=40, checkpoint_every=10, max_pause_s=max_pause_s))

    *_, last = parent.rows
    assert last["python_blocks"] == 5000
    assert last["python_blocks_before_gc"] == (5000 if is_read else ring.NOT_READ)
