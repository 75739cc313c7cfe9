"""Series without noise whose verdict is known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from series_builder import AT, CYCLES, N_MIN, SPACING, FloatArray, judge_shape

from soak.analysis import judge
from soak.verdict import Verdict


def test_a_constant_series_is_clean_with_rate_zero():
    """Nothing ever changes: CLEAN as soon as n_min is reached, with an interval of no width."""
    verdict = judge_shape(lambda at: np.full_like(at, 5e7))

    assert verdict.verdict is Verdict.CLEAN
    assert (verdict.rate, verdict.low, verdict.high) == (0, 0, 0)
    assert verdict.decided_at == N_MIN
    assert verdict.needed is None
    assert verdict.since is None


def test_a_straight_line_is_a_leak_of_exactly_its_slope_at_n_min():
    """The rate of y = 112 i is 112, the interval has no width, and the first possible look says so."""
    verdict = judge_shape(lambda at: 112 * at)

    assert verdict.verdict is Verdict.LEAK
    assert (verdict.rate, verdict.low, verdict.high) == (112, 112, 112)
    assert verdict.decided_at == N_MIN
    assert verdict.since == N_MIN // 4


@pytest.mark.parametrize("first", [0, 1, SPACING, 5_000_000])
@pytest.mark.parametrize("spacing", [1, SPACING])
def test_a_run_that_ends_at_n_min_is_decided_wherever_its_numbering_starts(first: int, spacing: int):
    """n_min cycles of readings decide, whether the first is called 0, 1 or anything else."""
    n_min = 1024 * spacing
    at = first + spacing * np.arange(1024)

    verdict = judge(at, 112 * at, tolerance=1, n_min=n_min)

    assert (verdict.verdict, verdict.decided_at, verdict.rate) == (Verdict.LEAK, n_min, 112)


@pytest.mark.parametrize("cycles", [N_MIN * 7 // 8, N_MIN, N_MIN * 5 // 4, 3 * N_MIN // 2, 2 * N_MIN, CYCLES])
def test_a_ramp_to_four_fifths_of_n_min_is_never_a_leak(cycles: int):
    """A cache that fills for 0.8 n_min is not LEAK at any length of the run."""
    assert judge_shape(lambda at: 112 * np.minimum(at, 0.8 * N_MIN), cycles=cycles).verdict is not Verdict.LEAK


def test_a_ramp_to_four_fifths_of_n_min_is_clean_at_twice_n_min():
    """Once the second half of the run is flat, the cache is full: CLEAN, also at the end of a longer run."""
    for cycles in (2 * N_MIN, CYCLES):
        verdict = judge_shape(lambda at: 112 * np.minimum(at, 0.8 * N_MIN), cycles=cycles)

        assert (verdict.verdict, verdict.decided_at) == (Verdict.CLEAN, 2 * N_MIN)


@pytest.mark.parametrize("phase", np.linspace(0, 1, 9))
@pytest.mark.parametrize("height", [1e5, 8e6])
def test_a_sawtooth_of_half_n_min_is_never_a_leak(phase: float, height: float):
    """Garbage that is collected twice per n_min climbs steeply and falls again, at any phase."""
    for looks in range(4):
        verdict = judge_shape(lambda at: height * ((2 * at / N_MIN + phase) % 1), cycles=N_MIN << looks)

        assert verdict.verdict is not Verdict.LEAK


def test_one_step_of_5_mb_anywhere_is_never_a_leak():
    """A lazy import may come at any time."""
    for cycle in range(SPACING, CYCLES, CYCLES // 61):
        verdict = judge_shape(lambda at, cycle=cycle: 5e6 * (at > cycle)).verdict
        assert verdict is not Verdict.LEAK, cycle


def test_a_leak_from_60_percent_on_is_dated_after_its_start():
    """Late growth is found at a finer scale; ``since`` is never before its start."""
    verdict = judge_shape(lambda at: 128 * np.maximum(at - 0.6 * CYCLES, 0))

    assert (verdict.verdict, verdict.rate) == (Verdict.LEAK, 128)
    assert verdict.since is not None
    assert verdict.since >= 0.6 * CYCLES
    assert verdict.decided_at == CYCLES


@pytest.mark.parametrize("height", [1e6, 1e7, 1e9])
def test_logarithmic_growth_is_settling_and_says_for_how_long(height: float):
    """Growth that halves its rate with each doubling comes below any tolerance."""
    verdict = judge_shape(lambda at: height * np.log(at))

    assert verdict.verdict is Verdict.SETTLING
    assert verdict.needed is not None
    assert verdict.needed >= CYCLES


def test_settling_growth_becomes_clean_within_what_was_said_to_be_needed():
    """The forecast for a logarithm is exact to the look, because its rate halves as n doubles."""
    verdict = judge_shape(lambda at: 4e5 * np.log(at), cycles=N_MIN)
    assert verdict.needed is not None

    later = judge_shape(lambda at: 4e5 * np.log(at), cycles=2 * (N_MIN + verdict.needed))

    assert (verdict.verdict, later.verdict) == (Verdict.SETTLING, Verdict.CLEAN)


@pytest.mark.parametrize("power", [0.3, 0.5, 0.6])
def test_growth_with_a_root_of_n_is_not_a_leak(power: float):
    """The rate of a square root keeps falling: SETTLING, or at least no LEAK."""
    assert judge_shape(lambda at: 1e5 * at**power).verdict is not Verdict.LEAK


def test_a_shrinking_series_is_clean():
    """Memory given back is no leak, and its rate is shown as negative."""
    verdict = judge_shape(lambda at: 1e9 - 50 * at)

    assert (verdict.verdict, verdict.rate) == (Verdict.CLEAN, -50)


def test_a_leak_stays_a_leak_when_it_stops_and_says_until_when():
    """LEAK is final; later looks only add how long it lasted."""
    verdict = judge_shape(lambda at: 112 * np.minimum(at, 300_000))

    assert (verdict.verdict, verdict.decided_at, verdict.rate) == (Verdict.LEAK, N_MIN, 112)
    assert verdict.until == 524_288


def test_a_leak_of_a_shape_starting_in_the_last_tenth_is_not_clean():
    """It is too late for LEAK, but CLEAN would be wrong."""
    verdict = judge_shape(lambda at: 128 * np.maximum(at - 0.9 * CYCLES, 0))

    assert verdict.verdict is Verdict.INCONCLUSIVE
    assert verdict.needed is not None


@pytest.mark.parametrize("grain", [0.0, 4096.0, 16_384.0, 65_536.0])
def test_clean_needs_four_grains_of_the_counter_per_tolerance(grain: float):
    """A counter with a grain of one page cannot prove 1 B per cycle in fewer than 4 pages of cycles."""
    at = AT[AT <= N_MIN]

    verdict = judge(at, np.zeros_like(at), tolerance=1, n_min=N_MIN, grain=grain)

    expected = Verdict.CLEAN if 4 * grain < N_MIN else Verdict.INCONCLUSIVE
    assert verdict.verdict is expected
    assert verdict.needed == (None if expected is Verdict.CLEAN else 4 * 65_536 - N_MIN)


def test_the_tolerance_may_depend_on_the_cycles_seen():
    """Blocks grow by 0.02 per cycle: below 0.05 at 256 cycles, above 0.01 from 400 on."""

    def tolerance(n: float) -> float:
        return 0.05 if n <= 400 else 0.01

    def judged(cycles: int) -> Verdict:
        at = np.arange(cycles + 1)
        return judge(at, 0.02 * at, tolerance=tolerance, n_min=256).verdict

    assert (judged(256), judged(4096)) == (Verdict.CLEAN, Verdict.LEAK)


def _leak_of_one_in(cycles: int) -> FloatArray:
    return np.arange(2049, dtype=np.float64) // cycles


@pytest.mark.parametrize("every", [1, 3, 10])
def test_a_count_that_rises_by_one_every_few_cycles_is_a_leak_of_that_fraction(every: int):
    """File descriptors are whole numbers; their rate is not."""
    verdict = judge(np.arange(2049), _leak_of_one_in(every), tolerance=0.01, n_min=256, grain=1)

    assert verdict.verdict is Verdict.LEAK
    assert verdict.rate == pytest.approx(1 / every, rel=0.05)
    assert verdict.low <= 1 / every <= verdict.high


@settings(max_examples=60)
@given(
    rate=st.integers(2, 5000),
    n_min=st.integers(256, 3000),
    gaps=st.lists(st.integers(1, 3), min_size=50, max_size=200),
)
def test_a_straight_line_gives_its_slope_at_any_spacing_of_readings(rate, n_min, gaps):
    """Troughs are dated, so readings need be neither regular nor in step with the blocks."""
    at = np.cumsum(np.resize(gaps, 2 * n_min))

    verdict = judge(at, rate * at, tolerance=1, n_min=n_min)

    assert verdict.verdict is Verdict.LEAK
    assert verdict.rate == pytest.approx(rate)
    assert verdict.low <= verdict.rate <= verdict.high
    assert verdict.high - verdict.low < 0.25 * rate


@pytest.mark.parametrize("period", [255.9, 383.6, 383.8, 682.6, 831.8, 894.9, 1023.7, 1364.9])
@pytest.mark.parametrize("phase", np.linspace(0, 1, 5))
def test_a_sawtooth_in_step_with_the_readings_is_not_a_leak(period: float, phase: float):
    """Readings that creep up a tooth rise by less than the series climbs between two of them."""
    assert judge_shape(lambda at: 6e6 * ((at / period + phase) % 1)).verdict is not Verdict.LEAK


@pytest.mark.parametrize("cycle", range(CYCLES // 4, CYCLES // 2, CYCLES // 64))
def test_a_jump_down_does_not_hide_that_growth_was_faster(cycle: int):
    """Logarithmic growth after memory was given back in the first half is still logarithmic."""
    assert judge_shape(lambda at: 2e6 * np.log(at) - 2e7 * (at > cycle)).verdict is not Verdict.LEAK


def test_a_leak_in_steps_has_an_interval_as_wide_as_the_steps_resolve():
    """A counter that moves by 10 kB per thousand cycles cannot know its rate better than that over half a window."""
    verdict = judge_shape(lambda at: 10_000 * np.floor(at / 1000))

    assert verdict.verdict is Verdict.LEAK
    assert verdict.low < 10 < verdict.high


@pytest.mark.parametrize("start", range(0, CYCLES, CYCLES // 32))
def test_a_cache_that_fills_on_top_of_a_logarithm_is_not_a_leak(start: int):
    """Steep growth in a few blocks does not make up for the slowing of the rest."""
    verdict = judge_shape(lambda at: 3e6 * np.log(at) + 40 * np.clip(at - start, 0, 0.2 * N_MIN))

    assert verdict.verdict is not Verdict.LEAK
