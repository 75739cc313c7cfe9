"""Who began long ago and lives: a pool whose size varies is CLEAN in a thousand cycles, and a slow leak never is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from soak.analysis.component import ComponentJudge
from soak.analysis.sites.survivors import NEXT_LOOK
from soak.analysis.staying import FIRST_LOOK, StayingJudge
from soak.measurements import SIGNALS, Reading
from soak.reporting.words.verdicts.series import series_sentence
from soak.verdict import SeriesState, SeriesVerdict, Verdict

Times = tuple[NDArray[np.float64], NDArray[np.float64]]
CYCLES = 3000
FOREVER = 1e9
UNDECIDED = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNDECIDED, rate=0.0, n_min=256)


def a_pool(seed: int, *, size: float = 3.0, life: float = 30.0, grows_each: float = FOREVER) -> Times:
    """Return births and deaths in a pool that has ``size`` threads on average, and one more in ``grows_each`` cycles.

    Each lives for ``life`` cycles on average, and all are replaced.
    """
    random = np.random.default_rng(seed)
    cycles = np.arange(CYCLES)
    births = np.repeat(cycles, random.poisson((size + cycles / grows_each) / life)).astype(np.float64)
    return births, births + 1 + random.exponential(life, len(births))


def beside(pool: Times, *, each: int, since: int = 0, life: float = FOREVER) -> Times:
    """Return a pool's births and deaths with those of a thread more in so many cycles."""
    births = np.arange(since + each, CYCLES, each, dtype=np.float64)
    return np.concatenate((pool[0], births)), np.concatenate((pool[1], births + life))


def looks_of(times: Times, series: SeriesVerdict = UNDECIDED, *, every: int = 2) -> dict[int, SeriesVerdict]:
    """Return what is said at each look."""
    judge = StayingJudge(0.01)
    births, deaths = times
    found = {}
    due: float = FIRST_LOOK
    for cycle in range(0, CYCLES, every):
        living = np.flatnonzero((births <= cycle) & (cycle < deaths))
        is_due = cycle >= due
        if is_due:
            due = cycle * NEXT_LOOK
            judge.look(cycle, frozenset((int(one), int(births[one])) for one in living))
        judge.add_count(cycle, len(living))
        if is_due:
            found[cycle] = judge.completed(series)
    return found


def first_clean(times: Times, series: SeriesVerdict = UNDECIDED) -> int | None:
    return next((n for n, said in looks_of(times, series).items() if said.verdict is Verdict.CLEAN), None)


@pytest.mark.parametrize("life", [10.0, 30.0, 100.0, 200.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_pool_that_varies_is_clean_in_some_hundred_cycles(seed: int, life: float):
    found = looks_of(a_pool(seed, life=life))

    clean = [said for said in found.values() if said.verdict is Verdict.CLEAN]
    assert clean
    assert clean[0].decided_at is not None
    assert clean[0].decided_at < 1800
    assert clean[0].state is SeriesState.NOTHING_STAYS
    assert clean[0].high is not None
    assert clean[0].high < 0.01


@pytest.mark.parametrize("each", [1, 10, 60, 90])
@pytest.mark.parametrize("seed", range(5))
def test_a_leak_beside_such_a_pool_is_never_clean(seed: int, each: int):
    assert first_clean(beside(a_pool(seed), each=each)) is None


@pytest.mark.parametrize("each", [1, 10, 90])
@pytest.mark.parametrize("pool", [a_pool(1, size=0.0), a_pool(1, size=0.5, life=5.0)])
def test_a_leak_where_little_else_runs_is_never_clean(pool: Times, each: int):
    assert first_clean(beside(pool, each=each)) is None


def test_a_leak_that_a_falling_count_hides_is_never_clean():
    """As many of the threads of the beginning end as are lost: the count stays, and who is alive tells them apart."""
    births, deaths = beside(a_pool(1, size=0.0), each=50)
    hidden = np.concatenate((births, np.zeros(60))), np.concatenate((deaths, np.arange(50, 50 * 61, 50)))
    assert len({np.sum((hidden[0] <= at) & (at < hidden[1])) for at in range(0, CYCLES, 7)}) == 1

    assert first_clean(hidden) is None


@pytest.mark.parametrize("life", [20.0, 100.0])
@pytest.mark.parametrize("each", [10, 40, 90])
@pytest.mark.parametrize("seed", range(5))
def test_a_pool_that_grows_while_all_its_threads_are_replaced_is_never_clean(seed: int, each: int, life: float):
    assert first_clean(a_pool(seed, life=life, grows_each=each)) is None


def test_a_leak_that_begins_in_the_later_half_is_not_clean_when_it_has_had_its_turn():
    found = looks_of(beside(a_pool(1, size=0.5, life=5.0), each=30, since=1300))

    assert any(said.verdict is Verdict.CLEAN for n, said in found.items() if n < 1300)
    assert all(said.verdict is Verdict.INCONCLUSIVE for n, said in found.items() if n > 1600)


@pytest.mark.parametrize(
    "series",
    [
        replace(UNDECIDED, verdict=Verdict.LEAK, state=SeriesState.STEADY),
        replace(UNDECIDED, verdict=Verdict.SETTLING, state=SeriesState.SLOWING),
        replace(UNDECIDED, state=SeriesState.UNSTEADY, is_growing=True),
        replace(UNDECIDED, state=SeriesState.NO_HORIZON, n_min=None),
        replace(UNDECIDED, n_min=CYCLES),
    ],
)
def test_a_series_that_says_more_stands(series: SeriesVerdict):
    assert first_clean(a_pool(1)) is not None
    assert all(said == series for said in looks_of(a_pool(1), series).values())


def test_without_the_looks_between_nothing_is_said():
    judge = StayingJudge(0.01)
    for cycle in range(CYCLES):
        judge.add_count(cycle, 1.0)
    judge.look(CYCLES, frozenset())

    assert judge.completed(UNDECIDED) is UNDECIDED


def test_a_proof_does_not_outlive_the_next_look():
    """Threads that are too many to be read are not proven to go."""
    judge = StayingJudge(0.01)
    for cycle in range(1, 2001):
        if cycle in (100, 120, 140, 400, 480, 690, 800, 1000):
            judge.look(cycle, frozenset({(1, 1)}))
        judge.add_count(cycle, 1.0)
        if cycle == 1010:
            assert judge.completed(UNDECIDED).verdict is Verdict.CLEAN

    assert judge.completed(UNDECIDED) is UNDECIDED


def test_what_rises_since_the_newest_look_is_seen():
    judge = StayingJudge(0.01)
    for cycle in range(1, 1150):
        if cycle in (100, 120, 140, 400, 480, 690, 800, 1000):
            judge.look(cycle, frozenset({(1, 1)}))
        judge.add_count(cycle, 1.0 + max(cycle - 1010, 0) / 10)

    assert judge.completed(UNDECIDED) is UNDECIDED


@pytest.mark.parametrize(("staying", "said"), [(0, "0 threads that"), (1, "1 thread that"), (2, "2 threads that")])
def test_the_report_says_how_many_stay(staying: int, said: str):
    judge = StayingJudge(0.01)
    for cycle in range(1, 2001):
        if cycle in (200, 250, 500, 600, 800, 1000, 1400, 1600, 1900):
            judge.look(cycle, frozenset((one, 1) for one in range(1 + (staying if cycle > 250 else 0))))
        judge.add_count(cycle, 1.0)

    sentence = series_sentence(judge.completed(UNDECIDED), "threads", "call")

    assert sentence == f"{said} began in calls 251 to 1,000 still lived after call 1,900."


@pytest.mark.parametrize("without", ["threads", "children"])
def test_what_cannot_be_read_is_not_asked_for_at_each_checkpoint(without: str):
    judge = ComponentJudge(1.0, {}, frozenset())
    looks = 0
    for cycle in range(CYCLES):
        if judge.is_living_due(cycle):
            looks += 1
            judge.add_living(cycle, {name: frozenset() for name in ("threads", "children") if name != without})

    assert looks < 30


@pytest.mark.parametrize(("each", "verdict"), [(CYCLES, Verdict.CLEAN), (90, Verdict.INCONCLUSIVE)])
@pytest.mark.parametrize("name", ["threads", "children"])
def test_the_judge_of_a_component_hears_of_it(name: str, each: int, verdict: Verdict):
    births, deaths = beside(a_pool(3), each=each)
    judge = ComponentJudge(1.0, {}, frozenset({name}))
    judge.fix_n_min(256)
    for cycle in range(0, 1420, 2):
        living = np.flatnonzero((births <= cycle) & (cycle < deaths))
        if judge.is_living_due(cycle):
            judge.add_living(cycle, {name: frozenset((int(one), 0) for one in living)})
        judge.add(Reading(cycle, cycle * 1e-3, {name: float(len(living))}))

    evidence = judge.evidence(is_last=True)

    assert evidence.series[name].verdict is verdict
    assert (evidence.series[name].state is SeriesState.NOTHING_STAYS) == (verdict is Verdict.CLEAN)
    assert evidence.series[name].tolerance == SIGNALS[name].tolerance
