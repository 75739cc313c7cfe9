"""A series judged while it is measured gets the verdict of the whole series, in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from series_builder import AT, CYCLES, N_MIN, SPACING

from soak.analysis import SeriesJudge, judge
from soak.analysis.rule import PARTS
from soak.analysis.sites.cells import CELLS_PER_N_MIN, RunningCells
from soak.verdict import SeriesState, Verdict

SHAPES = {
    "flat": lambda at, rng: rng.normal(5e6, 3000, len(at)),
    "leak": lambda at, rng: 16 * at + rng.normal(0, 3000, len(at)),
    "late leak": lambda at, rng: 16 * np.maximum(at - 0.5 * at[-1], 0) + rng.normal(0, 3000, len(at)),
    "saw": lambda at, rng: 1e5 * ((at / 20_000) % 1) + rng.normal(0, 30, len(at)),
    "log": lambda at, rng: 1e6 * np.log1p(at) + rng.normal(0, 30, len(at)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("readings", [500, 1024, 1500, 3000])
def test_readings_added_one_by_one_get_the_verdict_of_the_whole_series(shape: str, readings: int):
    """Every field is equal, down to the reason."""
    at = AT[:readings]
    values = SHAPES[shape](at, np.random.default_rng(1))

    series = SeriesJudge(1.0, N_MIN)
    for iteration, value in zip(at, values, strict=True):
        series.add(iteration, value)

    assert series.finish() == judge(at, values, tolerance=1.0, n_min=N_MIN)


@pytest.mark.parametrize("shape", SHAPES)
def test_looking_at_the_end_leaves_no_trace_so_a_run_can_be_resumed(shape: str):
    """A run cut off at any reading and resumed gets the verdict of an uninterrupted one."""
    at = AT[:4000]
    values = SHAPES[shape](at, np.random.default_rng(2))

    series = SeriesJudge(1.0, N_MIN)
    for cut in range(0, 4000, 250):
        series.extend(at[cut : cut + 250], values[cut : cut + 250])
        assert series.finish() == judge(at[: cut + 250], values[: cut + 250], tolerance=1.0, n_min=N_MIN)

    assert series.finish() == judge(at, values, tolerance=1.0, n_min=N_MIN)


@pytest.mark.parametrize("shape", SHAPES)
def test_n_min_fixed_after_the_first_readings_makes_no_difference(shape: str):
    """Readings before it is known are kept and looked at then."""
    at = AT[:4000]
    values = SHAPES[shape](at, np.random.default_rng(3))

    series = SeriesJudge(1.0)
    series.extend(at[:2500], values[:2500])
    assert series.verdict.verdict is Verdict.INCONCLUSIVE
    assert series.finish().verdict is Verdict.INCONCLUSIVE
    series.fix_n_min(N_MIN)
    series.extend(at[2500:], values[2500:])

    assert series.finish() == judge(at, values, tolerance=1.0, n_min=N_MIN)


@pytest.mark.parametrize("shape", SHAPES)
def test_n_min_that_falls_before_it_is_reached_makes_no_difference(shape: str):
    """The readings are judged again; every field equals that of a series whose n_min was lower from the start."""
    at = AT[:4000]
    values = SHAPES[shape](at, np.random.default_rng(4))

    series = SeriesJudge(1.0)
    series.fix_n_min(3 * N_MIN, may_fall=True)
    series.extend(at[:2500], values[:2500])
    series.lower_n_min(N_MIN)
    series.extend(at[2500:], values[2500:])

    assert series.finish() == judge(at, values, tolerance=1.0, n_min=N_MIN)


@pytest.mark.parametrize(
    ("n_min", "may_fall", "lower"), [(N_MIN, True, N_MIN // 2), (4 * N_MIN, False, N_MIN), (2 * N_MIN, True, 4 * N_MIN)]
)
def test_n_min_does_not_move_once_a_look_may_have_decided(n_min: int, may_fall: bool, lower: int):
    """It also does not move where it may not fall, and it never rises."""
    at = AT[: N_MIN * 3 // 2 // SPACING]
    series = SeriesJudge(1.0)
    series.fix_n_min(n_min, may_fall=may_fall)
    series.extend(at, 16 * at)

    series.lower_n_min(lower)

    assert series.n_min == n_min
    assert series.finish() == judge(at, 16 * at, tolerance=1.0, n_min=n_min)


def test_a_leak_stands_as_soon_as_n_reaches_n_min():
    """The series takes its regular looks by itself while readings come in."""
    series = SeriesJudge(1.0, 256)
    verdicts = []
    for cycle in range(300):
        series.add(cycle, 112 * cycle)
        verdicts.append(series.verdict.verdict)

    assert verdicts.index(Verdict.LEAK) == 256


def test_readings_given_at_once_take_every_look_on_the_way():
    """A leak that stopped long ago is still found at the look that saw it."""
    at = np.arange(1 << 16)
    series = SeriesJudge(1.0, 256)

    series.extend(at, 112 * np.minimum(at, 600))

    assert (series.verdict.verdict, series.verdict.decided_at) == (Verdict.LEAK, 256)


def test_memory_does_not_grow_with_the_series():
    """A thousand times n_min later the state has the size it had at the start."""
    cells = RunningCells(256)

    def held_bytes() -> int:
        return sum(array.nbytes for array in vars(cells).values() if isinstance(array, np.ndarray))

    size = held_bytes()

    cells.extend(np.arange(1.0, 256_001), np.zeros((1, 256_000)))

    assert held_bytes() == size
    assert 256_000 / cells.cell <= 2 * CELLS_PER_N_MIN


@settings(max_examples=50)
@given(
    n_min=st.integers(8, 5000),
    doublings=st.integers(-3, 4),
    spacing=st.integers(1, 50),
    seed=st.integers(0, 1000),
)
def test_the_parts_of_a_look_are_exact(n_min, doublings, spacing, seed):
    """Merging cells in pairs loses nothing at a regular look, whatever n_min and spacing."""
    n = n_min * 2.0**doublings
    cycles = np.arange(spacing, n + 1, spacing, dtype=np.float64)
    values = np.round(np.random.default_rng(seed).normal(size=(2, len(cycles))), 1)
    rises = np.maximum(np.diff(values, axis=1, prepend=values[:, :1]), 0)
    cells = RunningCells(n_min, runs=2)
    cells.extend(cycles[:7], values[:, :7])
    cells.extend(cycles[7:], values[:, 7:])

    parts = cells.parts(n, n)

    for part in range(PARTS):
        inside = (cycles > n * part / PARTS) & (cycles <= n * (part + 1) / PARTS)
        assert parts.readings[part] == inside.sum()
        assert np.array_equal(parts.minima[:, part], values[:, inside].min(axis=1, initial=np.inf))
        if inside.any():
            assert np.array_equal(parts.at[:, part], cycles[inside][values[:, inside].argmin(axis=1)])
        assert np.allclose(parts.climbed[:, part], rises[:, inside].sum(axis=1))
        assert np.array_equal(parts.climbs[:, part], (rises[:, inside] > 0).sum(axis=1))


@settings(max_examples=40)
@given(
    shape=st.sampled_from(sorted(SHAPES)),
    readings=st.integers(0, 3000),
    first=st.integers(-(10**9), 10**12),
    seed=st.integers(0, 1000),
)
def test_the_verdict_does_not_depend_on_where_iterations_start(shape, readings, first, seed):
    """Cycles are counted from the first iteration, also in decided_at, since and needed."""
    at = AT[:readings]
    values = SHAPES[shape](at, np.random.default_rng(seed)) if readings else at

    assert judge(at + first, values, tolerance=1.0, n_min=N_MIN) == judge(at, values, tolerance=1.0, n_min=N_MIN)


@settings(max_examples=40)
@given(
    shape=st.sampled_from(sorted(SHAPES)),
    readings=st.integers(1, 8192),
    level=st.integers(-(2**40), 2**40),
    seed=st.integers(0, 1000),
)
def test_the_verdict_does_not_depend_on_the_level(shape, readings, level, seed):
    """Only growth counts, not how much there was to begin with."""
    at = AT[:readings]
    values = np.round(SHAPES[shape](at, np.random.default_rng(seed)))

    assert judge(at, values + level, tolerance=1.0, n_min=N_MIN) == judge(at, values, tolerance=1.0, n_min=N_MIN)


@settings(max_examples=40)
@given(
    shape=st.sampled_from(sorted(SHAPES)),
    readings=st.integers(1, 8192),
    power=st.integers(-20, 20),
    seed=st.integers(0, 1000),
)
def test_the_verdict_scales_with_the_unit_of_values_and_tolerance(shape, readings, power, seed):
    """KiB or bytes: the same verdict, cycles and needs, and a rate in the same unit."""
    at, unit = AT[:readings], 2.0**power
    values = SHAPES[shape](at, np.random.default_rng(seed))

    bare = judge(at, values, tolerance=1.0, n_min=N_MIN, grain=16)
    scaled = judge(at, values * unit, tolerance=unit, n_min=N_MIN, grain=16 * unit)

    assert scaled.verdict is bare.verdict
    assert (scaled.decided_at, scaled.since, scaled.needed) == (bare.decided_at, bare.since, bare.needed)
    assert scaled.rate == (None if bare.rate is None else bare.rate * unit)


@settings(max_examples=60)
@given(
    values=st.lists(st.floats(-1e12, 1e12), max_size=400),
    gaps=st.lists(st.integers(1, 40), max_size=400),
    n_min=st.integers(1, 600),
    grain=st.floats(0, 1e6),
)
def test_every_verdict_has_the_numbers_it_promises(values, gaps, n_min, grain):
    """For any readings: an interval around the rate, ``needed`` where undecided, no verdict before n_min."""
    readings = min(len(values), len(gaps))

    verdict = judge(np.cumsum(gaps[:readings]), values[:readings], tolerance=1.0, n_min=n_min, grain=grain)

    undecided = verdict.verdict in (Verdict.INCONCLUSIVE, Verdict.SETTLING)
    assert (verdict.needed is not None) == undecided
    assert (verdict.since is not None) == (verdict.verdict is Verdict.LEAK)
    if verdict.rate is not None:
        assert verdict.low <= verdict.rate <= verdict.high
    if verdict.verdict in (Verdict.LEAK, Verdict.CLEAN):
        assert n_min <= verdict.decided_at <= CYCLES


def test_a_leak_that_is_not_final_is_taken_back():
    """A cache that fills until cycle 3,000 looks like a leak at 2,048, and is clean long after it is full."""
    cycles = range(0, 16_385, 16)
    filling = [106.0 * min(cycle, 3000) for cycle in cycles]
    final, open_to_change = (SeriesJudge(1.0, 2048, leak_is_final=final) for final in (True, False))

    for series in (final, open_to_change):
        series.extend(cycles[:130], filling[:130])
        assert (series.verdict.verdict, series.verdict.is_growing) == (Verdict.LEAK, True)
        series.extend(cycles[130:], filling[130:])

    assert final.verdict.verdict is Verdict.LEAK
    assert (open_to_change.verdict.verdict, open_to_change.verdict.is_growing) == (Verdict.CLEAN, False)


def test_a_look_that_had_too_few_readings_takes_no_leak_back():
    """On a busy machine a watched program is read often until n_min, then rarely; later readings are no growth."""
    judge = SeriesJudge(1.0, 256, leak_is_final=False)
    often, rarely, later = range(0, 257, 4), range(300, 513, 106), range(520, 4097, 8)
    found = []
    for cycle in (*often, *rarely):
        judge.add(cycle, 100.0 * cycle)
        found.append(judge.verdict.verdict)

    assert found[-1] is judge.finish().verdict is Verdict.LEAK
    judge.extend(later, [51_200.0] * len(later))
    assert judge.verdict.verdict is Verdict.CLEAN


def test_a_look_that_had_too_few_readings_is_taken_again_before_the_next_regular_one():
    """At n_min the readings were too far apart in its second quarter.

    A quarter later that is the first quarter of the latest 1,024 cycles, which does not count.
    """
    judge = SeriesJudge(1.0, 1024)
    sparse, dense = range(0, 513, 24), range(520, 2048, 8)
    cycles = [*sparse, *dense]
    found = []
    for cycle in cycles:
        judge.add(cycle, 100.0 * cycle)
        found.append((cycle, judge.verdict.state))

    assert (1024, SeriesState.FEW_READINGS) in found
    leak = judge.verdict
    assert (leak.verdict, leak.decided_at) == (Verdict.LEAK, 1280)


@pytest.mark.parametrize(("rate", "verdict"), [(100.0, Verdict.LEAK), (0.0, Verdict.CLEAN)])
@pytest.mark.parametrize("gap", [(300, 450), (500, 700), (1100, 1400), (2100, 2500), (4096, 5000)])
def test_a_gap_in_the_readings_takes_nothing_and_costs_n_min_cycles_at_most(
    gap: tuple[int, int], rate: float, verdict: Verdict
):
    judge = SeriesJudge(1.0, 1024, leak_is_final=False)
    found = {}
    for cycle in (*range(0, gap[0], 8), *range(gap[1], 8193, 8)):
        judge.add(cycle, rate * cycle)
        found[cycle] = judge.verdict.verdict

    decided_after = 1024 if gap[0] > 1024 else gap[1] + 1024
    assert all(each is verdict for cycle, each in found.items() if cycle >= decided_after)


def test_a_sawtooth_with_a_gap_in_its_readings_is_no_leak():
    judge = SeriesJudge(1.0, 1024, leak_is_final=False)
    for cycle in (*range(0, 700, 8), *range(900, 8193, 8)):
        judge.add(cycle, 100.0 * (cycle % 700))
        assert judge.verdict.verdict is not Verdict.LEAK


def test_a_look_with_readings_enough_is_not_taken_again():
    judge = SeriesJudge(1.0, 1024)
    for cycle in range(0, 1025, 8):
        judge.add(cycle, 0.0)
    for cycle in range(1032, 2000, 8):
        judge.add(cycle, 100.0 * (cycle - 1024))

    assert (judge.verdict.verdict, judge.verdict.judged_at) == (Verdict.CLEAN, 1024)
