"""Growth that only bounded caches hold: when it is SETTLING, and when it stays what the series say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from soak.analysis.caches import Cache, with_filling_caches
from soak.analysis.component import Judgement
from soak.verdict import SeriesVerdict, Verdict

FILLING = Cache("lru_cache", "palette.lookup", 512, 300, at_cycle=300, gained=8, watched_cycles=8, is_only_holder=True)
GROWS = SeriesVerdict(Verdict.LEAK, "Grows.", 106.0, 105.0, 107.0, decided_at=256, since=64)
BLOCKS = replace(GROWS, rate=1.0, low=1.0, high=1.0)
FLAT = SeriesVerdict(Verdict.CLEAN, "Flat.", 0.0, 0.0, 0.01)
LEAK = Judgement(
    Verdict.LEAK, "It grows.", "tracked", None, True, {"fds": FLAT, "tracked": GROWS, "tracked_blocks": BLOCKS}, 256
)


def judge(
    judgement: Judgement = LEAK, *sites: tuple[float, Cache | None], n_min: int = 256, are_leaks: bool = True
) -> Judgement:
    given = [(*site, are_leaks) for site in sites or ((106.0, FILLING),)]
    return with_filling_caches(judgement, given, cycles=300, n_min=n_min, tolerance_bytes=1.0)


def test_a_cache_is_named_with_its_bound_and_when_it_is_full():
    found = judge()

    assert (found.verdict, found.decided_by, found.standing) == (Verdict.SETTLING, "tracked", False)
    assert found.why == (
        "All that grows is held by an lru_cache of 512, palette.lookup, 300 filled: settling, full at about cycle 512, "
        "with about 21.95 KiB more than now, and by nothing else."
    )
    assert found.needed == 2151 - 300


def test_the_cycles_needed_are_n_min_at_least_and_fewer_where_no_dict_is_in_it():
    deque = replace(FILLING, kind="deque")

    assert judge(n_min=10_000).needed == 9_700
    assert judge(LEAK, (106.0, deque)).needed == 1127 - 300


def test_what_is_inconclusive_settles_too():
    early = replace(LEAK, verdict=Verdict.INCONCLUSIVE, needed=956, standing=False, decided_at=None)

    assert judge(early).verdict is Verdict.SETTLING


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
    assert judge(LEAK, (106.0, cache)) is LEAK


def test_the_table_of_a_cache_that_is_full_grows_no_more_but_what_it_holds_may():
    full = replace(FILLING, filled=512, gained=0)

    assert judge(LEAK, (106.0, FILLING), (46.0, replace(full, is_table=True))).verdict is Verdict.SETTLING
    assert judge(LEAK, (106.0, FILLING), (46.0, full)) is LEAK
    assert judge(LEAK, (46.0, replace(full, is_table=True))) is LEAK


def test_one_site_that_is_not_explained_and_matters_keeps_it_a_leak():
    assert judge(LEAK, (106.0, FILLING), (1.5, None)) is LEAK
    assert judge(LEAK, (106.0, FILLING), (0.5, None)).verdict is Verdict.SETTLING


@pytest.mark.parametrize(
    "judgement",
    [
        replace(LEAK, by_scan=True),
        replace(LEAK, series={**LEAK.series, "fds": GROWS}),
        replace(LEAK, decided_by="mapped"),
        replace(LEAK, series={**LEAK.series, "heap": replace(GROWS, rate=500.0)}),
        replace(LEAK, verdict=Verdict.CLEAN),
        replace(LEAK, verdict=Verdict.SETTLING),
    ],
    ids=["lost", "descriptors too", "mappings", "the heap grows by more than was asked for", "clean", "settling"],
)
def test_a_cache_excuses_memory_only_and_what_it_may_hold(judgement: Judgement):
    assert judge(judgement) is judgement


@pytest.mark.parametrize(
    ("cache", "said"),
    [
        (replace(FILLING, filled=512), "an lru_cache of 512, palette.lookup, full: it takes no more entries"),
        (replace(FILLING, gained=0), "an lru_cache of 512, palette.lookup, 300 filled"),
        (
            replace(FILLING, capacity=None),
            "an lru_cache without a bound, palette.lookup, 300 filled: give it a maxsize",
        ),
        (
            replace(FILLING, kind="linecache", name="linecache.cache", capacity=None),
            "linecache's cache without a bound, linecache.cache, 300 filled: empty it now and then",
        ),
    ],
)
def test_every_state_of_a_cache_is_said(cache: Cache, said: str):
    assert str(cache) == said


def test_a_little_that_is_no_leak_by_itself_and_has_another_holder_does_not_make_a_leak_of_a_cache():
    """Blocks pass from object to object on free lists, so that of twenty sites one has a strange holder."""
    sites = ((5_000.0, FILLING), (25.0, None))

    assert judge(LEAK, *sites) is LEAK
    found = judge(LEAK, *sites, are_leaks=False)
    assert (found.verdict, found.why[:17]) == (Verdict.SETTLING, "Nearly all that g")
    assert judge(LEAK, (400.0, FILLING), (25.0, None), are_leaks=False) is LEAK
