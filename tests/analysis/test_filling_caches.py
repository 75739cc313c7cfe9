"""Growth that only bounded caches hold: when it is SETTLING, and when it stays what the series say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from soak.analysis.decision.decide import decide
from soak.analysis.decision.outcome import Decision
from soak.analysis.evidence import Evidence, Proven
from soak.analysis.sites.caches import Cache, CachedSite
from soak.grounds import Filling, HoldingCache, Streak
from soak.verdict import SeriesState, SeriesVerdict, Verdict

FILLING = Cache("lru_cache", "palette.lookup", 512, 300, at_cycle=300, gained=8, watched_cycles=8, is_only_holder=True)
GROWS = SeriesVerdict(Verdict.LEAK, SeriesState.STEADY, 106.0, 105.0, 107.0, decided_at=256, since=64, is_growing=True)
BLOCKS = replace(GROWS, rate=1.0, low=1.0, high=1.0)
FLAT = SeriesVerdict(Verdict.CLEAN, SeriesState.FLAT, 0.0, 0.0, 0.01, decided_at=256)
LEAK = Evidence(
    series={"fds": FLAT, "tracked": GROWS, "tracked_blocks": BLOCKS},
    required=frozenset(),
    tolerance_bytes=1.0,
    cycles=300,
    n_min=256,
)


def decided(evidence: Evidence = LEAK, *sites: tuple[float, Cache | None], are_leaks: bool = True) -> Decision:
    cached = tuple(CachedSite(rate, cache, are_leaks) for rate, cache in sites or ((106.0, FILLING),))
    return decide(replace(evidence, cached=cached))


def filling_of(decision: Decision) -> Filling:
    assert decision.verdict is Verdict.SETTLING
    assert decision.grounds[0].filling is not None
    return decision.grounds[0].filling


def test_a_cache_is_named_with_its_bound_and_when_it_is_full():
    found = decided()

    assert (found.verdict, found.decided_by, found.is_final) == (Verdict.SETTLING, "tracked", False)
    assert filling_of(found) == Filling(
        HoldingCache("lru_cache", "palette.lookup", 512, 300, full_at_cycle=512), 212 * 106.0, is_all=True
    )
    assert found.needed == 2151 - 300


def test_the_cycles_needed_are_n_min_at_least_and_fewer_where_no_dict_is_in_it():
    deque = replace(FILLING, kind="deque")

    assert decided(replace(LEAK, n_min=10_000)).needed == 9_700
    assert decided(LEAK, (106.0, deque)).needed == 1127 - 300


def test_what_is_inconclusive_settles_too():
    early = replace(GROWS, verdict=Verdict.INCONCLUSIVE, state=SeriesState.EARLY, decided_at=None, needed=956)

    assert decided(replace(LEAK, series={"fds": FLAT, "tracked": early})).verdict is Verdict.SETTLING


def test_a_slow_cache_is_full_later():
    slow = replace(FILLING, gained=2, watched_cycles=1000)

    assert slow.full_at == 300 + 212 * 500


@pytest.mark.parametrize(
    "cache",
    [
        None,
        replace(FILLING, is_only_holder=False),
        replace(FILLING, filled=512),
        replace(FILLING, gained=0),
        replace(FILLING, capacity=None),
        replace(FILLING, capacity=400_000),
    ],
    ids=["no cache", "another holder", "full", "not seen to fill", "unbounded", "full after more than 1,024 times"],
)
def test_growth_that_no_bounded_cache_alone_explains_stays_a_leak(cache: Cache | None):
    assert decided(LEAK, (106.0, cache)).verdict is Verdict.LEAK


def test_the_table_of_a_cache_that_is_full_grows_no_more_but_what_it_holds_may():
    full = replace(FILLING, filled=512, gained=0)

    assert decided(LEAK, (106.0, FILLING), (46.0, replace(full, is_table=True))).verdict is Verdict.SETTLING
    assert decided(LEAK, (106.0, FILLING), (46.0, full)).verdict is Verdict.LEAK
    assert decided(LEAK, (46.0, replace(full, is_table=True))).verdict is Verdict.LEAK


def test_one_site_that_is_not_explained_and_matters_keeps_it_a_leak():
    assert decided(LEAK, (106.0, FILLING), (1.5, None)).verdict is Verdict.LEAK
    assert decided(LEAK, (106.0, FILLING), (0.5, None)).verdict is Verdict.SETTLING


@pytest.mark.parametrize(
    ("evidence", "verdict"),
    [
        (replace(LEAK, lost=Proven(1, GROWS, GROWS, 300, is_settled=True)), Verdict.LEAK),
        (replace(LEAK, series={**LEAK.series, "fds": GROWS}), Verdict.LEAK),
        (replace(LEAK, series={"fds": FLAT, "mapped": GROWS}), Verdict.LEAK),
        (replace(LEAK, series={**LEAK.series, "heap": replace(GROWS, rate=500.0)}), Verdict.LEAK),
        (replace(LEAK, series={"fds": FLAT, "tracked": FLAT}), Verdict.CLEAN),
    ],
    ids=["lost", "descriptors too", "mappings", "the heap grows by more than was asked for", "clean"],
)
def test_a_cache_excuses_memory_only_and_what_it_may_hold(evidence: Evidence, verdict: Verdict):
    assert decided(evidence).verdict is verdict


def test_a_little_that_is_no_leak_by_itself_and_has_another_holder_does_not_make_a_leak_of_a_cache():
    """Free lists pass blocks from object to object, so one of twenty sites may have an unrelated holder."""
    sites = ((5_000.0, FILLING), (25.0, None))

    assert decided(LEAK, *sites).verdict is Verdict.LEAK
    found = decided(LEAK, *sites, are_leaks=False)
    assert not filling_of(found).is_all
    assert decided(LEAK, (400.0, FILLING), (25.0, None), are_leaks=False).verdict is Verdict.LEAK


@pytest.mark.parametrize(
    ("cache", "verdict"),
    [
        (replace(FILLING, gained=0, watched_cycles=2), Verdict.INCONCLUSIVE),
        (replace(FILLING, gained=0, watched_cycles=0), Verdict.INCONCLUSIVE),
        (replace(FILLING, gained=0, watched_cycles=4), Verdict.LEAK),
        (replace(FILLING, gained=0, watched_cycles=0, filled=3), Verdict.LEAK),
        (replace(FILLING, gained=0, watched_cycles=0, filled=512), Verdict.LEAK),
        (replace(FILLING, is_only_holder=False, is_only_seen=True), Verdict.INCONCLUSIVE),
        (replace(FILLING, is_only_holder=False, is_only_seen=True, capacity=None), Verdict.LEAK),
        (replace(FILLING, gained=-40), Verdict.INCONCLUSIVE),
        (replace(FILLING, gained=-40, capacity=10**9), Verdict.INCONCLUSIVE),
        (replace(FILLING, gained=-40, capacity=None), Verdict.LEAK),
    ],
    ids=[
        *("2 cycles watched", "none", "4", "of three entries", "full", "walk cut", "unbounded, walk cut"),
        *("drops entries by their age", "drops entries long before it is full", "unbounded, drops entries"),
    ],
)
def test_a_cache_that_was_not_looked_at_to_the_end_may_fill(cache: Cache, verdict: Verdict):
    """On a busy machine there is time for few cycles after the last one, of which none need add an entry."""
    assert decided(LEAK, (106.0, cache)).verdict is verdict


def test_beside_a_cache_that_drops_entries_its_tables_are_no_leak_and_as_much_as_it_holds_is():
    drops = replace(FILLING, gained=-40)

    assert decided(LEAK, (90.0, drops), (20.0, None)).verdict is Verdict.INCONCLUSIVE
    assert decided(LEAK, (60.0, drops), (46.0, None)).verdict is Verdict.LEAK


def test_what_the_walk_did_not_come_to_may_be_in_the_cache_and_what_it_found_elsewhere_is_not():
    partly = replace(FILLING, is_only_holder=False, is_only_seen=True)
    sites = (CachedSite(106.0, partly, is_leak=True), CachedSite(50.0, None, is_leak=True, is_unseen=True))
    known = (sites[0], replace(sites[1], is_unseen=False))

    assert decide(replace(LEAK, cached=sites)).verdict is Verdict.INCONCLUSIVE
    assert decide(replace(LEAK, cached=known)).verdict is Verdict.LEAK
    assert decide(replace(LEAK, cached=sites[1:])).verdict is Verdict.LEAK


@pytest.mark.parametrize(
    ("at_cycle", "blocks_per_cycle", "filled", "verdict"),
    [
        (600, 1.0, 512, Verdict.INCONCLUSIVE),
        (1100, 1.0, 512, Verdict.LEAK),
        (5000, 0.2, 512, Verdict.INCONCLUSIVE),
        (600, 1.0, 700, Verdict.LEAK),
        (600, 10.0, 512, Verdict.LEAK),
    ],
    ids=["just now", "long ago", "it fills slowly", "past its bound", "its entries grow"],
)
def test_a_cache_that_has_become_full_just_now_is_no_leak(
    at_cycle: int, blocks_per_cycle: float, filled: int, verdict: Verdict
):
    """On a busy machine some cycles pass between the look that says LEAK and the end."""
    full = replace(FILLING, filled=filled, gained=0, at_cycle=at_cycle)
    site = CachedSite(106.0, full, is_leak=True, blocks_per_cycle=blocks_per_cycle)

    assert decide(replace(LEAK, cached=(site,))).verdict is verdict


OWN = Cache("dict", "app.cache", 1500, 1421, at_cycle=1421, is_only_seen=True, is_bounded_by_code=True)


@pytest.mark.parametrize(
    ("cache", "n_min", "is_slow", "verdict"),
    [
        (OWN, 256, False, Verdict.INCONCLUSIVE),
        (replace(OWN, filled=1500), 256, False, Verdict.LEAK),
        (replace(OWN, capacity=None), 1421, True, Verdict.INCONCLUSIVE),
        (replace(OWN, capacity=None), 1421, False, Verdict.LEAK),
        (replace(OWN, capacity=None), 16_384, True, Verdict.LEAK),
    ],
    ids=["has room", "full", "of a hidden bound", "n_min was asked for", "n_min is large"],
)
def test_a_container_that_its_code_bounds_may_be_a_cache(cache: Cache, n_min: int, is_slow: bool, verdict: Verdict):
    """A dict with eviction at 1,500 entries was a leak at cycle 1,421."""
    evidence = replace(LEAK, n_min=n_min, is_n_min_of_slow_cycles=is_slow)
    if n_min == 1421:
        evidence = replace(evidence, cycles=1500)

    assert decided(evidence, (106.0, cache)).verdict is verdict


@pytest.mark.parametrize(("cycles", "verdict"), [(4095, Verdict.INCONCLUSIVE), (4096, Verdict.LEAK)])
def test_a_hidden_bound_excuses_no_more_than_so_many_cycles(cycles: int, verdict: Verdict):
    """A leak in code that never comes to its eviction was undecided however long it ran."""
    hidden = replace(OWN, capacity=None, filled=cycles, at_cycle=cycles)
    evidence = replace(LEAK, n_min=1100, is_n_min_of_slow_cycles=True, cycles=cycles)

    found = decided(evidence, (106.0, hidden))

    assert found.verdict is verdict
    assert found.needed == (1 if verdict is Verdict.INCONCLUSIVE else None)


@pytest.mark.parametrize(("growth_bytes", "verdict"), [(2.0**31, Verdict.LEAK), (2.0**27, Verdict.INCONCLUSIVE)])
def test_a_hidden_bound_excuses_no_more_than_so_much_memory(growth_bytes: float, verdict: Verdict):
    """Open figures were undecided, because a function that is never called empties their registry."""
    hidden = replace(OWN, capacity=None, filled=1500, at_cycle=1500)
    streak = Streak(0, 1500, 100, 0.0, growth_bytes, later_rate=growth_bytes / 1500)
    evidence = replace(LEAK, n_min=1100, is_n_min_of_slow_cycles=True, cycles=1500, is_last=True)

    assert decided(replace(evidence, streaks={"tracked": streak}), (106.0, hidden)).verdict is verdict


@pytest.mark.parametrize(
    ("may_be_bounded", "is_slow", "cycles", "is_final"),
    [
        (True, True, 3000, False),
        (False, True, 3000, True),
        (True, False, 3000, True),
        (True, True, 9000, True),
    ],
)
def test_a_run_goes_on_where_the_code_may_bound_what_grows(
    may_be_bounded: bool, is_slow: bool, cycles: int, is_final: bool
):
    """A clean program with a cache of 3,000 took a second run."""
    evidence = replace(LEAK, n_min=1100, is_n_min_of_slow_cycles=is_slow, cycles=cycles, may_be_bounded=may_be_bounded)

    found = decide(evidence)

    assert (found.verdict, found.is_final) == (Verdict.LEAK, is_final)


@pytest.mark.parametrize(("cycles", "is_final"), [(2047, True), (2048, False), (4095, False), (4096, True)])
def test_a_run_that_is_half_way_goes_on_where_only_the_process_can_tell_which_container_holds_its_objects(
    cycles: int, is_final: bool
):
    """A queue without a limit was undecided: it ended early, and its class bounds those that have one."""
    series = {**LEAK.series, "python_blocks": BLOCKS}
    evidence = replace(LEAK, n_min=1100, is_n_min_of_slow_cycles=True, cycles=cycles, series=series)

    assert decide(evidence).is_final is is_final
    assert decide(replace(evidence, is_n_min_of_slow_cycles=False)).is_final


@pytest.mark.parametrize("is_slow", [True, False])
def test_a_run_goes_on_until_what_grows_has_more_entries_than_its_code_allows(*, is_slow: bool):
    """A clean cache of 5,000 was undecided after a third of the time: the run ended with 4,325 entries."""
    evidence = replace(LEAK, n_min=1100, is_n_min_of_slow_cycles=is_slow, cycles=4325, is_below_bound=True)

    assert not decide(evidence).is_final
    assert decide(replace(evidence, is_below_bound=False)).is_final


def test_a_weak_registry_of_what_a_bounded_cache_holds_grows_with_it():
    """A WeakValueDictionary beside a deque of 3,000 was a leak."""
    weak = Cache("WeakValueDictionary", "app.all", None, 300, at_cycle=300, gained=8, watched_cycles=8)

    assert decided(LEAK, (90.0, FILLING), (16.0, weak)).verdict is Verdict.SETTLING
    assert decided(LEAK, (16.0, weak)).verdict is Verdict.LEAK
    assert decided(LEAK, (90.0, FILLING), (16.0, weak), (20.0, None)).verdict is Verdict.LEAK


@pytest.mark.parametrize(
    ("cycles", "n_min", "may_be_bounded", "is_watched", "verdict"),
    [
        (3000, 1024, True, True, Verdict.INCONCLUSIVE),
        (3000, 1024, False, True, Verdict.LEAK),
        (3000, 1024, True, False, Verdict.LEAK),
        (4096, 1024, True, True, Verdict.LEAK),
        (20_000, 16_384, True, True, Verdict.LEAK),
    ],
    ids=["a cache, perhaps", "no cache", "a run", "many cycles", "a large n_min"],
)
def test_a_watched_program_whose_code_may_bound_what_grows_leaks_only_after_many_cycles(
    cycles: int, n_min: int, may_be_bounded: bool, is_watched: bool, verdict: Verdict
):
    """A service with an OrderedDict of 5,000 entries was a leak after 1,600 requests."""
    evidence = replace(LEAK, n_min=n_min, cycles=cycles, may_be_bounded=may_be_bounded, is_watched=is_watched)

    found = decide(evidence)

    assert found.verdict is verdict
    assert found.needed == (None if verdict is Verdict.LEAK else 4096 - cycles)
