"""The error rates of the rule, on a small share of the simulated runs that `make calibrate` judges."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from soak.analysis import judge
from soak.analysis.rule import LookOutcome
from soak.verdict import Verdict

_PATH = Path(__file__).parents[2] / "benchmarks" / "calibrate.py"
sys.path.insert(0, str(_PATH.parent))
_SPEC = importlib.util.spec_from_file_location("calibrate", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
calibrate = importlib.util.module_from_spec(_SPEC)
sys.modules["calibrate"] = calibrate
_SPEC.loader.exec_module(calibrate)
counts = sys.modules["calibrate_counts"]
memory = sys.modules["calibrate_memory"]
services = sys.modules["calibrate_services"]
keepers = sys.modules["calibrate_keepers"]


@pytest.mark.parametrize("family", calibrate.CLEAN)
def test_a_family_without_leaks_is_not_called_leak(family: str):
    """At a true rate of 0.1 % or less, two false alarms in 64 runs are nearly impossible."""
    row = calibrate.count(family, 0.0, [calibrate.simulate(calibrate.Batch(family, 0.0, 9001, 64))])

    assert row.leak <= 1


@pytest.mark.parametrize("family", calibrate.LEAKS)
@pytest.mark.parametrize("rate", calibrate.RATES)
def test_a_leak_is_found_at_its_rate_and_never_called_clean(family: str, rate: float):
    """Power, coverage and rate error on 32 runs, with margins for so few runs."""
    row = calibrate.count(family, rate, [calibrate.simulate(calibrate.Batch(family, rate, 9001, 32))])

    assert row.clean == 0
    assert row.leak >= 29
    assert row.coverage is not None
    assert row.coverage >= 0.85
    assert row.rate_error is not None
    assert row.rate_error <= 0.02


@pytest.mark.parametrize("family", ["sums of these", "sums, stopped anywhere", "flat with noise", "one-off jumps"])
def test_what_is_calibrated_is_what_judges_one_run(family: str):
    """Runs judged together and one by one get the same verdicts, rates and intervals."""
    batch = calibrate.Batch(family, 0.0, 9002, 8)
    together = calibrate.simulate(batch)
    values, end, _ = calibrate.make_runs(batch)
    from_0 = np.concatenate([[0], calibrate.AT[:end]])

    for run in range(batch.runs):
        alone = judge(from_0, np.concatenate([[0], values[run]]), tolerance=1.0, n_min=calibrate.N_MIN)

        finding = LookOutcome(int(together.finding[run]))
        assert alone.verdict is (Verdict[finding.name] if finding <= LookOutcome.SETTLING else Verdict.INCONCLUSIVE)
        expected = (together.rate[run], together.low[run], together.high[run])
        assert (alone.rate, alone.low, alone.high) == expected


@pytest.mark.parametrize("family", sorted(counts.STOPPED))
def test_a_count_that_does_not_rise_up_to_the_end_is_not_called_leak(family: str):
    row = counts.CountRow(family, 64, *counts.count(counts.simulate(family, 9001, 64)))

    assert row.leak == 0


def test_a_count_that_rises_in_each_of_at_least_20_cycles_is_a_leak():
    row = counts.CountRow("constant leak", 64, *counts.count(counts.simulate("constant leak", 9001, 64)))

    assert row.leak == 64


@pytest.mark.parametrize("family", [*memory.CLEAN, *memory.LEAKS])
def test_slow_cycles_and_many_threads_make_no_leak_and_hide_none(family: str):
    row = memory.MemoryRow(family, 24, *counts.count(memory.simulate(family, 9001, 24)))

    assert row.failures() == []
    assert (row.leak == 24) is (family in memory.LEAKS)


@pytest.mark.parametrize(
    ("family", "way"),
    [
        (family, way)
        for family in services.CLEAN
        for way in services.WAYS
        if way == services.MARKED or family not in ("connections that wait for a collection", "workers replaced")
    ],
)
def test_a_watched_service_without_a_leak_is_not_called_leak(family: str, way: str):
    assert Verdict.LEAK not in services.simulate(f"{family}: {way}", 9001, 2)


@pytest.mark.parametrize("family", services.LEAKS)
def test_a_watched_service_that_keeps_memory_of_its_requests_is_a_leak(family: str):
    assert services.simulate(f"{family}: {services.MARKED}", 9001, 4).count(Verdict.LEAK) >= 3


def test_no_bounded_container_of_a_random_program_is_said_to_grow_only_and_some_others_are():
    rows = keepers.calibrate_keepers(150, seed=1)

    assert len(rows) == 2
    assert [row.failures() for row in rows] == [[], []]
