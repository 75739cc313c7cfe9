"""Expensive checkpoints early in a run: few where the rule needs none; later ones make up for their cost."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from inside_builder import Clock, Parent, a_loop, a_ring, attend

from soak.inside import loop, ring
from soak.inside.counting import counters


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stopped = Clock()
    monkeypatch.setattr(loop, "RealTime", stopped)
    monkeypatch.setattr(counters, "soak_may_collect", lambda: False)
    monkeypatch.setattr(counters, "count_gc_objects", lambda: 4711)
    return stopped


def dear_run(
    folder: Path, clock: Clock, *, iterations: int, checkpoint_s: float, early_s: float, cycle_s: float = 1e-6
) -> Parent:
    """Run short cycles with checkpoints that take ``checkpoint_s``."""
    area = a_ring(folder)
    area.words[ring.WORD_EARLY_NS] = int(early_s * 1e9)
    soaking = a_loop(area, iterations=iterations, checkpoint_every=None)
    parent = Parent(area, lambda row: clock.advance(checkpoint_s))
    attend(soaking, parent)
    soaking.run(lambda: clock.advance(cycle_s), ())
    return parent


def test_early_on_dear_checkpoints_are_few(tmp_path: Path, clock: Clock):
    """One per quarter of the cycles so far, where no look reaches back to, once the first ones have used their time."""
    cycles = dear_run(tmp_path, clock, iterations=2**17, checkpoint_s=0.01, early_s=3600.0).cycles()

    late = [cycle for cycle in cycles if cycle >= loop.FIRST_CLEAN_TO]
    assert len([cycle for cycle in cycles if cycle < loop.FIRST_CLEAN_FROM]) < 64
    assert all(before / 5 < after - before < before / 3 for before, after in itertools.pairwise(late[:-1]))


def test_where_the_ledger_may_prove_clean_each_block_gets_two_readings(tmp_path: Path, clock: Clock):
    """At any cost: the first looks are at 448 to 1,792 cycles, and their smallest blocks have 56 and 112."""
    cycles = dear_run(tmp_path, clock, iterations=2**14, checkpoint_s=0.01, early_s=3600.0).cycles()

    assert loop.FIRST_CLEAN_FROM in cycles
    for start, end, block in ((448, 896, 56), (896, 1792, 112), (1792, 3584, 224), (3584, 7168, 448)):
        for begin in range(start, end, block):
            assert len([cycle for cycle in cycles if begin < cycle <= begin + block]) >= 2


def test_what_the_first_checkpoints_took_is_saved_on_later_ones(tmp_path: Path, clock: Clock):
    """Their share of the whole time is within its limit, however expensive the first ones were."""
    parent = dear_run(tmp_path, clock, iterations=2**20, checkpoint_s=0.0025, early_s=0.1, cycle_s=8e-6)

    words = parent.area.words
    elapsed_ns = words[ring.WORD_LOOP_ENDED_NS] - words[ring.WORD_LOOP_STARTED_NS]
    assert words[ring.WORD_CHECKPOINT_NS] <= loop.FREE_CHECKPOINT_NS + 1.05 * loop.SHARE_FLAT_OUT * elapsed_ns


def test_the_first_cycles_of_a_slow_component_are_early_too(tmp_path: Path, clock: Clock):
    """However long a cycle takes, the rule decides nothing from fewer than 256, and looks back at three quarters."""
    area = a_ring(tmp_path)
    area.words[ring.WORD_EARLY_NS] = 1
    soaking = a_loop(area, iterations=256, checkpoint_every=None)
    parent = Parent(area, lambda row: clock.advance(0.03))
    attend(soaking, parent)

    soaking.run(lambda: clock.advance(0.02), ())

    cycles = parent.cycles()
    assert len([cycle for cycle in cycles if cycle < 64]) < 24
    assert all(after - before <= before // 32 for before, after in itertools.pairwise(cycles) if before >= 64)
    assert len([cycle for cycle in cycles if cycle >= 64]) < 60
    for start, end, block in ((64, 128, 8), (128, 256, 16)):
        for begin in range(start, end, block):
            assert len([cycle for cycle in cycles if begin < cycle <= begin + block]) >= 2
