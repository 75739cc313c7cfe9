"""Few small objects of Python prove no leak in a program that is only watched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from soak.analysis.decision.decide import decide
from soak.analysis.evidence import REQUIRED_FROM_OUTSIDE, Evidence
from soak.analysis.sites.garbage import without_waiting
from soak.analysis.sites.ledger import Suspect
from soak.verdict import SeriesState, SeriesVerdict, Verdict

SITE = 7


def a_leak(rate: float) -> SeriesVerdict:
    return SeriesVerdict(Verdict.LEAK, SeriesState.STEADY, rate, rate, rate, decided_at=500, since=100)


def watched(blocks: float, size: int, cycles: int) -> Evidence:
    """Give a program in which one site keeps so many blocks of this size a cycle."""
    return Evidence(
        series={"tracked": a_leak(blocks * size), "tracked_blocks": a_leak(blocks)},
        required=REQUIRED_FROM_OUTSIDE,
        tolerance_bytes=1.0,
        cycles=cycles,
        n_min=128,
        suspects=(Suspect(SITE, a_leak(blocks * size), blocks, size),),
    )


@pytest.mark.parametrize(
    ("blocks", "size", "cycles", "sites", "verdict"),
    [
        (0.1, 56, 600, {SITE}, Verdict.INCONCLUSIVE),  # a list a second: gunicorn's arbiter
        (0.1, 56, 7001, {SITE}, Verdict.LEAK),
        (1.0, 1033, 600, {SITE}, Verdict.LEAK),  # too large for a free list
        (0.1, 56, 600, set(), Verdict.LEAK),  # of C: nothing collects it
    ],
)
def test_few_small_objects_of_python_may_wait_for_a_collection(
    blocks: float, size: int, cycles: int, sites: set[int], verdict: Verdict
):
    found = without_waiting(watched(blocks, size, cycles), sites)

    assert decide(found).verdict is verdict
    assert found.suspects[0].is_leak is (verdict is Verdict.LEAK)


def test_it_is_told_how_many_cycles_more_would_decide():
    found = without_waiting(watched(0.1, 56, 600), {SITE})

    assert found.series["tracked"].needed == 6400


def test_a_site_that_fills_a_free_list_is_no_leak_however_many_blocks_it_has():
    found = without_waiting(watched(1.0, 32, 1500), {SITE}, free={SITE})

    assert decide(found).verdict is Verdict.INCONCLUSIVE
    assert not found.suspects[0].is_leak
    assert found.series["tracked"].needed == 500


def test_what_leaks_beside_a_free_list_is_a_leak():
    evidence = watched(3.0, 32, 1500)
    suspects = (*evidence.suspects, Suspect(SITE + 1, a_leak(64.0), 2.0, 32))

    by_its_site = without_waiting(replace(evidence, suspects=suspects), {SITE, SITE + 1}, free={SITE})
    by_the_sum = without_waiting(
        replace(evidence, suspects=(Suspect(SITE, a_leak(32.0), 1.0, 32),)), {SITE}, free={SITE}
    )

    assert decide(by_its_site).verdict is Verdict.LEAK
    assert decide(by_the_sum).verdict is Verdict.LEAK


def of_many_sites(cycles: int, per_cycle: float = 1.0, still: float = 1.0) -> Evidence:
    """Give a program in which sixteen sites keep a block of 56 B now and then, so that only their sum is a leak.

    ``per_cycle``: blocks of all of them. ``still``: the share of that by which they have grown of late.
    """
    each = 56 * per_cycle / 16
    undecided = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNSTEADY, each, 0.0, 2 * each)
    sites = tuple(Suspect(site, undecided, per_cycle / 16, 56, still * each) for site in range(16))
    return replace(watched(per_cycle, 56, cycles), suspects=sites)


@pytest.mark.parametrize(
    ("cycles", "per_cycle", "still", "verdict"),
    [
        (750, 1.0, 1.0, Verdict.INCONCLUSIVE),  # uvicorn's connections, each a cycle that waits
        (1400, 1.0, 1.0, Verdict.INCONCLUSIVE),
        (2900, 1.0, 1.0, Verdict.LEAK),  # a collection would have come
        (2900, 1.0, 0.1, Verdict.INCONCLUSIVE),  # it has come: what leaked once has gone
        (350, 12.0, 1.0, Verdict.LEAK),
    ],
)
def test_what_waits_at_many_sites_is_more_than_the_containers_that_are_counted(
    cycles: int, per_cycle: float, still: float, verdict: Verdict
):
    found = without_waiting(of_many_sites(cycles, per_cycle, still), set(range(16)))

    assert decide(found).verdict is verdict


def test_a_sum_that_leaks_in_blocks_alone_is_judged_as_one_in_bytes():
    evidence = of_many_sites(2900, still=0.1)
    undecided = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNSTEADY, 57.0, 0.0, 90.0)

    found = without_waiting(replace(evidence, series={**evidence.series, "tracked": undecided}), set(range(16)))

    assert decide(found).verdict is Verdict.INCONCLUSIVE


def test_the_sum_of_native_sites_is_a_leak_however_few_blocks_it_has():
    assert decide(without_waiting(of_many_sites(750), set())).verdict is Verdict.LEAK


@pytest.mark.parametrize("mean", [300.0, 528.0, 5000.0])
def test_the_sum_of_large_blocks_is_a_leak_however_few_they_are(mean: float):
    evidence = of_many_sites(100)
    series = {**evidence.series, "tracked": a_leak(mean)}
    sites = tuple(replace(site, recent_bytes_per_cycle=400.0) for site in evidence.suspects)

    found = without_waiting(replace(evidence, series=series, suspects=sites), set(range(16)))

    assert decide(found).verdict is Verdict.LEAK


def test_the_size_of_a_block_is_that_of_new_ones_not_of_a_rate_that_stands_beside_a_newer_one():
    """Of a site that a collection has just emptied the leak of before stands, at more bytes than its blocks have."""
    evidence = watched(1.0, 64, 600)
    emptied = replace(evidence.suspects[0], blocks_per_cycle=0.05, size_of_new=64.0)

    found = without_waiting(replace(evidence, suspects=(emptied,)), {SITE})

    assert decide(found).verdict is Verdict.INCONCLUSIVE


def test_a_sum_that_was_seen_before_a_collection_is_over_however_long_ago_that_is():
    """Connections of a server end as reference cycles: they rose for a thousand marks, and were then collected."""
    seen = SeriesVerdict(Verdict.LEAK, SeriesState.STEADY, 54.0, 34.0, 74.0, decided_at=972, since=244)
    in_blocks = replace(seen, rate=0.85, low=0.6, high=1.2)
    site = Suspect(SITE, replace(seen, rate=0.8, low=0.7, high=0.9), 0.06, 13, recent_bytes_per_cycle=0.8)
    served = Evidence(
        series={"tracked": seen, "tracked_blocks": in_blocks},
        required=REQUIRED_FROM_OUTSIDE,
        tolerance_bytes=1.0,
        cycles=4000,
        n_min=944,
        suspects=(site,),
    )

    over = without_waiting(served, {SITE})
    served = replace(served, suspects=(replace(site, recent_bytes_per_cycle=50.0),))  # just before a collection
    goes_on = without_waiting(replace(served, risen_blocks=3400.0), {SITE})
    waits = without_waiting(replace(served, risen_blocks=700.0), {SITE})

    assert decide(over).verdict is Verdict.INCONCLUSIVE
    assert over.series["tracked"].needed == 4000
    assert goes_on.series["tracked"].verdict is Verdict.LEAK
    assert waits.series["tracked"].verdict is Verdict.INCONCLUSIVE
