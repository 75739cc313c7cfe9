"""Drivers that replace the clocks or the collector of their process: soak keeps its budget, its pace, its counts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from running_builder import a_plan, soak_driver, this_interpreter

import soak
from soak.running.component.result import make_result
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


REPLACED_COLLECTOR = """
    import gc
    from unittest import mock
    class Node: pass
    kept = []
    def setup():
        for name in {names}:
            mock.patch("gc." + name).start()
    def cycle(state):
        first, second = Node(), Node()
        first.other, second.other = second, first
        {leak}
"""
COLLECTOR = ("collect", "isenabled", "freeze", "unfreeze", "get_freeze_count", "get_objects", "get_referrers", "enable")


@pytest.mark.parametrize(("leak", "verdict"), [("", Verdict.CLEAN), ("kept.append(bytearray(100))", Verdict.LEAK)])
def test_garbage_is_collected_whatever_a_driver_puts_in_place_of_gc(tmp_path: Path, leak: str, verdict: Verdict):
    """A mock collects nothing, and keeps a record of each call."""
    text = REPLACED_COLLECTOR.format(names=COLLECTOR, leak=leak)

    soaked = soak_driver(tmp_path, text, early_stop=True)

    result = make_result(a_plan(), soaked.observed, None, this_interpreter())
    assert (result.verdict, result.failure) == (verdict, None)
