"""Memory that has dropped suddenly is not a leak until it stands far above that; a leak beside it is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from soak.analysis.decision.decide import decide
from soak.analysis.evidence import REQUIRED_FROM_OUTSIDE, Evidence
from soak.analysis.falls import Drop, largest_drop
from soak.analysis.sites.drops import without_drops
from soak.analysis.sites.ledger import LedgerJudge, Suspect
from soak.verdict import SeriesState, SeriesVerdict, Verdict

GARBAGE, LEAKING = 2, 3
CYCLES = 5000


def a_leak(rate: float) -> SeriesVerdict:
    return SeriesVerdict(Verdict.LEAK, SeriesState.STEADY, rate, rate, rate, decided_at=500, since=100)


def watched(*suspects: Suspect) -> Evidence:
    rate = sum(suspect.bytes_per_cycle for suspect in suspects)
    series = {"tracked": a_leak(rate or 60.0), "tracked_blocks": a_leak(1.0)}
    return Evidence(series, REQUIRED_FROM_OUTSIDE, tolerance_bytes=1.0, cycles=CYCLES, n_min=128, suspects=suspects)


@pytest.mark.parametrize(
    ("sizes", "drop"),
    [
        ([10, 20, 30, 40, 50, 60], (0, 50)),
        ([10, 20, 30, 10, 20, 30], (20, 20)),
        ([10, 20, 30, 10, 40, 90], (20, 80)),
        ([90, 0, 10, 20, 30, 40, 50, 60, 70], (0, 70)),  # as it starts
        ([], (0, 0)),
    ],
    ids=["growth", "sawtooth", "growth under it", "after a start", "nothing"],
)
def test_the_largest_drop_and_the_rise_since_then(sizes: list[int], drop: tuple[float, float]):
    cycles = np.arange(1, len(sizes) + 1) * 100

    assert largest_drop(cycles, np.array(sizes, np.int64)) == drop


def judged() -> LedgerJudge:
    """Give a program of which one site rises by 60 B a cycle and is emptied every 2,000, and one keeps 20 B a cycle."""
    judge = LedgerJudge(1.0)
    for cycle in range(20, CYCLES + 1, 20):
        waiting, kept = cycle % 2000, cycle
        judge.add(cycle, np.array([0, 0, waiting, kept]), np.array([0, 0, 60 * waiting, 20 * kept]))
    return judge


def test_drops_are_counted_by_site_and_of_all_sites_together():
    judge = judged()

    assert judge.drop(GARBAGE) == (pytest.approx(60 * 1980, rel=0.2), 60 * 1000)
    assert judge.drop(LEAKING).fallen_bytes == 0
    assert judge.drop(None) == (pytest.approx(60 * 1980, rel=0.2), 60 * 1000 + 20 * 3000)
    judge.forget_drops()
    assert judge.drop(GARBAGE).fallen_bytes == 0


@pytest.mark.parametrize("every", [2, 3, 50])
def test_an_array_that_is_made_anew_does_not_drop(every: int):
    cycles = np.arange(20, CYCLES + 1, 20)
    kept = 200 * cycles
    read = np.where(np.arange(len(cycles)) % every == 1, 2 * kept, kept)  # the old one and the new one at once

    drop = largest_drop(cycles, read)

    assert drop.fallen_bytes == 0
    assert drop.risen_bytes > 200 * CYCLES / 2
    assert largest_drop(cycles, read - kept + 200 * (cycles % 2000)).fallen_bytes > 200 * 1500


def test_garbage_that_was_collected_before_is_no_leak_and_what_leaks_beside_it_is():
    judge = judged()
    waiting, kept = (Suspect(site, a_leak(rate), 1.0, None) for site, rate in ((GARBAGE, 60.0), (LEAKING, 20.0)))

    alone = without_drops(watched(waiting), judge.drop)
    both = without_drops(watched(waiting, kept), judge.drop)

    assert decide(alone).verdict is Verdict.INCONCLUSIVE
    assert [suspect.is_leak for suspect in both.suspects] == [False, True]
    assert decide(both).verdict is Verdict.LEAK


def test_the_sum_of_many_sites_is_told_when_it_stands_far_above_its_drop():
    low, high = Drop(100_000.0, 120_000.0), Drop(100_000.0, 200_000.0)

    undecided = without_drops(watched(), lambda _: low)

    assert decide(undecided).verdict is Verdict.INCONCLUSIVE
    assert undecided.series["tracked"].needed == -(-80_000 // 60)
    assert decide(without_drops(watched(), lambda _: high)).verdict is Verdict.LEAK


@pytest.mark.parametrize(("is_within_drops", "verdict"), [(True, Verdict.CLEAN), (False, Verdict.INCONCLUSIVE)])
def test_what_rises_again_after_a_drop_is_clean_where_nothing_of_past_cycles_is_left(
    is_within_drops: bool, verdict: Verdict
):
    rises = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNSTEADY, 60.0, 40.0, 80.0, is_growing=True)
    flat = SeriesVerdict(Verdict.CLEAN, SeriesState.FLAT, 0.0, 0.0, 0.001, decided_at=CYCLES)
    nothing = SeriesVerdict(Verdict.CLEAN, SeriesState.NOTHING_STAYS, 0.0, 0.0, 0.1, decided_at=CYCLES)
    series = {**dict.fromkeys(REQUIRED_FROM_OUTSIDE, flat), "tracked": rises, "tracked_blocks": rises}
    seen = Evidence(series, REQUIRED_FROM_OUTSIDE, 1.0, CYCLES, 128, early=series, survivors=nothing)

    assert decide(replace(seen, is_watched=True, is_within_drops=is_within_drops)).verdict is verdict
