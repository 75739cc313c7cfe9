"""Drivers that freeze or replace the clocks of their process: soak keeps its budget and its pace all the same."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from running_builder import soak_driver

import soak
from soak.verdict import Verdict

pytestmark = pytest.mark.integration

FROZEN = """
    from freezegun import freeze_time
    def setup():
        frozen = freeze_time("2020-01-01")
        frozen.start()
        return frozen
    def cycle(state): pass
"""
REPLACED = """
    import time
    def setup():
        for name in ("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "time", "time_ns", "process_time"):
            setattr(time, name, lambda: 7)
        time.sleep = lambda seconds: None
        return []
    def cycle(state): pass
"""
SET_BACK = """
    import itertools, time
    def setup():
        ticks = itertools.count(10**9, -1)
        time.monotonic = time.monotonic_ns = lambda: next(ticks)
    def cycle(state): pass
"""


@pytest.mark.parametrize("text", [FROZEN, REPLACED, SET_BACK], ids=["freezegun", "replaced", "runs backwards"])
def test_a_run_ends_after_its_duration_whatever_a_driver_does_to_the_clocks(tmp_path: Path, text: str):
    if text is FROZEN:
        pytest.importorskip("freezegun")
    observed = soak_driver(tmp_path, text, iterations=None, budget_s=0.3, checkpoint_every=None).observed

    assert (observed.stopped_by, observed.failure) == ("budget", None)
    assert 0.1 < observed.seconds < 60
    assert observed.pacing.mean_period_s is not None
    assert observed.pacing.mean_period_s > 0


@pytest.mark.parametrize("text", [FROZEN, REPLACED], ids=["freezegun", "replaced"])
def test_the_pace_is_kept_whatever_a_driver_does_to_the_clocks(tmp_path: Path, text: str):
    """A cycle each 20 ms, so no more than are due in the time that passed."""
    if text is FROZEN:
        pytest.importorskip("freezegun")
    begun_s = time.monotonic()
    observed = soak_driver(tmp_path, text, iterations=10, interval_s=0.02, checkpoint_every=1).observed

    assert observed.iterations == 10
    assert time.monotonic() - begun_s >= 9 * 0.02
    assert observed.pacing.mean_period_s is not None
    assert observed.pacing.mean_period_s > 0.01


def test_a_check_in_the_process_of_a_test_ends_while_time_is_frozen():
    freezegun = pytest.importorskip("freezegun")
    with freezegun.freeze_time("2020-01-01"):
        checked = soak.check(lambda: None, budget="0.5s", isolate=False)

    assert checked.verdict in (Verdict.CLEAN, Verdict.INCONCLUSIVE)
