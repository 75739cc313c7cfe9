"""Signals that rise in each cycle of a short run: what is a leak at its end, and what is only told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from soak.analysis.component import ComponentJudge
from soak.analysis.decision.decide import decide
from soak.analysis.decision.outcome import Decision
from soak.analysis.sites.streaks import StreakCounter
from soak.grounds import GroundKind, Streak
from soak.measurements import Reading
from soak.verdict import Verdict

GIB = 2.0**30


def judged(count: Callable[[int], float], cycles: int, *, spacing: int = 1, is_last: bool = True) -> Decision:
    """Judge descriptors that are read each ``spacing`` cycles, beside memory that does not grow."""
    judge = ComponentJudge(1.0, {}, frozenset({"fds", "heap"}))
    judge.fix_n_min(256)
    for cycle in (*range(0, cycles, spacing), cycles):
        judge.add(Reading(cycle, float(cycle), {"fds": 10.0 + count(cycle), "heap": 4096.0}))
    return decide(judge.evidence(is_last=is_last))


def streak_of(readings: Iterable[tuple[int, float]], *, at_one_rate: bool = True) -> Streak | None:
    counter = StreakCounter(at_one_rate=at_one_rate)
    for cycle, value in readings:
        counter.add(cycle, value)
    return counter.streak


@pytest.mark.parametrize(("cycles", "spacing"), [(20, 1), (151, 1), (200, 10), (250, 25), (151, 7)])
def test_two_more_in_each_cycle_is_a_leak_at_the_end_at_any_speed(cycles: int, spacing: int):
    """On a machine ten times faster a reading comes each tenth cycle."""
    decision = judged(lambda cycle: 2.0 * cycle, cycles, spacing=spacing)

    assert (decision.verdict, decision.decided_by) == (Verdict.LEAK, "fds")
    assert decision.grounds[0].kind is GroundKind.COUNT_EVERY_CYCLE
    assert (decision.series["fds"].rate, decision.decided_at) == (2.0, cycles)


@pytest.mark.parametrize("cycles", [20, 60, 151])
def test_it_never_ends_a_run_early(cycles: int):
    """A pool that fills by one a cycle may still come to its size."""
    decision = judged(float, cycles, is_last=False)

    assert (decision.verdict, decision.is_final) == (Verdict.INCONCLUSIVE, False)


@pytest.mark.parametrize("spacing", [1, 2, 5])
@pytest.mark.parametrize("full_at", [20, 99, 119])
def test_a_pool_that_is_full_before_the_end_is_no_leak(full_at: int, spacing: int):
    assert judged(lambda cycle: min(cycle, full_at), 120, spacing=spacing).verdict is not Verdict.LEAK


@pytest.mark.parametrize(
    "count",
    [
        lambda cycle: cycle % 30,
        lambda cycle: cycle % 30 if cycle < 90 else 1.5 * (cycle - 90),
        lambda cycle: cycle // 2,
        lambda cycle: cycle + (cycle == 115),
        lambda cycle: cycle**2 // 100,
        lambda cycle: 20.0 * (cycle >= 120),
        lambda cycle: 0.0,
    ],
    ids=["sawtooth", "longer-last-tooth", "every-other", "hiccup-at-the-end", "faster-and-faster", "one-step", "flat"],
)
def test_what_does_not_rise_by_the_same_in_each_cycle_is_not_decided_by_few(count: Callable[[int], float]):
    decision = judged(count, 120)

    assert decision.verdict is not Verdict.LEAK
    assert GroundKind.COUNT_EVERY_CYCLE not in {ground.kind for ground in decision.grounds}


@pytest.mark.parametrize("is_late", [True, False])
def test_a_count_that_was_read_late_does_not_break_a_streak(is_late: bool):
    """On a busy machine the process may be forty cycles further when its descriptors are counted."""
    judge = ComponentJudge(1.0, {}, frozenset({"fds", "heap"}))
    judge.fix_n_min(256)
    for cycle in range(0, 121, 4):
        ahead = 40 if cycle == 104 else 0
        judge.add(Reading(cycle, float(cycle), {"fds": 10.0 + cycle + ahead, "heap": 4096.0}, is_late and ahead > 0))

    decision = decide(judge.evidence(is_last=True))

    assert decision.verdict is (Verdict.LEAK if is_late else Verdict.INCONCLUSIVE)


def test_a_short_rise_at_the_end_of_a_long_run_is_no_leak():
    """20 cycles of 250 are a moment; as n_min is an eighth of the budget, a streak is an eighth of the run."""
    assert judged(lambda cycle: max(cycle - 222, 0), 250).verdict is not Verdict.LEAK
    assert judged(lambda cycle: max(cycle - 200, 0), 250).verdict is Verdict.LEAK


def test_a_step_between_two_readings_is_no_streak():
    """24 at once in the last interval of 24 cycles is one in each cycle on the average."""
    assert judged(lambda cycle: 24.0 * (cycle > 100), 120, spacing=24).verdict is not Verdict.LEAK


def test_the_undecided_run_tells_the_count_first_with_what_is_missing():
    decision = judged(lambda cycle: 2.0 * cycle, 15)

    first = decision.grounds[0]
    assert (first.kind, first.signals[0], decision.needed) == (GroundKind.UNDECIDED, "fds", 5)
    assert first.streak == Streak(0, 15, 15, 10.0, 40.0)
    assert (decision.series["fds"].rate, decision.series["fds"].is_growing) == (2.0, True)


@pytest.mark.parametrize(
    ("values", "streak"),
    [
        ([5.0], None),
        ([5.0, 6.0, 7.0], Streak(0, 2, 2, 5.0, 7.0)),
        ([5.0, 9.0, 10.0, 11.0], Streak(1, 2, 2, 9.0, 11.0)),
        ([5.0, 6.0, 6.0], None),
        ([5.0, 4.0, 5.0, 6.0, 7.0, 8.0], Streak(2, 3, 3, 5.0, 8.0)),
        ([5.0, 9.0, 4.0, 5.0, 6.0], None),
        ([5.0, 5.5, 6.0], None),
    ],
)
def test_a_streak_is_what_rose_to_a_new_maximum_each_time(values: list[float], streak: Streak | None):
    assert streak_of(enumerate(values)) == streak


def test_memory_need_not_rise_at_one_rate():
    assert streak_of(enumerate([1.0, 5.0, 5.5, 100.0]), at_one_rate=False) == Streak(0, 3, 3, 1.0, 100.0)


@pytest.mark.parametrize(("full_at", "goes_on"), [(1000, True), (900, True), (400, False), (50, False)])
def test_memory_that_hardly_rises_any_more_does_not_go_on(full_at: int, goes_on: bool):
    """A cache of 400 templates was full, and each reading was still a little higher than the one before."""
    streak = streak_of(
        [(n, 900.0 * min(n, full_at) + n) for n in (*range(0, 100, 5), 300, 700, 1000)], at_one_rate=False
    )

    assert streak is not None
    assert streak.goes_on is goes_on


def test_a_leap_and_readings_behind_it_alone_tell_nothing_of_what_goes_on():
    streak = streak_of([(0, 0.0), *((n, 5e9 + n) for n in range(990, 1000))], at_one_rate=False)

    assert streak is not None
    assert not streak.goes_on


def test_two_readings_of_one_cycle_are_no_interval():
    assert streak_of([(3, 1.0), (3, 2.0)], at_one_rate=False) is None


@pytest.mark.parametrize(
    ("growth_bytes", "limit_bytes", "verdict"),
    [
        (2 * GIB, 100 * GIB, Verdict.LEAK),
        (2 * GIB, None, Verdict.LEAK),
        (0.3 * GIB, 2 * GIB, Verdict.LEAK),
        (0.3 * GIB, 8 * GIB, Verdict.INCONCLUSIVE),
    ],
)
def test_memory_that_will_reach_its_limit_is_a_leak_at_the_end(
    growth_bytes: float, limit_bytes: float | None, verdict: Verdict
):
    """Two GiB more in 50 cycles need no n_min; in the middle of the run they decide nothing yet."""
    judge = ComponentJudge(1.0, {}, frozenset({"heap", "fds"}), rss_limit_bytes=limit_bytes)
    judge.fix_n_min(256)
    for cycle in range(51):
        held = growth_bytes * (cycle / 50) ** 1.5
        judge.add(Reading(cycle, float(cycle), {"rss": 1e7 + held, "tracked": held, "heap": 0.0, "fds": 4.0}))

    decision = decide(judge.evidence(is_last=True))

    assert decision.verdict is verdict
    assert (decision.grounds[0].kind is GroundKind.MEMORY_EVERY_CYCLE) is (verdict is Verdict.LEAK)
    assert decide(judge.evidence()).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("growth_bytes", "kind"), [(2 * GIB, GroundKind.STEADY_MEMORY), (0.01 * GIB, GroundKind.FEW_CYCLES)]
)
def test_so_much_memory_is_no_cache_also_where_the_rule_has_seen_its_rate(growth_bytes: float, kind: GroundKind):
    """Where cycles are slow, a rate alone is no leak before 2,048 of them."""
    judge = ComponentJudge(1.0, {}, frozenset({"fds"}), rss_limit_bytes=100 * GIB)
    judge.fix_n_min(256)
    for cycle in range(0, 1001, 4):
        judge.add(Reading(cycle, float(cycle), {"tracked": growth_bytes * cycle / 1000, "fds": 4.0}))
    evidence = replace(judge.evidence(is_last=True), cycles=1000, is_n_min_of_slow_cycles=True)

    decision = decide(evidence)

    assert decision.series["tracked"].verdict is Verdict.LEAK
    assert decision.grounds[0].kind is kind


@pytest.mark.parametrize("spacing", [1, 2])
def test_memory_that_is_given_back_is_no_leak_however_much_it_is(spacing: int):
    judge = ComponentJudge(1.0, {}, frozenset({"heap"}))
    judge.fix_n_min(256)
    for cycle in range(0, 101, spacing):
        judge.add(Reading(cycle, float(cycle), {"rss": 1e7 + GIB * (cycle % 51) / 10, "heap": 0.0}))

    assert decide(judge.evidence(is_last=True)).verdict is not Verdict.LEAK


@pytest.mark.parametrize(
    ("name", "values", "rises"),
    [
        ("tracked", range(0, 1300, 100), True),
        ("tracked", range(0, 1200, 100), False),
        ("tracked", (*range(0, 600, 100), *range(500, 1100, 100)), False),
        ("heap", range(0, 1300, 100), False),
    ],
)
def test_growth_from_the_first_cycles_on_is_told_before_any_verdict(name: str, values: Iterable[int], rises: bool):
    judge = ComponentJudge(1.0, {}, frozenset())
    for cycle, value in enumerate(values):
        judge.add(Reading(cycle, float(cycle), {name: float(value)}))

    assert judge.rises_at_first is rises
