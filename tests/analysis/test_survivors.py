"""CLEAN by the births of what is alive: nothing that stays passes, whatever comes and goes does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from soak.analysis.component import ComponentJudge
from soak.analysis.decision.decide import decide
from soak.analysis.decision.outcome import Decision
from soak.analysis.evidence import REQUIRED_IN_A_RUN, Evidence
from soak.analysis.sites.survivors import (
    FEWEST_CYCLES,
    SETTLED,
    SETTLED_OF_WATCHED,
    Cohorts,
    HalfEmptyTable,
    SurvivorJudge,
)
from soak.analysis.sites.work import WorkOfOthers
from soak.measurements import Reading
from soak.verdict import SeriesState, SeriesVerdict, Verdict

ENDS = np.array([*range(8), *(((4 + quarter) << octave) - 1 for octave in range(1, 20) for quarter in range(4))][1:])
FOREVER = 1 << 40


def judge(
    births: NDArray[np.int64],
    deaths: NDArray[np.int64],
    sizes: NDArray[np.int64] | int = 106,
    *,
    cycles: int = 1800,
    n_clean: int = FEWEST_CYCLES,
    ends: bool = False,
    settled: float = SETTLED,
    work: WorkOfOthers | None = None,
) -> SeriesVerdict | None:
    """Let blocks live from one cycle to another, read about every fortieth cycle; return the verdict at the end.

    ``ends``: with one more look at the last cycle.
    """
    sizes = np.broadcast_to(np.asarray(sizes), births.shape)
    survivors = SurvivorJudge(1.0, settled=settled, work=work)
    for cycle in sorted({*range(0, 200, 7), *(int(200 * 1.025**step) for step in range(400))}):
        if cycle > cycles:
            break
        if survivors.is_due(cycle):
            alive = (births <= cycle) & (deaths > cycle)
            survivors.add(cohorts(cycle, births[alive], sizes[alive]))
    alive = (births <= cycles) & (deaths > cycles)
    return survivors.judge(n_clean, cohorts(cycles, births[alive], sizes[alive]) if ends else None)


def cohorts(cycle: int, births: NDArray[np.int64], sizes: NDArray[np.int64], site: int = 3) -> Cohorts:
    """Return each block as a row of its own."""
    ends = np.unique(ENDS)
    bucket = np.searchsorted(ends, births)
    born_from, born_by = np.append(0, ends[:-1] + 1)[bucket], ends[bucket]
    return Cohorts(cycle, np.full(len(births), site), born_from, born_by, np.ones(len(births), np.int64), sizes, ends)


def each_cycle(cycles: int = 4000) -> NDArray[np.int64]:
    return np.arange(1, cycles + 1)


def is_clean(verdict: SeriesVerdict | None) -> bool:
    return verdict is not None and verdict.verdict is Verdict.CLEAN


def test_blocks_freed_in_their_cycle_are_clean_and_there_is_no_earlier_verdict():
    births = each_cycle()

    assert is_clean(judge(births, births))
    assert judge(births, births, cycles=400) is None
    assert not is_clean(judge(births, births, cycles=1700))
    assert is_clean(judge(births, births, cycles=460, n_clean=256))


def test_a_slow_run_that_ends_early_is_judged_at_its_end():
    births = each_cycle()

    assert is_clean(judge(births, births, cycles=300, n_clean=256, ends=True))
    assert judge(births, births, cycles=300, n_clean=256) is None
    assert judge(births, births, cycles=250, n_clean=256, ends=True) is None
    for every in (1, 20, 60):
        assert not is_clean(
            judge(births[::every], np.full(len(births[::every]), FOREVER), cycles=300, n_clean=256, ends=True)
        )


def test_what_lives_long_by_chance_is_gone_at_one_of_the_looks():
    """Two blocks on a free list, about 200 cycles old at cycle 448, are there at that look, but not at the next."""
    births, deaths = np.array([150, 250]), np.array([480, 490])

    assert not is_clean(judge(births, deaths, 528, cycles=460, n_clean=256))
    assert is_clean(judge(births, deaths, 528, cycles=560, n_clean=256))


@pytest.mark.parametrize("every", [1, 2, 7, 50, 100])
def test_a_leak_is_never_clean(every: int):
    births = each_cycle()[::every]

    found = judge(births, np.full(len(births), FOREVER))

    assert found is not None
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.rate == pytest.approx(106 / every, rel=0.02, abs=106 / 1056)


@pytest.mark.parametrize("phase", range(0, 1000, 50))
def test_one_large_block_in_a_thousand_cycles_is_seen_at_any_phase(phase: int):
    births = np.arange(phase or 1000, 4000, 1000)

    assert not is_clean(judge(births, np.full(len(births), FOREVER), 106_000))


@pytest.mark.parametrize("starts", [1, 200, 300, 700, 1200])
def test_a_leak_that_begins_before_the_end_of_the_births_is_seen(starts: int):
    births = each_cycle()[starts:]

    assert not is_clean(judge(births, np.full(len(births), FOREVER)))


@pytest.mark.parametrize("period", [10, 100, 400])
def test_a_sawtooth_of_megabytes_is_clean(period: int):
    """14 MB are freed at once from time to time; no counter could see growth of 1 B beside that."""
    births = each_cycle()

    assert is_clean(judge(births, (births // period + 1) * period, 14_000_000 // period))


@pytest.mark.parametrize("first", [1.0, 1.1, 1.25, 1.4, 1.6, 1.8])
@pytest.mark.parametrize("factor", [1.5, 2.0])
def test_a_table_that_is_made_anew_when_it_is_full_is_growth(first: float, factor: float):
    """As that of a std::vector, into which each cycle puts 106 B: no block but the latest is alive."""
    made = np.array([int(first * factor**step) for step in range(40)])
    sizes = (106 * made * factor).astype(np.int64)

    looks = [judge(made[:-1], made[1:], sizes[:-1], cycles=cycles) for cycles in range(450, 8000, 150)]

    assert not any(map(is_clean, looks))


def test_a_table_that_doubles_whenever_the_series_is_looked_at_is_not_clean_by_the_series():
    """A vector to which each cycle adds one doubles at powers of two, as soak looks: it is flat in (n/2, n]."""
    made = 2 ** np.arange(16)
    sizes = 200 * made

    for n in (4096, 8192):
        for mark in (n, int(0.9 * n), int(0.77 * n), int(1.1 * n)):
            at_mark = judge(made[:-1] + 1, made[1:] + 1, sizes[:-1], cycles=mark)
            assert at_mark is not None
            assert at_mark.is_growing
        found = judge(made[:-1] + 1, made[1:] + 1, sizes[:-1], cycles=n)
        assert found is not None
        assert found.is_growing
        flat = SeriesVerdict(Verdict.CLEAN, SeriesState.FLAT, 0.0, 0.0, 0.01, decided_at=n)
        series = dict.fromkeys((*REQUIRED_IN_A_RUN, "tracked"), flat)
        seen = Evidence(series, REQUIRED_IN_A_RUN, 1.0, n, 512, survivors=found)
        assert decide(seen).verdict is Verdict.INCONCLUSIVE
        assert decide(replace(seen, survivors=replace(found, is_growing=False))).verdict is Verdict.CLEAN


def test_a_block_of_a_site_that_had_none_before_is_no_table_that_doubles():
    """As the table of a list that shrinks: the call that takes from it makes a smaller one, once."""
    found = judge(np.array([1500]), np.array([FOREVER]), 20_000, cycles=2000)

    assert found is not None
    assert not found.is_growing


def test_a_table_that_has_stopped_to_grow_is_not_waited_for():
    made = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024])

    found = judge(made, np.array([*made[1:], FOREVER]), 200 * made, cycles=4000)

    assert found is not None
    assert not found.is_growing


@pytest.mark.parametrize(
    ("half_empty", "freed_at", "leaked", "is_no_growth"),
    [(True, 2100, 0, True), (False, 2100, 0, False), (True, FOREVER, 0, False), (True, 2100, 23, False)],
    ids=["half empty", "full", "a dict with its table is lost", "a leak beside it"],
)
def test_the_table_of_a_dict_that_was_made_larger_for_removed_entries_is_no_growth(
    half_empty: bool, freed_at: int, leaked: int, is_no_growth: bool
):
    """The small table goes when the large one comes, in cycle 2,100 of 4,300."""
    births, deaths = np.array([0, 2100, *each_cycle(5000)]), np.array([freed_at, FOREVER, *[FOREVER] * 5000])
    sizes = np.array([415_088, 961_216, *[leaked] * 5000])
    table = HalfEmptyTable(site=3, born=2100, size_bytes=961_216, half_bytes=415_088)
    survivors = SurvivorJudge(1.0)
    for cycle in range(4300):
        if survivors.is_due(cycle):
            alive = (births <= cycle) & (deaths > cycle) & (sizes > 0)
            found = cohorts(cycle, births[alive], sizes[alive])
            survivors.add(replace(found, half_empty=[table] if half_empty and cycle > 2100 else []))

    assert is_clean(survivors.judge(FEWEST_CYCLES)) is is_no_growth


@pytest.mark.parametrize("every", [1, 30, 100, 300])
def test_a_table_that_is_made_anew_and_does_not_grow_is_clean(every: int):
    made = each_cycle()[::every]

    assert is_clean(judge(made, made + every, 106_000))


@pytest.mark.parametrize("rate", [3, 106])
def test_a_table_that_is_made_anew_in_each_cycle_is_growth(rate: int):
    """As that of an array to which `np.append` adds: a new one each time, a little larger."""
    made = each_cycle()

    assert not is_clean(judge(made, made + 1, rate * made))


def test_a_cache_at_its_cap_is_clean_and_one_that_fills_is_not():
    births = each_cycle()

    assert is_clean(judge(births, births + 400))
    assert not is_clean(judge(births, births + 1500))


def test_blocks_from_before_that_stay_are_no_growth():
    births = np.concatenate([np.zeros(10_000, np.int64), np.arange(1, 180)])

    assert is_clean(judge(births, np.full(len(births), FOREVER)))


def test_a_block_that_is_resized_again_and_again_is_growth():
    """The table of a list keeps its birth when it grows; memory that another site frees does not compensate."""
    survivors = SurvivorJudge(1.0)
    for cycle in (112, 224, 448, 896, FEWEST_CYCLES):
        table = cohorts(cycle, np.array([5]), np.array([8 * cycle]), site=3)
        setup = cohorts(cycle, np.array([0]), np.array([10_000_000 - 1000 * cycle]), site=4)
        both = {
            name: np.concatenate([getattr(table, name), getattr(setup, name)])
            for name in ("sites", "born_from", "born_by", "blocks", "sizes")
        }
        survivors.add(Cohorts(cycle, **both, spans_end=table.spans_end))

    found = survivors.judge(FEWEST_CYCLES)

    assert found is not None
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.rate == pytest.approx(8 * (FEWEST_CYCLES - 448) / 1056, rel=0.05)


def test_random_programs():
    """1,000 programs: any lifetimes within n/4 are clean, and a leak of 2 B per cycle among them never is."""
    random = np.random.default_rng(20261125)
    for _ in range(500):
        births = np.sort(random.integers(1, 4000, random.integers(100, 4000)))
        lifetimes = random.integers(0, random.integers(1, 430), len(births))
        sizes = random.integers(1, 5000, len(births))
        assert is_clean(judge(births, births + lifetimes, sizes))

        every = int(random.integers(1, 200))
        leaked = np.arange(random.integers(1, 200), 4000, every)
        assert not is_clean(
            judge(
                np.concatenate([births, leaked]),
                np.concatenate([births + lifetimes, np.full(len(leaked), FOREVER)]),
                np.concatenate([sizes, np.full(len(leaked), 2 * every)]),
            )
        )


SURVIVORS = SeriesVerdict(
    Verdict.CLEAN, SeriesState.NOTHING_STAYS, 0.0, 0.0, 0.015, decided_at=1800, since=226, until=1350
)


def decided(
    *, is_last: bool = False, is_rss_explained: bool = False, without: str = "", **changed: SeriesVerdict
) -> Decision:
    """Decide when nothing stays, exact counts are CLEAN, and counters of memory say nothing except ``changed``."""
    clean = SeriesVerdict(Verdict.CLEAN, SeriesState.FLAT, 0.0, 0.0, 0.001, 1792)
    open_one = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNDECIDED, 0.0, -1e6, 1e6)
    counts = dict.fromkeys(("threads", "children", "fds"), clean)
    memory = dict.fromkeys(("tracked", "python_blocks", "heap", "mapped", "rss"), open_one)
    series = {name: verdict for name, verdict in {**counts, **memory, **changed}.items() if name != without}
    return decide(
        Evidence(
            series=series,
            required=REQUIRED_IN_A_RUN,
            tolerance_bytes=1.0,
            cycles=1800,
            n_min=1792,
            early=series,
            survivors=SURVIVORS,
            is_last=is_last,
            is_rss_explained=is_rss_explained,
        )
    )


def test_what_is_still_open_beside_the_proof_is_told_with_the_cycles_that_it_needs():
    """Descriptors that come and go, as the journal of SQLite does: memory is proven, and not waited for."""
    comes_and_goes = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNDECIDED, 0.0, -0.02, 0.02, needed=900)
    memory = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNDECIDED, 0.0, -1e6, 1e6, needed=300_000)

    found = decided(fds=comes_and_goes, tracked=memory)

    assert (found.verdict, found.grounds[0].signals, found.needed) == (Verdict.INCONCLUSIVE, ("fds",), 900)


def test_counters_of_memory_need_no_proof_but_must_not_grow():
    grows = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNSTEADY, 5.0, 4.0, 6.0, is_growing=True)
    open_one = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNDECIDED, 0.0, -1.0, 1.0)

    found = decided()

    assert (found.verdict, found.decided_by, found.decided_at) == (Verdict.CLEAN, "tracked", 1800)
    for name in ("heap", "python_blocks", "tracked", "mapped", "rss"):
        assert decided(**{name: grows}).verdict is Verdict.INCONCLUSIVE
    for name in ("fds", "threads", "children"):
        assert decided(**{name: open_one}).verdict is Verdict.INCONCLUSIVE
    assert decided(without="fds").verdict is Verdict.INCONCLUSIVE


def test_pages_that_come_with_a_heap_that_goes_up_and_keeps_nothing_are_no_growth_of_their_own():
    """This is what tables of bytecode do that are made once: at the end of the run heap and RSS are higher."""
    heap = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNDECIDED, 22.7, -29.0, 87.0)
    pages = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNSTEADY, 16.2, 2.56, 53.8, is_growing=True)
    more = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNSTEADY, 60.0, 40.0, 80.0, is_growing=True)

    assert decided(heap=heap, rss=pages).verdict is Verdict.CLEAN
    assert decided(heap=heap, rss=more).verdict is Verdict.INCONCLUSIVE


def test_resident_memory_that_settles_is_waited_for_but_not_beyond_the_end():
    settles = SeriesVerdict(Verdict.SETTLING, SeriesState.SLOWING, 5.0, 4.0, 6.0, is_growing=True)
    grows = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNSTEADY, 5.0, 4.0, 6.0, is_growing=True)

    assert decided(rss=settles).verdict is not Verdict.CLEAN
    assert decided(rss=settles, is_last=True).verdict is Verdict.CLEAN
    assert decided(rss=grows, is_last=True).verdict is not Verdict.CLEAN
    assert decided(mapped=settles, is_last=True).verdict is not Verdict.CLEAN


def test_resident_memory_at_one_rate_that_audits_explain_is_not_waited_for():
    """Garbage waits longer for its collection the rarer checkpoints become; memory in use is flat."""
    steady = SeriesVerdict(Verdict.LEAK, SeriesState.STEADY, 160.0, 70.0, 250.0, is_growing=True)
    unsteady = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNSTEADY, 160.0, 70.0, 250.0, is_growing=True)

    assert decided(rss=steady).verdict is not Verdict.CLEAN
    assert decided(rss=steady, is_rss_explained=True).verdict is Verdict.CLEAN
    assert decided(rss=unsteady, is_rss_explained=True).verdict is not Verdict.CLEAN
    assert decided(rss=steady, mapped=steady, is_rss_explained=True).verdict is not Verdict.CLEAN


@pytest.mark.parametrize("period", [50, 700, 4000])
@pytest.mark.parametrize("cycles", [6000, 7000, 9000])
def test_a_watched_program_may_keep_what_is_young_but_not_more_than_before(period: int, cycles: int):
    """Its garbage waits for a collection; what has begun to leak after the first half of the cycles does not."""
    births = each_cycle(cycles)
    collected = (births // period + 1) * period
    leaking = births[cycles * 9 // 16 :]
    both = np.append(births, leaking), np.append(collected, np.full(len(leaking), FOREVER))
    sizes = np.append(np.full(cycles, 1000), np.full(len(leaking), 300))
    leaks = judge(*both, sizes, cycles=cycles, n_clean=1024, ends=True, settled=SETTLED_OF_WATCHED)

    assert is_clean(judge(births, collected, 1000, cycles=cycles, n_clean=1024, ends=True, settled=SETTLED_OF_WATCHED))
    if period < cycles / 8:
        assert not is_clean(leaks)


def test_what_malloc_keeps_in_its_tcache_does_not_object():
    kept = SeriesVerdict(Verdict.SETTLING, SeriesState.SLOWING, 13.0, 11.0, 21.0, is_growing=True, judged_at=3584)

    assert decided(heap=kept).verdict is Verdict.CLEAN
    assert decided(heap=replace(kept, rate=130.0)).verdict is not Verdict.CLEAN


def test_a_heap_that_never_rose_above_what_its_tcaches_hold_is_no_leak():
    """A thread filled its tcache at a rate that, taken over all cycles, would be megabytes: the heap rose by 600 kB."""
    steady = SeriesVerdict(Verdict.LEAK, SeriesState.STEADY, 1053.0, 900.0, 1200.0, is_growing=True, judged_at=5431)
    ledger = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNDECIDED, 2.0, -26.0, 13.0)
    evidence = Evidence(
        series={"tracked": ledger, "heap": steady},
        required=frozenset(),
        tolerance_bytes=1.0,
        cycles=5431,
        n_min=1024,
        threads=8,
    )

    assert decide(replace(evidence, heap_rise_bytes=6e5)).verdict is Verdict.INCONCLUSIVE
    assert decide(replace(evidence, heap_rise_bytes=5.7e6)).verdict is Verdict.LEAK


def test_the_heap_rises_from_its_lowest_reading_after_the_first_cycles():
    judge = ComponentJudge(1.0, {}, frozenset())
    for cycle, heap in enumerate((9e6, 1e6, 5e6, 4e6, 6e6, 5.5e6)):
        judge.add(Reading(32 * cycle, 0.1 * cycle, {"heap": heap}))

    assert judge.evidence().heap_rise_bytes == 2e6


@pytest.mark.parametrize(
    ("in_use", "sizes", "is_clean"),
    [({}, 56, False), ({3: 0}, 56, True), ({3: 30}, 56, False), ({3: 0}, [56, 600], False), ({4: 0}, 56, False)],
    ids=["not looked at", "all are free", "a part is in use", "of several sizes", "of another site"],
)
def test_what_an_interpreter_keeps_free_does_not_stay(
    in_use: dict[int, int], sizes: int | list[int], *, is_clean: bool
):
    """One list in 50 cycles goes to the list of free lists and is not used again."""
    survivors = SurvivorJudge(1.0, settled=SETTLED_OF_WATCHED)
    births = np.arange(1, 1801, 50)
    for cycle in (*range(28, 1800, 28), 1800):
        alive = births[births <= cycle]
        if survivors.is_due(cycle):
            survivors.add(replace(cohorts(cycle, alive, np.resize(sizes, len(alive))), in_use=in_use))

    found = survivors.judge(1792)

    assert found is not None
    assert (found.verdict is Verdict.CLEAN) == is_clean


def test_free_objects_that_are_not_known_as_such_at_the_end_do_not_seem_to_grow():
    """The process has ended, so at the last look nobody can tell which of its objects were free."""
    survivors, old = SurvivorJudge(1.0, settled=SETTLED_OF_WATCHED), np.zeros(80, np.int64)
    for cycle in range(28, 1800, 28):
        if survivors.is_due(cycle):
            survivors.add(replace(cohorts(cycle, old, np.full(80, 56)), in_use={3: 0}))

    found = survivors.judge(1792, cohorts(1800, old, np.full(80, 56)))

    assert survivors.looked_at == {3}
    assert found is not None
    assert (found.verdict, found.is_growing) == (Verdict.CLEAN, False)


@pytest.mark.parametrize(("in_use", "is_free"), [({}, False), ({3: 0}, True), ({3: 10**6}, False)])
def test_growth_by_free_objects_alone_is_told(in_use: dict[int, int], *, is_free: bool):
    survivors = SurvivorJudge(1.0, settled=SETTLED_OF_WATCHED)
    for cycle in range(56, 1792, 56):
        if survivors.is_due(cycle):
            survivors.add(replace(cohorts(cycle, np.arange(0, cycle, 25), np.full(-(-cycle // 25), 56)), in_use=in_use))
    survivors.judge(1792)

    assert survivors.grows_by_free_objects is is_free


def work_of(marks_per_cycle: float, *, until: int = 10_000) -> WorkOfOthers:
    """Return the work of others that mark so often in each cycle until one, and never after it."""
    work = WorkOfOthers()
    for cycle in range(1, until + 2000):
        work.note(cycle, int(min(cycle, until) * marks_per_cycle))
    return work


def of_supervisor(births: NDArray[np.int64], sizes: NDArray[np.int64] | int, work: WorkOfOthers | None) -> bool:
    """Whether a process is CLEAN after 1,200 samples that keeps these blocks."""
    kept = np.full(len(births), FOREVER)
    return is_clean(
        judge(births, kept, sizes, cycles=1200, n_clean=150, ends=True, settled=SETTLED_OF_WATCHED, work=work)
    )


@pytest.mark.parametrize(
    ("work", "clean"),
    [
        (None, False),
        (work_of(0), False),
        (work_of(0.5), False),
        (work_of(2), False),
        (work_of(10), True),
        (work_of(100, until=100), False),
    ],
)
def test_what_a_process_keeps_once_is_compared_with_the_work_that_others_do_meanwhile(
    work: WorkOfOthers | None, *, clean: bool
):
    assert of_supervisor(np.array([400]), 1748, work) is clean


@pytest.mark.parametrize("marks_per_cycle", [1, 10, 100])
def test_a_process_that_keeps_something_for_each_piece_of_the_work_of_others_is_not_clean(marks_per_cycle: int):
    work, births = work_of(marks_per_cycle), each_cycle(1200)

    assert not of_supervisor(births, 2 * marks_per_cycle, work)  # two bytes for each
    assert of_supervisor(births[::200], marks_per_cycle, work)
    assert not of_supervisor(np.repeat(births, marks_per_cycle)[::20], 16, work)  # a block for each twentieth
    assert not of_supervisor(np.repeat(births, marks_per_cycle)[::50], 8, work)  # many blocks, few bytes


def test_what_is_known_of_the_work_of_others_is_bounded():
    work = work_of(10, until=50_000)

    assert work.marks_per_cycle(10_000, 20_000) == pytest.approx(10, abs=0.1)
    assert work.marks_per_cycle(45_000, 49_990) == pytest.approx(10, abs=0.1)
    assert len(work._notes.first) <= 4096
