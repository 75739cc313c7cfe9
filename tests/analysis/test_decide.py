"""What decides and what overrules what: every row of the table, every pair of rows, and what a run adds up to."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.analysis.component import (
    LARGEST_N_MIN,
    SMALLEST_N_MIN,
    ComponentJudge,
    choose_n_min,
    n_min_at_half_time,
)
from soak.analysis.decision.decide import decide
from soak.analysis.decision.outcome import Decision
from soak.analysis.decision.precedence import PRECEDENCE
from soak.analysis.evidence import Evidence, JudgedRole, Proven, Stop
from soak.analysis.sites.caches import Cache, CachedSite
from soak.analysis.sites.ledger import Falling, LedgerJudge, Suspect
from soak.grounds import VERDICTS, GroundKind, Keeper, Limit, LiveChildren, ProcessRole, Streak
from soak.measurements import SIGNALS, Reading
from soak.verdict import SeriesState, SeriesVerdict, Verdict

REQUIRED = frozenset({"heap", "python_blocks", "fds"})
SAYS = {
    "LEAK": SeriesVerdict(Verdict.LEAK, SeriesState.STEADY, 2.0, 2.0, 2.0, decided_at=512, is_growing=True),
    "CLEAN": SeriesVerdict(Verdict.CLEAN, SeriesState.FLAT, 0.0, decided_at=512),
    "FLAT": SeriesVerdict(Verdict.CLEAN, SeriesState.FLAT, 0.0, -0.1, 0.1, decided_at=512),
    "SETTLING": SeriesVerdict(Verdict.SETTLING, SeriesState.SLOWING, 1.5, needed=100, is_growing=True),
    "INCONCLUSIVE": SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNDECIDED, 0.0, needed=100),
    "GROWING": SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNSTEADY, 3.0, needed=100, is_growing=True),
}
LOST = SeriesVerdict(Verdict.LEAK, SeriesState.MEASURED, 106.0, 105.0, 107.0, since=10)
LEAKING_SITE = Suspect(1, SeriesVerdict(Verdict.LEAK, SeriesState.STEADY, 106.0, 105.0, 107.0, 300, 10), 1.0, 106)


def evidence(without: str = "", **says: str) -> Evidence:
    """Give CLEAN series of the required signals, RSS and mapped, with those that are named changed."""
    named = {**dict.fromkeys((*REQUIRED, "rss", "mapped"), "CLEAN"), **says}
    series = {name: SAYS[named[name]] for name in SIGNALS if name in named and name != without}
    return Evidence(series=series, required=REQUIRED, tolerance_bytes=1.0, cycles=1000, n_min=512)


def verdict_of(evidence: Evidence) -> Verdict:
    return decide(evidence).verdict


def test_all_deciding_signals_clean_is_clean():
    decision = decide(evidence())

    assert (decision.verdict, decision.decided_by, decision.is_final, decision.decided_at) == (
        Verdict.CLEAN, "heap", True, 512,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["heap", "python_blocks", "fds", "mapped"])
def test_one_leaking_signal_is_a_leak(name: str):
    """The same holds for mappings: memory that is mapped and not unmapped explains itself."""
    decision = decide(evidence(**{name: "LEAK"}))

    assert (decision.verdict, decision.decided_by, decision.is_final) == (Verdict.LEAK, name, True)


def test_the_signal_that_explains_most_decides():
    """A leaked descriptor takes heap, and heap takes resident memory: the descriptor is reported."""
    decision = decide(evidence(fds="LEAK", heap="LEAK", python_blocks="LEAK", mapped="LEAK", rss="LEAK"))

    assert decision.decided_by == "fds"


def test_a_leak_waits_for_a_signal_that_explains_more_and_grows():
    """Threads are counted for fewer cycles than heap; while they grow undecided, heap's LEAK is not the last word."""
    growing = decide(evidence(fds="GROWING", heap="LEAK"))
    flat = decide(evidence(fds="INCONCLUSIVE", heap="LEAK"))

    assert (growing.verdict, growing.is_final) == (Verdict.LEAK, False)
    assert (flat.verdict, flat.is_final) == (Verdict.LEAK, True)


def test_resident_memory_that_fills_what_was_mapped_is_a_leak_where_n_min_is_no_small_one():
    """As by an allocator of a library's own. A ring that was mapped at the start may be filled in a few cycles."""
    grows = evidence(rss="LEAK")

    assert verdict_of(grows) is Verdict.INCONCLUSIVE
    filled = decide(replace(grows, is_rss_mapped=True))
    assert (filled.verdict, filled.decided_by) == (Verdict.LEAK, "rss")
    assert verdict_of(replace(grows, is_rss_mapped=True, is_n_min_of_slow_cycles=True)) is Verdict.INCONCLUSIVE


def beside_a_ledger(heap: SeriesVerdict, ledger: str, threads: int = 1) -> Evidence:
    """Give a heap counter beside a ledger that says something of all blocks."""
    beside = evidence(tracked=ledger, tracked_blocks=ledger)
    return replace(beside, series={**beside.series, "heap": heap}, threads=threads)


@pytest.mark.parametrize(
    ("grown", "threads", "verdict"),
    [(8.0, 1, Verdict.CLEAN), (80.0, 1, Verdict.INCONCLUSIVE), (80.0, 12, Verdict.CLEAN)],
)
def test_a_heap_that_grows_beside_a_flat_ledger_is_no_leak(grown: float, threads: int, verdict: Verdict):
    """Each thread keeps freed chunks, which malloc counts as in use; beyond them the heap counter alone is no proof."""
    heap = replace(SAYS["LEAK"], rate=grown, judged_at=17_000)

    decision = decide(beside_a_ledger(heap, "CLEAN", threads))

    assert decision.verdict is verdict
    if verdict is Verdict.INCONCLUSIVE:
        assert decision.grounds[0].kind is GroundKind.HEAP_BESIDE_LEDGER


def test_without_a_flat_ledger_the_heap_counter_decides():
    heap = replace(SAYS["LEAK"], rate=80.0, judged_at=17_000)
    without = evidence()

    assert verdict_of(replace(without, series={**without.series, "heap": heap})) is Verdict.LEAK
    assert verdict_of(beside_a_ledger(heap, "INCONCLUSIVE")) is Verdict.LEAK


def test_a_heap_that_has_stopped_growing_beside_a_flat_ledger_is_clean():
    over = replace(SAYS["LEAK"], rate=80.0, judged_at=17_000, is_growing=False)

    assert verdict_of(beside_a_ledger(over, "CLEAN")) is Verdict.CLEAN


def test_resident_memory_that_the_audit_explains_does_not_alarm():
    """Free arenas and soak's own tables: no growth of the program's."""
    assert verdict_of(replace(evidence(rss="LEAK"), is_rss_explained=True)) is Verdict.CLEAN


def test_the_rate_is_that_of_the_component_and_the_proven_part_is_told_as_part():
    """100 B are lost beside 20,000 B that are kept."""
    whole = replace(LOST, rate=20_100.0, low=20_000.0, high=20_200.0)
    lost = Proven(1, replace(LOST, rate=100.0, low=100.0, high=100.0), whole, 300, is_settled=True)

    decision = decide(replace(evidence(tracked="GROWING"), lost=lost))

    assert (decision.verdict, decision.series["tracked"].rate) == (Verdict.LEAK, 20_100.0)
    assert (decision.grounds[0].kind, decision.grounds[0].proven_rate) == (GroundKind.LOST_BLOCKS, 100.0)


@pytest.mark.parametrize(("name", "ledger"), [("heap", "tracked"), ("python_blocks", "tracked_blocks")])
def test_a_counter_needs_no_proof_where_the_ledger_counts_the_same_and_is_clean(name: str, ledger: str):
    assert verdict_of(evidence(**{name: "INCONCLUSIVE", ledger: "CLEAN"})) is Verdict.CLEAN
    assert verdict_of(evidence(**{name: "INCONCLUSIVE", ledger: "INCONCLUSIVE"})) is Verdict.INCONCLUSIVE
    assert verdict_of(evidence(**{name: "GROWING", ledger: "CLEAN"})) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_needed_signal_that_was_not_read_rules_clean_out(name: str):
    """INCONCLUSIVE with the reason, never CLEAN."""
    decision = decide(evidence(without=name))

    assert (decision.verdict, decision.is_final) == (Verdict.INCONCLUSIVE, False)
    assert (decision.grounds[0].kind, decision.grounds[0].signals) == (GroundKind.NOT_READ, (name,))


def test_a_leak_is_reported_although_another_signal_was_not_read():
    assert verdict_of(evidence(without="heap", fds="LEAK")) is Verdict.LEAK


def test_resident_memory_alone_is_unexplained_growth():
    """Neither LEAK nor CLEAN: memory in use does not grow."""
    decision = decide(evidence(rss="LEAK"))

    assert (decision.verdict, decision.decided_by, decision.is_final) == (Verdict.INCONCLUSIVE, "rss", False)
    assert decision.grounds[0].kind is GroundKind.UNEXPLAINED_RSS


def test_resident_memory_that_grows_by_what_the_allocators_keep_is_a_leak():
    """The audit explains the growth: fragmentation. The pace of the checkpoints does not matter."""
    decision = decide(replace(evidence(rss="LEAK"), is_fragmented=True))

    assert (decision.verdict, decision.decided_by) == (Verdict.LEAK, "rss")
    assert decision.grounds[0].kind is GroundKind.FRAGMENTATION
    assert verdict_of(replace(evidence(), is_fragmented=True)) is Verdict.CLEAN


def test_what_only_informs_changes_nothing():
    assert verdict_of(evidence(pss="LEAK", gc_objects="LEAK", python_blocks_before_gc="LEAK")) is Verdict.CLEAN


@pytest.mark.parametrize(
    ("says", "verdict"),
    [
        ({"heap": "SETTLING"}, Verdict.SETTLING),
        ({"heap": "SETTLING", "python_blocks": "SETTLING"}, Verdict.SETTLING),
        ({"heap": "SETTLING", "python_blocks": "INCONCLUSIVE"}, Verdict.INCONCLUSIVE),
        ({"heap": "INCONCLUSIVE"}, Verdict.INCONCLUSIVE),
    ],
)
def test_what_is_open_is_told_with_the_cycles_it_needs(says: dict[str, str], verdict: Verdict):
    decision = decide(evidence(**says))

    assert (decision.verdict, decision.needed, decision.is_final) == (verdict, 100, False)


def with_children(last_mib: float, **says: str) -> Evidence:
    children = replace(GROWN_CHILDREN, last_bytes=last_mib * 2**20)
    return replace(evidence(**says), has_uncounted_children=True, children=children)


@pytest.mark.parametrize(
    ("series", "last_mib", "verdict"),
    [
        ("LEAK", 46.0, Verdict.LEAK),
        ("LEAK", 20.1, Verdict.INCONCLUSIVE),  # a few pages
        ("SETTLING", 46.0, Verdict.INCONCLUSIVE),
        ("CLEAN", 20.0, Verdict.INCONCLUSIVE),
    ],
)
def test_children_that_live_on_are_never_clean_and_a_leak_where_they_grow(
    series: str, last_mib: float, verdict: Verdict
):
    decision = decide(with_children(last_mib, children_rss=series))

    assert (decision.verdict, decision.is_final) == (verdict, verdict is Verdict.LEAK)
    assert decision.grounds[0].children is not None
    assert decision.decided_by == ("children_rss" if verdict is Verdict.LEAK else None)


def test_children_that_have_ended_took_their_growth_with_them():
    assert verdict_of(evidence(children_rss="LEAK")) is Verdict.CLEAN


def a_role(verdict: Verdict, rate: float | None = None) -> JudgedRole:
    growth = None if rate is None else SeriesVerdict(verdict, SeriesState.STEADY, rate, rate, rate, decided_at=512)
    return JudgedRole(ProcessRole("python, forked", 2, verdict, "tracked", rate), growth, 700, verdict is Verdict.LEAK)


WORKERS_LEAK, WORKERS_ARE_OPEN = a_role(Verdict.LEAK, 9000.0), a_role(Verdict.INCONCLUSIVE)


def test_processes_that_leak_are_a_leak_of_as_much_and_those_that_are_open_leave_it_open():
    leaking = decide(replace(evidence(), roles=(a_role(Verdict.CLEAN), WORKERS_LEAK)))
    undecided = decide(replace(evidence(), roles=(a_role(Verdict.CLEAN), WORKERS_ARE_OPEN)))

    assert (leaking.verdict, leaking.decided_by, leaking.is_final) == (Verdict.LEAK, "children_tracked", True)
    assert (leaking.series["children_tracked"].rate, leaking.decided_at) == (9000.0, 512)
    assert leaking.grounds[0].roles == (WORKERS_LEAK.role,)
    assert (undecided.verdict, undecided.needed) == (Verdict.INCONCLUSIVE, 700)
    assert verdict_of(replace(evidence(), roles=(a_role(Verdict.CLEAN),))) is Verdict.CLEAN


def test_what_the_process_itself_leaks_is_told_before_its_children():
    decision = decide(with_children(46.0, children_rss="LEAK", heap="LEAK"))

    assert (decision.decided_by, decision.grounds[1].kind) == ("heap", GroundKind.STEADY_CHILDREN)


def test_a_leak_of_children_waits_for_what_may_explain_more_and_not_for_what_only_informs():
    assert not decide(with_children(46.0, children_rss="LEAK", tracked="GROWING")).is_final
    assert decide(with_children(46.0, children_rss="LEAK", pss="GROWING")).is_final


def test_nothing_read_is_not_clean():
    nothing = Evidence(series={}, required=frozenset(), tolerance_bytes=1.0, cycles=0, n_min=None)

    assert verdict_of(nothing) is Verdict.INCONCLUSIVE
    assert decide(nothing).grounds[0].kind is GroundKind.NOTHING_READ


# ---- the table ----

GROWN_CHILDREN = LiveChildren(("python, forked", "python, forked"), 20.0 * 2**20, 46.0 * 2**20)
FILLING = Cache("lru_cache", "palette.lookup", 4096, 900, 1000, gained=8, watched_cycles=8, is_only_holder=True)
PARTLY_SEEN = replace(FILLING, is_only_holder=False, is_only_seen=True)
KEEPER = Keeper("KEPT", "app.py", 14)
IMPORTED = Cache("modules", "lazy_265", None, 266, 1000, gained=8, watched_cycles=8, is_only_holder=True)
ORDER = (
    GroundKind.DRIVER_FAILED,
    GroundKind.CONTROL_FAILED,
    GroundKind.STEADY_COUNT,
    GroundKind.COUNT_AT_LIMIT,
    GroundKind.COUNT_EVERY_CYCLE,
    GroundKind.LOST_BLOCKS,
    GroundKind.KEPT_BLOCKS,
    GroundKind.FILLING_CACHE,
    GroundKind.FILLING_MODULES,
    GroundKind.MAYBE_FILLING,
    GroundKind.FEW_CYCLES,
    GroundKind.GROWING_SITES,
    GroundKind.STEADY_MEMORY,
    GroundKind.FRAGMENTATION,
    GroundKind.STEADY_MAPPED,
    GroundKind.MEMORY_AT_LIMIT,
    GroundKind.MEMORY_EVERY_CYCLE,
    GroundKind.GROWING_PROCESSES,
    GroundKind.STEADY_CHILDREN,
    GroundKind.REPLACING,
    GroundKind.NO_GROWTH,
    GroundKind.NOTHING_STAYS,
    GroundKind.HIDDEN_MEMORY,
    GroundKind.NOT_READ,
    GroundKind.HEAP_BESIDE_LEDGER,
    GroundKind.SLOWING,
    GroundKind.UNDECIDED,
    GroundKind.UNEXPLAINED_RSS,
    GroundKind.UNCOUNTED_CHILDREN,
    GroundKind.OPEN_PROCESSES,
    GroundKind.ONLY_OUTSIDE,
    GroundKind.NOTHING_READ,
)
"""Written here a second time, so that nobody changes the table without seeing it."""


def at_limit(signal: str) -> dict[str, object]:
    return {"stop": Stop(signal, Limit(10.0, 90.0, 100.0, 8))}


def rose(signal: str, rate: float, cycles: int = 200, since: int = 800) -> dict[str, object]:
    """Give a run that is over, up to the end of which a signal rose in each cycle."""
    streak = Streak(since, cycles, cycles, 10.0, 10.0 + rate * cycles, later_rate=rate)
    return {"streaks": {signal: streak}, "is_last": True}


STAYS_NOTHING = SeriesVerdict(Verdict.CLEAN, SeriesState.NOTHING_STAYS, 0.0, 0.0, 0.01, decided_at=900)
# What makes each ground hold, as changes of an evidence of nothing: series by name, and fields.
MAKES: dict[GroundKind, tuple[dict[str, str], dict[str, object]]] = {
    GroundKind.DRIVER_FAILED: ({}, {"failed": True}),
    GroundKind.CONTROL_FAILED: ({"fds": "LEAK"}, {"failed_controls": frozenset({"fds"})}),
    GroundKind.STEADY_COUNT: ({"fds": "LEAK"}, {}),
    GroundKind.COUNT_AT_LIMIT: ({}, at_limit("threads")),
    GroundKind.COUNT_EVERY_CYCLE: ({"threads": "INCONCLUSIVE"}, rose("threads", 1.0)),
    GroundKind.LOST_BLOCKS: ({}, {"lost": Proven(1, LOST, LOST, 300, is_settled=True)}),
    GroundKind.KEPT_BLOCKS: ({}, {"kept": Proven(1, LOST, LOST, 40, is_settled=True, keeper=KEEPER)}),
    GroundKind.FILLING_CACHE: ({"tracked": "LEAK"}, {"cached": (CachedSite(106.0, FILLING, is_leak=True),)}),
    GroundKind.FILLING_MODULES: ({"tracked": "LEAK"}, {"cached": (CachedSite(106.0, IMPORTED, is_leak=True),)}),
    GroundKind.MAYBE_FILLING: ({"tracked": "LEAK"}, {"cached": (CachedSite(106.0, PARTLY_SEEN, is_leak=True),)}),
    GroundKind.FEW_CYCLES: (
        {"tracked": "LEAK"},
        {"cached": (CachedSite(106.0, None, is_leak=True),), "is_n_min_of_slow_cycles": True},
    ),
    GroundKind.GROWING_SITES: ({}, {"suspects": (LEAKING_SITE,)}),
    GroundKind.STEADY_MEMORY: ({"python_blocks": "LEAK"}, {}),
    GroundKind.FRAGMENTATION: ({"rss": "LEAK"}, {"is_fragmented": True}),
    GroundKind.STEADY_MAPPED: ({"mapped": "LEAK"}, {}),
    GroundKind.MEMORY_AT_LIMIT: ({}, at_limit("rss")),
    GroundKind.MEMORY_EVERY_CYCLE: ({"tracked": "INCONCLUSIVE"}, rose("tracked", 2**30)),
    GroundKind.GROWING_PROCESSES: ({}, {"roles": (WORKERS_LEAK,)}),
    GroundKind.STEADY_CHILDREN: ({"children_rss": "LEAK"}, {"children": GROWN_CHILDREN}),
    GroundKind.REPLACING: ({"tracked": "FLAT"}, {"suspects": (LEAKING_SITE,)}),
    GroundKind.NO_GROWTH: ({"heap": "CLEAN"}, {}),
    GroundKind.NOTHING_STAYS: ({}, {"survivors": STAYS_NOTHING}),
    GroundKind.HIDDEN_MEMORY: ({"heap": "CLEAN"}, {"may_hide_growth": True}),
    GroundKind.NOT_READ: ({}, {"required": frozenset({"children"})}),
    GroundKind.HEAP_BESIDE_LEDGER: ({"heap": "LEAK", "tracked": "CLEAN"}, {}),
    GroundKind.SLOWING: ({"heap": "SETTLING"}, {}),
    GroundKind.UNDECIDED: ({"heap": "INCONCLUSIVE"}, {}),
    GroundKind.UNEXPLAINED_RSS: ({"rss": "LEAK"}, {}),
    GroundKind.UNCOUNTED_CHILDREN: ({}, {"has_uncounted_children": True}),
    GroundKind.OPEN_PROCESSES: ({}, {"roles": (WORKERS_ARE_OPEN,)}),
    GroundKind.ONLY_OUTSIDE: ({}, {"only_outside": True}),
    GroundKind.NOTHING_READ: ({}, {}),
}
EXCLUSIVE = {
    # No growth and open growth, or what rules CLEAN out, cannot both be true.
    *itertools.product(
        [GroundKind.NO_GROWTH],
        [
            *(GroundKind.NOT_READ, GroundKind.HEAP_BESIDE_LEDGER, GroundKind.SLOWING, GroundKind.UNDECIDED),
            *(GroundKind.UNEXPLAINED_RSS, GroundKind.UNCOUNTED_CHILDREN, GroundKind.OPEN_PROCESSES),
            *(GroundKind.GROWING_PROCESSES, GroundKind.ONLY_OUTSIDE, GroundKind.HIDDEN_MEMORY),
        ],
    ),
    *itertools.product(
        [GroundKind.NOTHING_STAYS],
        [
            *(GroundKind.NOT_READ, GroundKind.HEAP_BESIDE_LEDGER, GroundKind.SLOWING, GroundKind.UNEXPLAINED_RSS),
            *(GroundKind.UNCOUNTED_CHILDREN, GroundKind.OPEN_PROCESSES, GroundKind.ONLY_OUTSIDE),
            *(GroundKind.GROWING_PROCESSES, GroundKind.HIDDEN_MEMORY),
        ],
    ),
    # All that is counted is CLEAN where only hidden memory may grow.
    *itertools.product(
        [GroundKind.HIDDEN_MEMORY],
        [
            *(GroundKind.NOT_READ, GroundKind.UNEXPLAINED_RSS, GroundKind.UNCOUNTED_CHILDREN),
            *(GroundKind.OPEN_PROCESSES, GroundKind.ONLY_OUTSIDE),
        ],
    ),
    # Memory that the ledger sees rise is no flat ledger.
    (GroundKind.MEMORY_EVERY_CYCLE, GroundKind.HEAP_BESIDE_LEDGER),
    (GroundKind.MEMORY_EVERY_CYCLE, GroundKind.REPLACING),
    # What is open beside the heap is what is told; from outside no heap is read.
    *itertools.product(
        [GroundKind.HEAP_BESIDE_LEDGER],
        [GroundKind.SLOWING, GroundKind.UNDECIDED, GroundKind.ONLY_OUTSIDE],
    ),
    # Sites are no leak by themselves where as much is freed elsewhere.
    (GroundKind.GROWING_SITES, GroundKind.REPLACING),
    # The same signal cannot say both; one stop has one signal.
    (GroundKind.SLOWING, GroundKind.UNDECIDED),
    (GroundKind.COUNT_AT_LIMIT, GroundKind.MEMORY_AT_LIMIT),
    # So much memory is no cache's.
    (GroundKind.FEW_CYCLES, GroundKind.MEMORY_AT_LIMIT),
    (GroundKind.FEW_CYCLES, GroundKind.MEMORY_EVERY_CYCLE),
    # What a cache takes in says nothing of other processes: they come first, see below.
    *itertools.product(
        [
            *(GroundKind.FILLING_CACHE, GroundKind.FILLING_MODULES),
            *(GroundKind.MAYBE_FILLING, GroundKind.FEW_CYCLES),
        ],
        [GroundKind.GROWING_PROCESSES],
    ),
    # From outside nothing inside is read, and resident memory decides.
    *itertools.product([GroundKind.NOT_READ, GroundKind.UNEXPLAINED_RSS], [GroundKind.ONLY_OUTSIDE]),
    # RSS that fragmentation explains is not unexplained; a control that failed takes a leak of its signal away.
    (GroundKind.FRAGMENTATION, GroundKind.UNEXPLAINED_RSS),
    (GroundKind.CONTROL_FAILED, GroundKind.STEADY_COUNT),
}


def making(*kinds: GroundKind) -> Evidence:
    """Give an evidence in which these grounds hold, and as little else as can be."""
    says: dict[str, str] = {}
    fields: dict[str, object] = {}
    for kind in reversed(kinds):
        says |= MAKES[kind][0]
        fields |= MAKES[kind][1]
    if GroundKind.ONLY_OUTSIDE in kinds and "heap" in says:
        says["rss"] = says.pop("heap")
    series = {name: SAYS[says[name]] for name in SIGNALS if name in says}
    made = Evidence(series=series, required=frozenset(), tolerance_bytes=1.0, cycles=1000, n_min=512, early=series)
    return replace(made, **fields)  # type: ignore[arg-type]


def test_the_table_has_each_ground_once_in_the_order_that_is_written_here():
    assert tuple(rule.kind for rule in PRECEDENCE) == ORDER
    assert set(ORDER) == set(GroundKind) == VERDICTS.keys()


def test_the_page_of_the_verdict_has_the_same_table():
    page = (Path(__file__).parents[2] / "docs" / "verdict.md").read_text(encoding="utf-8")

    rows = re.findall(r"^\| `([a-z-]+)` \| ([A-Z]+) \|", page, re.M)

    assert rows == [(kind.value, VERDICTS[kind].value) for kind in ORDER]


@pytest.mark.parametrize("kind", ORDER)
def test_each_ground_alone_decides(kind: GroundKind):
    decision = decide(making(kind))

    assert (decision.grounds[0].kind, decision.verdict) == (kind, VERDICTS[kind])


def test_of_every_pair_of_grounds_the_one_that_stands_before_wins():
    pairs = [pair for pair in itertools.combinations(ORDER, 2) if pair not in EXCLUSIVE]

    decided = {pair: decide(making(*pair)) for pair in pairs}

    assert len(pairs) > 400
    assert [
        pair
        for pair, decision in decided.items()
        if (decision.grounds[0].kind, decision.verdict) != (pair[0], VERDICTS[pair[0]])
    ] == []


@pytest.mark.parametrize(
    "kind",
    [GroundKind.FILLING_CACHE, GroundKind.FILLING_MODULES, GroundKind.MAYBE_FILLING, GroundKind.FEW_CYCLES],
)
def test_a_cache_that_may_fill_hides_no_leak_in_other_processes(kind: GroundKind):
    decision = decide(making(kind, GroundKind.GROWING_PROCESSES))

    assert [ground.kind for ground in decision.grounds[:2]] == [GroundKind.GROWING_PROCESSES, kind]
    assert decision.verdict is Verdict.LEAK


@pytest.mark.parametrize(
    ("whole", "verdict"),
    [
        (SeriesVerdict(Verdict.CLEAN, SeriesState.FLAT, 0.0, -30.0, 0.1), Verdict.INCONCLUSIVE),
        (SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNSTEADY, 20.0, -10.0, 50.0), Verdict.INCONCLUSIVE),
        # A sawtooth, under which a leak of that size may hide; and no bound is known yet.
        (SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNSTEADY, 3.0, -90.0, 60.0), Verdict.LEAK),
        (SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.EARLY), Verdict.LEAK),
        (SeriesVerdict(Verdict.LEAK, SeriesState.STEADY, 40.0, 38.0, 42.0), Verdict.LEAK),
    ],
)
def test_what_sites_keep_is_no_leak_yet_where_as_much_is_known_to_be_freed(whole: SeriesVerdict, verdict: Verdict):
    """A ring that setup has filled: each cycle puts a new block in the place of an old one."""
    growing = replace(evidence(tracked="CLEAN"), suspects=(LEAKING_SITE,), falling=Falling(10_600.0, 0.0))

    decision = decide(replace(growing, series={**growing.series, "tracked": whole}))

    assert decision.verdict is verdict
    if verdict is Verdict.INCONCLUSIVE:
        assert decision.grounds[0].kind is GroundKind.REPLACING
        assert decision.grounds[0].proven_rate == 106.0
        assert decision.needed == 1000 + 2 * 100
        assert not decision.is_final


@pytest.mark.parametrize(("freed", "verdict"), [(100.0, Verdict.INCONCLUSIVE), (40.0, Verdict.LEAK)])
def test_what_other_sites_lose_shows_it_where_all_memory_has_a_step(freed: float, verdict: Verdict):
    step = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNSTEADY, 100.0, -300.0, 300.0)
    growing = replace(evidence(tracked="CLEAN"), suspects=(LEAKING_SITE,), falling=Falling(10_600.0, freed))

    assert verdict_of(replace(growing, series={**growing.series, "tracked": step})) is verdict


def test_when_all_is_replaced_nothing_grows_and_it_is_clean():
    ended = replace(LEAKING_SITE, recent_bytes_per_cycle=0.0)

    assert verdict_of(replace(evidence(tracked="FLAT"), suspects=(ended,))) is Verdict.CLEAN


def test_a_failed_control_takes_away_only_what_rests_on_it():
    """LEAK rests on one signal, CLEAN on all signals that were proven flat."""
    cases = (
        (evidence(), "fds", Verdict.INCONCLUSIVE),
        (evidence(heap="INCONCLUSIVE", tracked="CLEAN"), "heap", Verdict.CLEAN),
        (evidence(fds="LEAK"), "fds", Verdict.INCONCLUSIVE),
        (evidence(fds="LEAK"), "heap", Verdict.LEAK),
        (replace(evidence(), lost=Proven(1, LOST, LOST, 300, is_settled=True)), "tracked", Verdict.INCONCLUSIVE),
        (evidence(heap="SETTLING"), "heap", Verdict.SETTLING),
        (replace(evidence(fds="LEAK"), failed=True), "fds", Verdict.FAILED),
    )
    for before, failed, expected in cases:
        decision = decide(replace(before, failed_controls=frozenset({failed})))
        assert decision.verdict is expected, (failed, expected)
        assert (GroundKind.CONTROL_FAILED in {g.kind for g in decision.grounds}) == (
            expected in (Verdict.INCONCLUSIVE, Verdict.FAILED)
        )


def test_a_failure_keeps_what_was_found_until_then():
    decision = decide(replace(evidence(heap="LEAK"), failed=True))

    assert (decision.verdict, decision.decided_by, decision.decided_at) == (Verdict.FAILED, "heap", None)
    assert decision.grounds[1].kind is GroundKind.STEADY_MEMORY


# ---- from outside ----


def outside(**says: str) -> Evidence:
    series = {name: SAYS[says[name]] for name in SIGNALS if name in says}
    return Evidence(series=series, required=frozenset(), tolerance_bytes=1.0, cycles=1000, n_min=512, only_outside=True)


def test_from_outside_resident_memory_may_be_a_leak_and_is_never_clean():
    assert decide(outside(rss="LEAK", mapped="LEAK")).decided_by == "rss"
    assert decide(outside(threads="LEAK", rss="LEAK")).decided_by == "threads"
    assert verdict_of(outside(rss="CLEAN", fds="CLEAN")) is Verdict.INCONCLUSIVE
    assert verdict_of(outside(rss="SETTLING", fds="INCONCLUSIVE")) is Verdict.SETTLING
    assert decide(outside(rss="GROWING", fds="CLEAN")).decided_by is None


# ---- while a run goes on ----


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
    """It never falls below the smallest value, never rises, and does not fall a second time."""
    assert n_min_at_half_time(n_min, cycles) == then
    assert n_min_at_half_time(then, cycles + 100) == then


def test_a_component_that_gets_slower_is_judged_by_what_it_has_made():
    """n_min followed from its first, fast cycles; what runs into a limit has its own, which stays."""
    judge = judge_of({"fds": 1024.0}, 373, {"fds": 0.0, "heap": 128.0}, 300, may_fall=True)
    before = decide(judge.evidence())
    judge.lower_n_min(300)
    judge.add(Reading(301, 30.1, {"fds": 10.0, "heap": 10 + 128 * 301}))
    decision = decide(judge.evidence())

    assert (before.series["heap"].verdict, decision.series["heap"].verdict) == (Verdict.INCONCLUSIVE, Verdict.LEAK)
    assert (judge.n_min, judge.n_clean, decision.series["heap"].decided_at) == (300, 300, 300)
    assert (decision.verdict, decision.grounds[0].kind) == (Verdict.INCONCLUSIVE, GroundKind.FEW_CYCLES)
    assert decision.series["fds"] == before.series["fds"]


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
    """With one of 1,024 descriptors per cycle: LEAK at cycle 64, not at n_min, which the process would not reach."""
    limited = decide(judge_of({"fds": 1024.0}, 16384, {"fds": 1.0}, 64).evidence())
    unlimited = decide(judge_of({}, 16384, {"fds": 1.0}, 64).evidence())

    assert (limited.verdict, limited.series["fds"].rate) == (Verdict.LEAK, 1.0)
    assert unlimited.verdict is Verdict.INCONCLUSIVE


def test_what_is_left_behind_is_judged_after_a_thousand_cycles_at_most():
    """It has no limit, but each takes room; and it decides as the other counts do."""
    decision = decide(judge_of({}, 131_072, {"left_behind": 1.0}, 1024).evidence())

    assert (decision.verdict, decision.decided_by) == (Verdict.LEAK, "left_behind")
    assert decision.series["left_behind"].rate == 1.0


def test_without_the_tracker_nothing_is_said_of_what_is_left_behind_and_clean_stands():
    assert verdict_of(evidence(without="left_behind")) is Verdict.CLEAN
    assert verdict_of(evidence(left_behind="INCONCLUSIVE")) is not Verdict.CLEAN


def test_what_a_guard_stopped_is_a_leak_of_its_mean_rate():
    """It is too early for the rule, so the rate is the rise from the first reading to the last."""
    judge = judge_of({"fds": 100.0}, 256, {"fds": 10.0, "heap": 0.0}, 8)

    decision = decide(replace(judge.evidence(is_last=True), stop=judge.stop_at("fds")))

    assert (decision.verdict, decision.decided_by, decision.series["fds"].rate) == (Verdict.LEAK, "fds", 10.0)
    assert decision.grounds[0].limit == Limit(first=10.0, last=90.0, allowed=100.0, cycles=8)


def test_the_mean_rate_is_that_up_to_the_latest_reading():
    """The machine was busy: the component had made 65,439 calls when it could map no more, and 8 of them were read."""
    judge = judge_of({"mapped": 2e9}, 131_072, {"mapped": 1e6, "heap": 0.0}, 8)

    evidence = replace(judge.evidence(is_last=True), stop=judge.stop_at("mapped", is_reached=True), cycles=65_439)

    decision = decide(evidence)
    assert (decision.verdict, decision.series["mapped"].rate) == (Verdict.LEAK, 1e6)
    assert decision.decided_at == 65_439


def test_a_guard_that_trips_on_what_does_not_grow_is_no_leak():
    """The process starts near its limit and stays there."""
    judge = judge_of({"fds": 12.0}, 256, {"fds": 0.0, "heap": 0.0}, 8)

    assert verdict_of(replace(judge.evidence(is_last=True), stop=judge.stop_at("fds"))) is not Verdict.LEAK


def test_the_time_of_a_cycle_is_that_of_the_first_checkpoint_behind_it():
    judge = judge_of({}, 256, {"fds": 0.0}, 20)

    assert [judge.time_of(cycle) for cycle in (0, 7, 20, 99)] == [0.0, 0.7, 2.0, 2.0]


def with_tables(cycle: int) -> tuple[int, int, int]:
    """Live blocks and bytes of what a cycle adds to two dicts, and bytes of their tables, which double in turns."""
    return cycle, 64 * cycle, (36 << cycle.bit_length()) + (36 << (cycle * 4 // 3).bit_length())


def judged_with_sites(cycles: int, **others: float) -> tuple[Decision, Decision]:
    """Judge dicts that keep an object of 64 B a cycle, by all counters alone, and with what the sites say."""
    judge, ledger = ComponentJudge(1.0, {}, frozenset({"fds"})), LedgerJudge(1.0)
    judge.fix_n_min(256, asked_for=True)
    for cycle in range(0, cycles + 1, 4):
        blocks, sizes, table = with_tables(cycle)
        counters = {"tracked": sizes + table, "tracked_blocks": blocks + 2, "heap": table, "fds": 0.0}
        counters |= {name: rate * cycle for name, rate in others.items()}
        judge.add(Reading(cycle, cycle / 10, {name: float(value) for name, value in counters.items()}))
        ledger.add(cycle, np.array([blocks, 2]), np.array([sizes, table]))
    evidence = judge.evidence()
    return decide(evidence), decide(replace(evidence, suspects=tuple(ledger.suspects(256))))


def test_tables_that_are_resized_take_nothing_from_what_a_site_proves():
    """The total says nothing, because tables doubled; but one site is known to keep 64 B per cycle."""
    alone, decision = judged_with_sites(768)
    blurred, told = alone.series["tracked"], decision.series["tracked"]

    assert (alone.verdict, alone.decided_by, alone.is_final) == (Verdict.LEAK, "tracked_blocks", False)
    assert blurred.low is not None
    assert (blurred.verdict, blurred.low < 64.0) == (Verdict.INCONCLUSIVE, True)
    assert (decision.verdict, decision.decided_by, decision.is_final) == (Verdict.LEAK, "tracked", True)
    assert (told.verdict, told.low) == (Verdict.LEAK, 64.0)
    assert told.rate is not None
    assert told.rate >= 64.0
    assert (decision.grounds[0].sites, decision.grounds[0].proven_rate) == (1, 64.0)


def test_what_sites_grow_by_that_are_no_leak_yet_is_part_of_the_rate():
    """One site is known to leak 106 B; others have so far grown steadily by 69 to 71 B."""
    steady = SeriesVerdict(Verdict.LEAK, SeriesState.MEASURED, 70.0, 69.0, 71.0)
    leaks = replace(evidence(), suspects=(LEAKING_SITE,), steady=steady)

    told = decide(leaks).series["tracked"]

    assert (told.rate, told.low, told.high, told.since) == (176.0, 174.0, 178.0, 10)
    assert decide(replace(evidence(), steady=steady)).verdict is Verdict.CLEAN


def test_sites_bound_the_memory_that_leaks_with_descriptors_too():
    """The descriptor still decides, because it explains the memory."""
    alone, decision = judged_with_sites(768, fds=1.0)

    assert (alone.decided_by, decision.decided_by) == ("fds", "fds")
    assert decision.grounds[0] == alone.grounds[0]
    assert decision.series["tracked"].low == 64.0


def test_what_leaks_in_all_keeps_its_own_interval():
    leaks = evidence(tracked="LEAK")
    ledger = LedgerJudge(1.0)
    for cycle in range(0, 1025, 4):
        ledger.add(cycle, np.array([cycle]), np.array([64 * cycle]))

    decision = decide(replace(leaks, suspects=tuple(ledger.suspects(256))))

    assert decision.grounds[0].kind is GroundKind.STEADY_MEMORY
    assert decision.series["tracked"] == leaks.series["tracked"]


@pytest.mark.parametrize(
    ("tolerance_bytes", "verdict"), [(1.0, Verdict.LEAK), (64.0, Verdict.LEAK), (1024.0, Verdict.CLEAN)]
)
def test_a_tolerance_accepts_so_many_bytes_in_however_many_blocks(tolerance_bytes: float, verdict: Verdict):
    """One block of 106 B per cycle (128 allocated); the default tolerance does not accept the block."""
    rates = {"fds": 0.0, "tracked": 106.0, "tracked_blocks": 1.0, "python_blocks": 1.0, "heap": 128.0}

    decision = decide(judge_of({}, 1024, rates, 2048, tolerance_bytes).evidence())

    assert decision.verdict is verdict
    assert decision.series.keys() == rates.keys()


def test_without_a_ledger_blocks_have_no_size_so_none_is_accepted():
    blocks = judge_of({}, 1024, {"python_blocks": 1.0, "heap": 0.0}, 2048, 1024.0)

    assert verdict_of(blocks.evidence()) is Verdict.LEAK


@pytest.mark.parametrize(
    ("tolerance_bytes", "verdict"), [(1.0, Verdict.LEAK), (100.0, Verdict.LEAK), (1024.0, Verdict.CLEAN)]
)
def test_what_is_lost_is_accepted_too_where_so_much_may_stay(tolerance_bytes: float, verdict: Verdict):
    """With the default tolerance no lost memory is accepted, however little per cycle."""
    accepting = replace(evidence(tracked="CLEAN"), tolerance_bytes=tolerance_bytes)
    little = replace(LOST, rate=0.5, low=0.4, high=0.6)

    assert verdict_of(replace(accepting, lost=Proven(1, LOST, LOST, 100, is_settled=True))) is verdict
    assert verdict_of(replace(evidence(), lost=Proven(1, little, little, 100, is_settled=True))) is Verdict.LEAK


@pytest.mark.parametrize(("tolerance_bytes", "verdict"), [(1.0, Verdict.LEAK), (1024.0, Verdict.CLEAN)])
def test_a_site_that_grows_by_less_than_is_accepted_is_no_leak(tolerance_bytes: float, verdict: Verdict):
    accepting = replace(evidence(tracked="CLEAN"), tolerance_bytes=tolerance_bytes, suspects=(LEAKING_SITE,))

    assert verdict_of(accepting) is verdict


@pytest.mark.parametrize(("pages_until", "verdict"), [(400, Verdict.CLEAN), (2048, Verdict.INCONCLUSIVE)])
def test_resident_memory_alarms_only_while_it_grows(pages_until: int, verdict: Verdict):
    """One page every eight cycles, for malloc's first chunks; the same growth later would be unexplained."""
    judge = ComponentJudge(1.0, {}, frozenset({"heap"}))
    judge.fix_n_min(256)
    for cycle in range(2049):
        judge.add(Reading(cycle, cycle / 10, {"heap": 0.0, "rss": 4096.0 * (min(cycle, pages_until) // 8)}))

    assert verdict_of(judge.evidence(is_last=True)) is verdict


@pytest.mark.parametrize("misses_some", [False, True])
@pytest.mark.parametrize(("risen", "verdict"), [(True, Verdict.INCONCLUSIVE), (False, Verdict.CLEAN)])
def test_a_count_that_is_read_too_seldom_for_the_rule_is_no_objection_unless_it_rose(
    *, risen: bool, misses_some: bool, verdict: Verdict
):
    """Files left behind are looked for now and then, and of thousands some are not recorded: the others count."""
    judge = ComponentJudge(1.0, {}, frozenset({"heap"}))
    judge.fix_n_min(256)
    for cycle in range(2049):
        seldom = {"left_behind": float(cycle) if risen else 1.0} if cycle % 500 == 0 else {}
        judge.add(Reading(cycle, cycle / 10, {"heap": 0.0, **seldom}))
    judge.distrust(("left_behind",) if misses_some else ())

    decision = decide(judge.evidence(is_last=True))

    assert decision.verdict is verdict
    if risen:
        assert (decision.grounds[0].kind, decision.grounds[0].signals[0]) == (GroundKind.UNDECIDED, "left_behind")


@pytest.mark.parametrize(("until", "verdict"), [(2400, Verdict.LEAK), (512, Verdict.INCONCLUSIVE)])
def test_a_count_that_rises_in_each_of_n_min_cycles_is_a_leak_before_the_end(until: int, verdict: Verdict):
    """Readings that come too seldom for the rule; a pool that stopped after 512 is none."""
    judge = ComponentJudge(1.0, {}, frozenset({"heap"}))
    judge.fix_n_min(1024)
    for cycle in range(0, 2401, 150):
        judge.add(Reading(cycle, cycle / 10, {"heap": 0.0, "left_behind": float(min(cycle, until))}))

    decision = decide(judge.evidence())

    assert decision.verdict is verdict
    assert (decision.grounds[0].kind is GroundKind.COUNT_EVERY_CYCLE) is (verdict is Verdict.LEAK)


# ---- few cycles ----

HELD = CachedSite(88.0, None, is_leak=True)
LOST_OR_CYCLIC = replace(HELD, may_be_cached=False)
GOING_ON = Suspect(1, replace(LEAKING_SITE.verdict, is_growing=True), 1.0, 106, recent_bytes_per_cycle=106.0)
ALIKE = replace(GOING_ON, is_alike_in_each_part=True)
FEW = replace(evidence(tracked="LEAK"), cached=(HELD,), n_min=256, is_n_min_of_slow_cycles=True, cycles=266)


@pytest.mark.parametrize("cached", [(HELD,), (), (LOST_OR_CYCLIC, replace(HELD, bytes_per_cycle=89.0))])
def test_few_cycles_make_no_leak_of_what_a_cache_may_hold(cached: tuple[CachedSite, ...]):
    """A dict with a bound of its own would look the same; so would anything where nobody knows what holds it."""
    decision = decide(replace(FEW, cached=cached))

    assert (decision.verdict, decision.grounds[0].kind, decision.needed) == (
        Verdict.INCONCLUSIVE, GroundKind.FEW_CYCLES, 2048 - 266,
    )  # fmt: skip


def test_few_cycles_make_no_leak_where_nothing_tells_what_holds_it():
    """Without the tracker."""
    untracked = replace(evidence(heap="LEAK"), n_min=256, is_n_min_of_slow_cycles=True, cycles=266)

    assert decide(untracked).grounds[0].kind is GroundKind.FEW_CYCLES
    assert verdict_of(replace(untracked, is_n_min_of_slow_cycles=False)) is Verdict.LEAK


@pytest.mark.parametrize(
    "changes",
    [
        {"is_n_min_of_slow_cycles": False},
        {"n_min": 1024},
        {"cached": (LOST_OR_CYCLIC,)},
        {"cached": (LOST_OR_CYCLIC, replace(HELD, bytes_per_cycle=80.0))},
        {"kept": Proven(1, LOST, LOST, 40, is_settled=True, keeper=KEEPER)},
        {"cycles": 2048, "suspects": (GOING_ON,)},
        {"cycles": 1280, "suspects": (ALIKE,)},
        {"cycles": 2048, "series": {**FEW.series, "tracked": replace(SAYS["LEAK"], since=512, judged_at=2048)}},
    ],
    ids=[
        "asked for",
        "enough n_min",
        "no cache",
        "most in no cache",
        "a list that only grows",
        "sites",
        "alike",
        "the sum",
    ],
)
def test_it_stays_a_leak_otherwise(changes: dict[str, object]):
    assert verdict_of(replace(FEW, **changes)) is Verdict.LEAK  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cycles", "suspects", "needed"),
    [
        (1279, (ALIKE,), 1),
        (1300, (GOING_ON,), 2048 - 1300),
        (1300, (ALIKE, replace(GOING_ON, site=2)), 2048 - 1300),
        (1300, (replace(ALIKE, recent_bytes_per_cycle=9.0),), 2048 - 1300),
    ],
    ids=["fewer cycles", "not in each part", "half of it", "which has ended"],
)
def test_before_2048_cycles_most_of_what_leaks_must_be_alike_in_each_part(
    cycles: int, suspects: tuple[Suspect, ...], needed: int
):
    decision = decide(replace(FEW, cycles=cycles, suspects=suspects))

    assert (decision.grounds[0].kind, decision.needed) == (GroundKind.FEW_CYCLES, needed)


@pytest.mark.parametrize("tracked", ["LEAK", "INCONCLUSIVE"])
def test_a_cache_that_became_full_after_the_latest_look_is_no_leak(tracked: str):
    """A cache of 1,257 was filling at the look after 868 cycles; up to 2,048 it grew by a fifth of that."""
    full = replace(GOING_ON, recent_bytes_per_cycle=21.0)
    whole = replace(SAYS[tracked], since=217, judged_at=1736)
    series = {**FEW.series, "tracked": whole}

    decision = decide(replace(FEW, cycles=2113, series=series, suspects=(full,)))

    assert decision.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("is_last", "cycles"), [(True, 41), (False, 41), (True, 100)])
def test_memory_that_rose_in_each_cycle_up_to_the_end_is_told_as_such_before_n_min(*, is_last: bool, cycles: int):
    streak = Streak(0, 41, 41, 1000.0, 1000.0 + 88 * 41, later_rate=88.0)
    early = replace(
        evidence(tracked="INCONCLUSIVE"),
        n_min=256,
        is_n_min_of_slow_cycles=True,
        cycles=cycles,
        streaks={"tracked": streak},
    )

    decision = decide(replace(early, is_last=is_last))

    is_told = is_last and cycles == 41
    assert (decision.grounds[0].kind is GroundKind.FEW_CYCLES) is is_told
    assert decision.verdict is Verdict.INCONCLUSIVE
    if is_told:
        assert (decision.needed, decision.grounds[0].streak) == (2048 - 41, streak)


def test_a_list_that_only_grows_decides_at_once_and_is_told_before_caches_that_fill():
    kept = Proven(1, LOST, LOST, 40, is_settled=True, keeper=KEEPER)
    beside = replace(evidence(tracked="INCONCLUSIVE"), kept=kept, cached=(CachedSite(9.0, FILLING, is_leak=False),))

    decision = decide(beside)

    assert (decision.verdict, decision.decided_at, decision.is_final) == (Verdict.LEAK, 40, True)
    assert (decision.grounds[0].keeper, decision.decided_by) == (KEEPER, "tracked")


@pytest.mark.parametrize(("intervals", "is_final"), [(8, False), (7, True)])
def test_a_list_of_what_is_left_open_does_not_end_a_run_in_which_the_count_still_rises(intervals: int, is_final: bool):
    """The list is a leak, but the descriptors that it names are the larger one."""
    kept = Proven(1, LOST, LOST, 40, is_settled=True, keeper=KEEPER)
    rising = {"fds": Streak(40, intervals, intervals, 40.0, 40.0 + intervals)}

    decision = decide(replace(evidence(tracked="INCONCLUSIVE", fds="INCONCLUSIVE"), kept=kept, streaks=rising))

    assert (decision.verdict, decision.is_final) == (Verdict.LEAK, is_final)


def test_modules_that_stopped_coming_or_hold_only_a_part_do_not_settle():
    """What else an import allocates goes with them; what does not is a leak."""
    imported = CachedSite(106.0, IMPORTED, is_leak=True)
    of_import, beside = CachedSite(50.0, None, is_leak=True, is_of_import=True), CachedSite(50.0, None, is_leak=True)
    stopped = replace(imported, cache=replace(IMPORTED, gained=0))

    def found(*sites: CachedSite) -> Verdict:
        return verdict_of(replace(evidence(tracked="LEAK"), cached=sites))

    assert found(imported, of_import) is Verdict.SETTLING
    assert found(imported, beside) is Verdict.LEAK
    assert found(of_import) is Verdict.LEAK
    assert found(stopped, of_import) is Verdict.LEAK


def test_what_is_not_judged_yet_is_told_with_the_site_that_leaks():
    """The table of a list is known by its steps, with few readings; what the list keeps needs more of them."""
    table = Suspect(1, SeriesVerdict(Verdict.LEAK, SeriesState.MEASURED, 8.0, 6.0, 10.0, 300, 10), 0.0, None)
    kept = Suspect(2, SAYS["INCONCLUSIVE"], 1.0, 333, recent_bytes_per_cycle=333.0)
    unknown = replace(evidence(), suspects=(kept, table))
    known = replace(unknown, series={**unknown.series, "tracked": SAYS["LEAK"]})

    told = decide(unknown).series["tracked"]

    assert (told.verdict, told.rate, told.low) == (Verdict.LEAK, 341.0, 6.0)
    assert told.high is not None
    assert told.high > 341.0
    assert decide(replace(unknown, suspects=(table,))).series["tracked"].rate == 8.0
    assert decide(known).series["tracked"].rate == 2.0


def births(stays_bytes_per_cycle: float, *, tolerance: float = 1.0, cycles: int = 1000) -> SeriesVerdict:
    """Return what the births say where so much stays."""
    verdict = Verdict.CLEAN if stays_bytes_per_cycle < tolerance else Verdict.INCONCLUSIVE
    rate = stays_bytes_per_cycle
    return SeriesVerdict(
        verdict, SeriesState.UNDECIDED, rate, rate, rate, since=125, until=500, cycles=cycles, tolerance=tolerance
    )


@pytest.mark.parametrize(
    ("survivors", "is_watched", "needed"),
    [
        (births(1.5), True, 500),  # per cycle it is less, the more cycles there are
        (births(15.0, tolerance=10.0), True, 500),
        (births(1.01), True, 190),  # at the next look
        (births(80.0), True, 3000),  # then the next span begins behind it
        (births(80.0), False, 30_000),
        (None, True, 30_000),
    ],
)
def test_how_many_more_cycles_are_needed_follows_from_the_births_where_they_decide_sooner(
    survivors: SeriesVerdict | None, *, is_watched: bool, needed: int
):
    noisy = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNDECIDED, 0.0, -20.0, 20.0, needed=30_000)
    seen = replace(evidence(), survivors=survivors, is_watched=is_watched)

    assert decide(replace(seen, series={**seen.series, "tracked": noisy})).needed == needed


def test_memory_that_grows_is_waited_for_as_long_as_its_series_needs():
    seen = replace(evidence(), survivors=births(1.5), is_watched=True)
    growing = replace(SAYS["GROWING"], needed=30_000)

    assert decide(replace(seen, series={**seen.series, "tracked": growing})).needed == 30_000


def test_after_a_gap_in_the_readings_a_third_as_many_cycles_are_enough():
    gap = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.FEW_READINGS, needed=5000)
    seen = replace(evidence(), is_watched=True, cycles=3000, survivors=births(0.1, cycles=3000))

    assert decide(replace(seen, series={**seen.series, "fds": gap})).needed == 1000
    assert decide(replace(seen, series={**seen.series, "fds": gap}, is_watched=False)).needed == 5000
