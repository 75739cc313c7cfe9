"""Growth of a site that ended just before the latest checkpoint: a cache is full, and a leak is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from soak.analysis.decision.decide import decide
from soak.analysis.evidence import Evidence
from soak.analysis.sites.ledger import LedgerJudge, Suspect
from soak.analysis.sites.rest import EndedGrowth, ended_after
from soak.verdict import SeriesState, SeriesVerdict, Verdict

LEAK = SeriesVerdict(Verdict.LEAK, SeriesState.STEADY, 106.0, 105.0, 107.0, decided_at=1100, since=300, is_growing=True)
SITE, OTHER, TABLE = 7, 8, 9
SUSPECT = Suspect(SITE, LEAK, 2.0, 53)
BESIDE = Suspect(OTHER, LEAK, 1.0, 106)
OF_TABLE = Suspect(TABLE, LEAK, 0.0, None)
HEAP = replace(LEAK, rate=110.0)


def checkpoints(cycles: int, spacing: int) -> np.ndarray:
    return np.unique(np.append(np.arange(spacing, cycles, spacing), cycles)).astype(np.int64)


def filled(cycles: np.ndarray, size: int, entries: float = 1.0, blocks: int = 2) -> np.ndarray:
    return blocks * np.minimum((entries * cycles).astype(np.int64), size)


@pytest.mark.parametrize("spacing", [1, 4, 16])
@pytest.mark.parametrize("share", [0.5, 0.6, 0.7, 0.8, 0.87, 0.95])
@pytest.mark.parametrize("cycles", [1100, 2800, 9000])
def test_a_cache_that_has_become_full_is_at_rest(cycles: int, share: float, spacing: int):
    at, size = checkpoints(cycles, spacing), int(share * cycles)

    until = ended_after(at, filled(at, size))

    assert until is not None
    assert until == pytest.approx(size, abs=cycles / 6)


@pytest.mark.parametrize("seed", range(20))
def test_a_cache_of_ages_is_at_rest_though_its_size_goes_up_and_down(seed: int):
    """A busy machine puts more or less of them into ten seconds."""
    chance = np.random.default_rng(seed)
    at = checkpoints(4164, 7)
    blocks = filled(at, 2150) + np.where(at > 2150, chance.normal(0, 40, len(at)), 0).astype(np.int64)

    assert ended_after(at, blocks) == pytest.approx(2150, abs=4164 / 6)


@pytest.mark.parametrize("entries", [1, 3, 0.25])
def test_a_leak_of_each_cycle_is_never_at_rest(entries: float):
    for cycles in range(300, 4000, 101):
        at = checkpoints(cycles, 4)
        assert ended_after(at, filled(at, 10**9, entries)) is None


@pytest.mark.parametrize("burst", [1, 50])
@pytest.mark.parametrize("period", [2, 7, 20, 50, 100, 137, 200, 400])
def test_a_leak_that_comes_in_bursts_is_never_at_rest(period: int, burst: int):
    for cycles in range(300, 2600, 29):
        at = checkpoints(cycles, 4)
        assert ended_after(at, burst * (at // period)) is None


@pytest.mark.parametrize("per_cycle", [0.02, 0.2, 1.0, 5.0])
def test_a_leak_that_comes_at_random_is_hardly_ever_at_rest(per_cycle: float):
    chance = np.random.default_rng(5)
    found = 0
    for _ in range(300):
        each = np.cumsum(chance.poisson(per_cycle, 1200))
        at = checkpoints(1200, 4)
        found += ended_after(at, each[at - 1]) is not None

    assert found == 0


def test_few_or_no_readings_tell_nothing():
    assert ended_after(np.array([], np.int64), np.array([], np.int64)) is None
    assert ended_after(np.array([5], np.int64), np.array([5], np.int64)) is None
    assert ended_after(checkpoints(1000, 200), filled(checkpoints(1000, 200), 600)) is None


def evidence_of(*suspects: Suspect, **series: SeriesVerdict) -> Evidence:
    return Evidence(
        series={"tracked": LEAK} | series,
        required=frozenset(),
        tolerance_bytes=1.0,
        cycles=1154,
        n_min=1100,
        is_n_min_of_slow_cycles=True,
        suspects=suspects,
        is_last=True,
    )


def decided(evidence: Evidence, ended: dict[int, int]) -> tuple[Verdict, SeriesState]:
    decision = decide(EndedGrowth(ended.get).apply(evidence))
    return decision.verdict, decision.series["tracked"].state


@pytest.mark.parametrize(
    ("suspects", "ended", "verdict"),
    [
        ((SUSPECT,), {SITE: 1000}, Verdict.INCONCLUSIVE),
        ((SUSPECT, OF_TABLE), {SITE: 1000}, Verdict.INCONCLUSIVE),
        ((SUSPECT,), {}, Verdict.LEAK),
        ((SUSPECT, BESIDE), {SITE: 1000}, Verdict.LEAK),
        ((SUSPECT, BESIDE), {SITE: 1000, OTHER: 990}, Verdict.INCONCLUSIVE),
        ((SUSPECT, BESIDE, OF_TABLE), {SITE: 1000}, Verdict.LEAK),
    ],
    ids=["a cache", "with its table", "a leak", "a leak beside", "two caches", "a leak and tables"],
)
def test_what_has_ended_is_no_leak_and_what_goes_on_beside_it_is(
    suspects: tuple[Suspect, ...], ended: dict[int, int], verdict: Verdict
):
    assert decided(evidence_of(*suspects, heap=HEAP), ended)[0] is verdict


def test_it_says_after_which_cycle_and_how_many_more_would_decide():
    decision = decide(EndedGrowth({SITE: 1000}.get).apply(evidence_of(SUSPECT)))

    assert (decision.series["tracked"].state, decision.series["tracked"].until) == (SeriesState.ENDED, 1000)
    assert decision.needed == 2200 - 1154


def test_a_heap_that_grows_by_more_than_the_ledger_saw_is_a_leak_still():
    assert decided(evidence_of(SUSPECT, heap=replace(LEAK, rate=1000.0)), {SITE: 1000})[0] is Verdict.LEAK


@pytest.mark.parametrize(
    ("recent", "n_min", "verdict"),
    [(20.0, 1100, Verdict.INCONCLUSIVE), (60.0, 1100, Verdict.LEAK), (20.0, 20_000, Verdict.LEAK)],
)
def test_a_site_that_a_look_called_a_leak_grows_in_the_later_half_too(recent: float, n_min: int, verdict: Verdict):
    """A cache of ages went up and down on a busy machine, after a look in which it had filled."""
    open_series = replace(LEAK, verdict=Verdict.INCONCLUSIVE, state=SeriesState.UNDECIDED, rate=3.0, low=-2.0)
    suspect = replace(SUSPECT, recent_bytes_per_cycle=recent)
    evidence = replace(evidence_of(suspect, tracked=open_series), n_min=n_min, cycles=4200)

    assert decide(evidence).verdict is verdict


def test_what_has_ended_stays_so_after_it_is_no_suspect_any_more_until_it_grows_again():
    ended = {SITE: 1000}
    growth = EndedGrowth(ended.get)
    growth.apply(evidence_of(SUSPECT))

    later = decide(growth.apply(evidence_of()))
    ended.clear()
    again = decide(growth.apply(evidence_of(SUSPECT)))

    assert (later.verdict, again.verdict) == (Verdict.INCONCLUSIVE, Verdict.LEAK)


def test_the_ledger_gives_the_readings_that_show_it():
    judge = LedgerJudge(tolerance_bytes=1.0)
    for cycle in range(4, 1156, 4):
        judge.add(cycle, np.array([0, 2 * min(cycle, 1000)]), np.array([0, 106 * min(cycle, 1000)]))

    (suspect,) = judge.suspects(1100)
    cycles, blocks, _ = judge.series(suspect.site)

    assert ended_after(cycles, blocks) == pytest.approx(1000, abs=100)
