"""A component's verdict from its signals: who decides, what it takes to be CLEAN, and when it may be said early."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.analysis.component import (
    LARGEST_N_MIN,
    SMALLEST_N_MIN,
    ComponentJudge,
    Judgement,
    choose_n_min,
    combine,
    n_min_at_half_time,
    with_leaking_sites,
    with_lost_sites,
)
from soak.analysis.ledger import LedgerJudge, Suspect
from soak.measurements import SIGNALS, Reading
from soak.verdict import SeriesVerdict, Verdict

REQUIRED = frozenset({"heap", "python_blocks", "fds"})


def series(**verdicts: str) -> dict[str, SeriesVerdict]:
    """Give CLEAN series of the required signals, RSS and mapped, with those that are named changed, in their order."""
    named = {**dict.fromkeys((*REQUIRED, "rss", "mapped"), "CLEAN"), **verdicts}
    rates = {"LEAK": 2.0, "CLEAN": 0.0, "SETTLING": 1.5, "INCONCLUSIVE": 0.0, "GROWING": 3.0}
    return {
        name: SeriesVerdict(
            Verdict("INCONCLUSIVE" if named[name] == "GROWING" else named[name]),
            f"Says {named[name]}.",
            rate=rates[named[name]],
            decided_at=512 if named[name] in ("LEAK", "CLEAN") else None,
            needed=100 if named[name] in ("SETTLING", "INCONCLUSIVE", "GROWING") else None,
            is_growing=named[name] in ("LEAK", "SETTLING", "GROWING"),
        )
        for name in SIGNALS
        if name in named
    }


def test_all_deciding_signals_clean_is_clean():
    judgement = combine(series(), REQUIRED)

    assert (judgement.verdict, judgement.decided_by, judgement.standing, judgement.decided_at) == (
        Verdict.CLEAN, "heap", True, 512,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["heap", "python_blocks", "fds", "mapped"])
def test_one_leaking_signal_is_a_leak(name: str):
    """Of mappings too: memory that is mapped and not unmapped explains itself."""
    judgement = combine(series(**{name: "LEAK"}), REQUIRED)

    assert (judgement.verdict, judgement.decided_by, judgement.standing) == (Verdict.LEAK, name, True)


def test_the_signal_that_explains_most_decides():
    """A leaked descriptor takes heap, and heap takes resident memory: the descriptor is told."""
    judgement = combine(series(fds="LEAK", heap="LEAK", python_blocks="LEAK", mapped="LEAK", rss="LEAK"), REQUIRED)

    assert judgement.decided_by == "fds"


def test_a_leak_waits_for_a_signal_that_explains_more_and_grows():
    """Threads are counted for fewer cycles than heap; while they grow undecided, heap's LEAK is not the last word."""
    growing = combine(series(fds="GROWING", heap="LEAK"), REQUIRED)
    flat = combine(series(fds="INCONCLUSIVE", heap="LEAK"), REQUIRED)

    assert (growing.verdict, growing.standing) == (Verdict.LEAK, False)
    assert (flat.verdict, flat.standing) == (Verdict.LEAK, True)


def test_heap_that_only_the_tcache_takes_is_no_leak_beside_a_ledger():
    """A program that seldom asks for a size fills the tcache for thousands of cycles, which malloc counts as in use."""
    for grown, found in ((8.0, "CLEAN"), (80.0, "LEAK")):
        signals = series(heap="LEAK", tracked="CLEAN", tracked_blocks="CLEAN")
        signals["heap"] = dataclasses.replace(signals["heap"], rate=grown, judged_at=17_000)
        assert combine(signals, REQUIRED).verdict == found
        del signals["tracked"]
        assert combine(signals, REQUIRED).verdict is Verdict.LEAK

    over = dataclasses.replace(signals["heap"], is_growing=False)
    assert combine({**series(tracked="CLEAN"), "heap": over}, REQUIRED).verdict is Verdict.CLEAN


@pytest.mark.parametrize(("name", "ledger"), [("heap", "tracked"), ("python_blocks", "tracked_blocks")])
def test_a_counter_needs_no_proof_where_the_ledger_counts_the_same_and_is_clean(name: str, ledger: str):
    assert combine(series(**{name: "INCONCLUSIVE", ledger: "CLEAN"}), REQUIRED).verdict is Verdict.CLEAN
    assert combine(series(**{name: "INCONCLUSIVE", ledger: "INCONCLUSIVE"}), REQUIRED).verdict is Verdict.INCONCLUSIVE
    assert combine(series(**{name: "GROWING", ledger: "CLEAN"}), REQUIRED).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_needed_signal_that_was_not_read_rules_clean_out(name: str):
    """INCONCLUSIVE with the reason, never CLEAN."""
    without = {signal: verdict for signal, verdict in series().items() if signal != name}

    judgement = combine(without, REQUIRED)

    assert (judgement.verdict, judgement.standing) == (Verdict.INCONCLUSIVE, False)
    assert SIGNALS[name].title in judgement.why
    assert "could not be read" in judgement.why


def test_a_leak_is_told_although_another_signal_was_not_read():
    without = {name: verdict for name, verdict in series(fds="LEAK").items() if name != "heap"}

    assert combine(without, REQUIRED).verdict is Verdict.LEAK


def test_resident_memory_alone_is_unexplained_growth():
    """Neither LEAK nor CLEAN: memory in use does not grow."""
    judgement = combine(series(rss="LEAK"), REQUIRED)

    assert (judgement.verdict, judgement.decided_by, judgement.standing) == (Verdict.INCONCLUSIVE, "rss", False)
    assert judgement.why.startswith("Unexplained growth: Resident memory (RSS): ")


def test_what_only_informs_changes_nothing():
    judgement = combine(series(pss="LEAK", gc_objects="LEAK", python_blocks_before_gc="LEAK"), REQUIRED)

    assert judgement.verdict is Verdict.CLEAN


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        ({"heap": "SETTLING"}, Verdict.SETTLING),
        ({"heap": "SETTLING", "python_blocks": "SETTLING"}, Verdict.SETTLING),
        ({"heap": "SETTLING", "python_blocks": "INCONCLUSIVE"}, Verdict.INCONCLUSIVE),
        ({"heap": "INCONCLUSIVE"}, Verdict.INCONCLUSIVE),
    ],
)
def test_what_is_open_is_told_with_the_cycles_it_needs(verdicts: dict[str, str], verdict: Verdict):
    judgement = combine(series(**verdicts), REQUIRED)

    assert (judgement.verdict, judgement.needed, judgement.standing) == (verdict, 100, False)


@pytest.mark.parametrize(
    ("budget", "n_min"),
    [(0, 256), (2048, 256), (4096, 512), (5000, 625), (8192, 1024), (2**20, 131072), (10**9, 131072)],
)
def test_n_min_is_an_eighth_of_the_budget(budget: float, n_min: int):
    assert choose_n_min(budget) == n_min


@given(st.floats(min_value=0, max_value=1e15))
def test_n_min_stays_within_its_bounds(budget: float):
    assert SMALLEST_N_MIN <= choose_n_min(budget) <= LARGEST_N_MIN


@pytest.mark.parametrize(
    ("n_min", "cycles", "then"),
    [(373, 250, 256), (373, 300, 300), (373, 373, 373), (373, 4000, 373), (256, 10, 256), (131072, 70000, 70000)],
)
def test_at_half_time_n_min_falls_to_what_has_been_made(n_min: int, cycles: int, then: int):
    """Never below the smallest, never upwards, and not a second time when more has been made."""
    assert n_min_at_half_time(n_min, cycles) == then
    assert n_min_at_half_time(then, cycles + 100) == then


def test_a_component_that_gets_slower_is_judged_by_what_it_has_made():
    """n_min followed from its first, fast cycles; what runs into a limit has its own, which stays."""
    judge = judge_of({"fds": 1024.0}, 373, {"fds": 0.0, "heap": 128.0}, 300, may_fall=True)
    before = judge.judge()
    judge.lower_n_min(300)
    judge.add(Reading(301, 30.1, {"fds": 10.0, "heap": 10 + 128 * 301}))
    judgement = judge.judge()

    assert (before.verdict, judgement.verdict) == (Verdict.INCONCLUSIVE, Verdict.LEAK)
    assert (judge.n_min, judge.n_clean, judgement.series["heap"].decided_at) == (300, 300, 300)
    assert judgement.series["fds"] == before.series["fds"]


def judge_of(
    limits: dict[str, float],
    n_min: int,
    rates: dict[str, float],
    cycles: int,
    tolerance_bytes: float = 1.0,
    *,
    may_fall: bool = False,
) -> ComponentJudge:
    judge = ComponentJudge(tolerance_bytes, limits, frozenset(rates))
    judge.fix_n_min(n_min, may_fall=may_fall)
    for cycle in range(cycles + 1):
        judge.add(Reading(cycle, cycle / 10, {name: 10 + rate * cycle for name, rate in rates.items()}))
    return judge


def test_a_count_that_runs_into_a_limit_is_judged_long_before():
    """At one descriptor a cycle of 1,024: LEAK at cycle 64, not at n_min, when the process would long be dead."""
    limited = judge_of({"fds": 1024.0}, 16384, {"fds": 1.0}, 64).judge()
    unlimited = judge_of({}, 16384, {"fds": 1.0}, 64).judge()

    assert (limited.verdict, limited.series["fds"].rate) == (Verdict.LEAK, 1.0)
    assert unlimited.verdict is Verdict.INCONCLUSIVE


def test_what_a_guard_stopped_is_a_leak_of_its_mean_rate():
    """Too soon for the rule; from the first reading to the limit's neighbourhood all the same."""
    judge = judge_of({"fds": 100.0}, 256, {"fds": 10.0, "heap": 0.0}, 8)

    judgement = judge.judge_at_guard("fds", 8)

    assert (judgement.verdict, judgement.decided_by, judgement.series["fds"].rate) == (Verdict.LEAK, "fds", 10.0)
    assert "Rose from 10 to 90" in judgement.series["fds"].reason.replace("rose", "Rose")
    assert "of 100 that are allowed" in judgement.series["fds"].reason


def test_a_guard_that_trips_on_what_does_not_grow_is_no_leak():
    """A process that starts near its limit and stays there."""
    judge = judge_of({"fds": 12.0}, 256, {"fds": 0.0, "heap": 0.0}, 8)

    assert judge.judge_at_guard("fds", 8).verdict is not Verdict.LEAK


def test_the_time_of_a_cycle_is_that_of_the_first_checkpoint_behind_it():
    judge = judge_of({}, 256, {"fds": 0.0}, 20)

    assert [judge.time_of(cycle) for cycle in (0, 7, 20, 99)] == [0.0, 0.7, 2.0, 2.0]


def with_tables(cycle: int) -> tuple[int, int, int]:
    """Live blocks and bytes of what a cycle adds to two dicts, and bytes of their tables, which double in turns."""
    return cycle, 64 * cycle, (36 << cycle.bit_length()) + (36 << (cycle * 4 // 3).bit_length())


def judged_with_sites(cycles: int, **others: float) -> tuple[Judgement, Judgement]:
    """Judge dicts that keep an object of 64 B a cycle, by all counters alone, and with what the sites say."""
    judge, ledger = ComponentJudge(1.0, {}, frozenset({"fds"})), LedgerJudge(1.0)
    judge.fix_n_min(256)
    for cycle in range(0, cycles + 1, 4):
        blocks, sizes, table = with_tables(cycle)
        counters = {"tracked": sizes + table, "tracked_blocks": blocks + 2, "heap": table, "fds": 0.0}
        counters |= {name: rate * cycle for name, rate in others.items()}
        judge.add(Reading(cycle, cycle / 10, {name: float(value) for name, value in counters.items()}))
        ledger.add(cycle, np.array([blocks, 2]), np.array([sizes, table]))
    alone = judge.judge()
    return alone, with_leaking_sites(alone, ledger.suspects(256), 1.0)


def test_tables_that_are_resized_take_nothing_from_what_a_site_proves():
    """Bytes in all tell nothing, for tables doubled in between; of one site it is known that it takes 64 B a cycle."""
    alone, judgement = judged_with_sites(768)
    blurred, told = alone.series["tracked"], judgement.series["tracked"]

    assert (alone.verdict, alone.decided_by, alone.standing) == (Verdict.LEAK, "tracked_blocks", False)
    assert blurred.low is not None
    assert (blurred.verdict, blurred.low < 64.0) == (Verdict.INCONCLUSIVE, True)
    assert (judgement.verdict, judgement.decided_by, judgement.standing) == (Verdict.LEAK, "tracked", True)
    assert (told.verdict, told.low) == (Verdict.LEAK, 64.0)
    assert told.rate is not None
    assert told.rate >= 64.0
    assert "At one call site it grows by 64 B per cycle [64, 64]" in judgement.why


def test_sites_bound_the_memory_that_leaks_with_descriptors_too():
    """The descriptor stays what is told: it explains the memory."""
    alone, judgement = judged_with_sites(768, fds=1.0)

    assert (alone.decided_by, judgement.decided_by) == ("fds", "fds")
    assert judgement.why == alone.why
    assert judgement.series["tracked"].low == 64.0


def test_what_leaks_in_all_keeps_its_own_interval():
    alone = combine(series(tracked="LEAK"), REQUIRED)
    ledger = LedgerJudge(1.0)
    for cycle in range(0, 1025, 4):
        ledger.add(cycle, np.array([cycle]), np.array([64 * cycle]))

    assert with_leaking_sites(alone, ledger.suspects(256), 1.0) == alone


@pytest.mark.parametrize(
    ("tolerance_bytes", "verdict"), [(1.0, Verdict.LEAK), (64.0, Verdict.LEAK), (1024.0, Verdict.CLEAN)]
)
def test_a_tolerance_accepts_so_many_bytes_in_however_many_blocks(tolerance_bytes: float, verdict: Verdict):
    """One block of 106 B a cycle, of which malloc makes 128; the usual tolerance accepts not even the block."""
    rates = {"fds": 0.0, "tracked": 106.0, "tracked_blocks": 1.0, "python_blocks": 1.0, "heap": 128.0}

    judgement = judge_of({}, 256, rates, 2048, tolerance_bytes).judge()

    assert judgement.verdict is verdict
    assert judgement.series.keys() == rates.keys()


def test_without_a_ledger_blocks_have_no_size_so_none_is_accepted():
    assert judge_of({}, 256, {"python_blocks": 1.0, "heap": 0.0}, 2048, 1024.0).judge().verdict is Verdict.LEAK


@pytest.mark.parametrize(
    ("tolerance_bytes", "verdict"), [(1.0, Verdict.LEAK), (100.0, Verdict.LEAK), (1024.0, Verdict.CLEAN)]
)
def test_what_is_lost_is_accepted_too_where_so_much_may_stay(tolerance_bytes: float, verdict: Verdict):
    """But with the usual tolerance nothing that is lost, however little a cycle."""
    clean = combine(series(), REQUIRED)
    lost = SeriesVerdict(Verdict.LEAK, "", 106.0, 105.0, 107.0, since=10)
    little = dataclasses.replace(lost, rate=0.5, low=0.4, high=0.6)

    assert with_lost_sites(clean, lost, 1, 100, tolerance_bytes, standing=True).verdict is verdict
    assert with_lost_sites(clean, little, 1, 100, 1.0, standing=True).verdict is Verdict.LEAK


@pytest.mark.parametrize(("tolerance_bytes", "verdict"), [(1.0, Verdict.LEAK), (1024.0, Verdict.CLEAN)])
def test_a_site_that_grows_by_less_than_is_accepted_is_no_leak(tolerance_bytes: float, verdict: Verdict):
    suspect = Suspect(1, SeriesVerdict(Verdict.LEAK, "", 106.0, 105.0, 107.0, since=10), 1.0, 106)

    assert with_leaking_sites(combine(series(), REQUIRED), [suspect], tolerance_bytes).verdict is verdict


@pytest.mark.parametrize(("pages_until", "verdict"), [(400, Verdict.CLEAN), (2048, Verdict.INCONCLUSIVE)])
def test_resident_memory_alarms_only_while_it_grows(pages_until: int, verdict: Verdict):
    """A page every eight cycles, of which malloc makes its first chunks; later on the same would be unexplained."""
    judge = ComponentJudge(1.0, {}, frozenset({"heap"}))
    judge.fix_n_min(256)
    for cycle in range(2049):
        judge.add(Reading(cycle, cycle / 10, {"heap": 0.0, "rss": 4096.0 * (min(cycle, pages_until) // 8)}))

    assert judge.judge(at_end=True).verdict is verdict
