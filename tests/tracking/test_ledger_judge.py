"""Sites judged by their live blocks: what grows is found with its exact pace and size, what is bounded is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from soak.analysis.sites.ledger import MOST_CHECKPOINTS, MOST_SUSPECTS, LedgerJudge, Suspect
from soak.running.component.reading.ledger_reader import LedgerReader
from soak.verdict import SeriesState, SeriesVerdict, Verdict

NO_VERDICT = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNSTEADY)
N_MIN = 256
LEAKS, OTHERS = 3, 7  # numbers of sites
Live = Callable[[int], tuple[int, int]]
"""Live blocks and bytes after so many cycles."""


def judged(live: dict[int, Live], cycles: int = 2048, every: int = 8, n_min: int = N_MIN) -> list[Suspect]:
    """Judge sites by checkpoints each ``every`` cycles; sites that are not named have no blocks."""
    judge = LedgerJudge(tolerance_bytes=1.0)
    for cycle in range(0, cycles + 1, every):
        blocks, sizes = np.zeros(max(live) + 1, np.int64), np.zeros(max(live) + 1, np.int64)
        for site, at in live.items():
            blocks[site], sizes[site] = at(cycle)
        judge.add(cycle, blocks, sizes)
    return judge.suspects(n_min, at_end=True)


def of(size: int, count: Callable[[int], int]) -> Live:
    return lambda cycle: (count(cycle), size * count(cycle))


def test_a_block_each_cycle_is_a_leak_with_its_exact_pace_and_size() -> None:
    """106 B and 1.00 blocks a cycle, since the first quarter of the cycles that decided at the latest."""
    (suspect,) = judged({LEAKS: of(106, lambda cycle: 20 + cycle)})

    assert (suspect.site, suspect.verdict.verdict, suspect.is_leak) == (LEAKS, Verdict.LEAK, True)
    assert (suspect.blocks_per_cycle, suspect.bytes_per_cycle, suspect.requested_size) == (1.0, 106.0, 106)
    assert (suspect.verdict.decided_at, suspect.verdict.since) == (512, 128)


@pytest.mark.parametrize(("full_at", "is_alike"), [(10**6, True), (1240, False), (1150, False)])
def test_a_cache_that_is_full_before_the_end_is_not_alike_in_each_part(full_at: int, *, is_alike: bool) -> None:
    """Each part is an eighth of 1,280 cycles. To the rule's windows one of 1,240 is a leak."""
    (suspect,) = judged({LEAKS: of(106, lambda cycle: min(cycle, full_at) + cycle // 100)}, 1280, 20)

    assert suspect.is_alike_in_each_part is is_alike


def test_suspects_that_are_followed_are_judged_as_all_at_once() -> None:
    """Steps, a leak, a cache that fills and one that begins late, looked at after every checkpoint."""
    live = {
        LEAKS: of(106, lambda cycle: cycle),
        OTHERS: of(48, lambda cycle: min(cycle, 700)),
        9: of(20, lambda cycle: max(cycle - 500, 0) // 3),
        11: (lambda cycle: (1, 8 << max(cycle, 1).bit_length())),
    }
    followed = LedgerJudge(tolerance_bytes=1.0)
    for cycle in range(0, 2049, 16):
        blocks, sizes = np.zeros(12, np.int64), np.zeros(12, np.int64)
        for site, at in live.items():
            blocks[site], sizes[site] = at(cycle)
        followed.add(cycle, blocks, sizes)
        found = followed.suspects(512)
        if cycle % 256:
            continue
        at_once = LedgerJudge(tolerance_bytes=1.0)
        for before in range(0, cycle + 1, 16):
            blocks, sizes = np.zeros(12, np.int64), np.zeros(12, np.int64)
            for site, at in live.items():
                blocks[site], sizes[site] = at(before)
            at_once.add(before, blocks, sizes)
        assert found == at_once.suspects(512)
        assert followed.suspects(512, at_end=True) == at_once.suspects(512, at_end=True)


def test_sixteen_bytes_each_cycle_are_a_leak() -> None:
    """The smallest block there is, found by itself beside a site of megabytes that come and go."""
    found = judged({LEAKS: of(16, lambda cycle: cycle), OTHERS: of(7 << 20, lambda cycle: cycle // 8 % 3)})

    assert [suspect.site for suspect in found if suspect.is_leak] == [LEAKS]
    assert found[-1].requested_size == 16


def test_a_block_each_thousand_cycles_is_a_suspect_within_ten_thousand() -> None:
    """Nine are enough to tell its size and pace; the rule takes longer to call it a leak."""
    (suspect,) = judged({LEAKS: of(106_000, lambda cycle: cycle // 1000)}, 10_000, 40, 1250)

    assert suspect.requested_size == 106_000
    assert 1 / suspect.blocks_per_cycle == pytest.approx(1000, rel=0.005)
    assert suspect.bytes_per_cycle == pytest.approx(106, rel=0.15)


def test_a_block_each_thousand_cycles_is_a_leak_in_the_long_run() -> None:
    """The same when there are some blocks in each of the windows that the rule compares."""
    (suspect,) = judged({LEAKS: of(106_000, lambda cycle: cycle // 1000)}, 128_000, 500, 16_000)

    assert suspect.is_leak
    assert 1 / suspect.blocks_per_cycle == pytest.approx(1000, rel=0.005)


@pytest.mark.parametrize(
    ("name", "live"),
    [
        ("a cache at its cap", of(500, lambda cycle: 512)),
        ("a cache that turns over at its cap", of(500, lambda cycle: 512 - cycle // 8 % 2)),
        ("a cache that filled in the first half", of(500, lambda cycle: min(cycle, 512))),
        ("a sawtooth", of(14_000, lambda cycle: cycle % 100)),
        ("a sawtooth of a period of half of n_min", of(14_000, lambda cycle: cycle % (N_MIN // 2))),
        ("a buffer that doubles", lambda cycle: (1, 1 << cycle.bit_length())),
        ("a step", of(1 << 20, lambda cycle: int(cycle > 1500))),
        ("nothing", of(1, lambda cycle: 0)),
    ],
)
def test_what_is_bounded_is_no_leak(name: str, live: Live) -> None:
    """It may be suspected while it rises, but the rule does not call it a leak."""
    assert not [suspect for suspect in judged({OTHERS: live}) if suspect.is_leak], name


def test_a_cache_at_its_cap_is_not_even_a_suspect() -> None:
    """Its live blocks do not grow over the later half."""
    assert judged({OTHERS: of(500, lambda cycle: min(cycle, 512))}) == []


def test_a_cache_that_still_fills_ever_more_slowly_is_no_leak() -> None:
    """It grows by fewer and fewer: a suspect, not proven."""
    (suspect,) = judged({OTHERS: of(500, lambda cycle: int(1000 * (1 - 0.998**cycle)))})

    assert not suspect.is_leak
    assert suspect.verdict.verdict in (Verdict.SETTLING, Verdict.INCONCLUSIVE)


def test_a_cache_that_fills_in_a_line_is_no_leak_before_n_min() -> None:
    """It looks like one until it is full, so n_min decides."""
    filling = {OTHERS: of(500, lambda cycle: cycle)}

    (early,) = judged(filling, cycles=1024, n_min=2048)
    (late,) = judged(filling, cycles=1024, n_min=512)

    assert (early.is_leak, late.is_leak) == (False, True)


def test_suspects_come_the_fastest_first_and_are_not_more_than_a_report_can_show() -> None:
    """Forty sites that leak by different rates: the largest 32, in order."""
    found = judged({site: of(16 * site, lambda cycle: cycle) for site in range(2, 42)})

    rates = [suspect.bytes_per_cycle for suspect in found]
    assert len(found) == MOST_SUSPECTS
    assert rates == sorted(rates, reverse=True)
    assert found[0].site == 41


def test_many_quiet_sites_take_no_room_and_are_no_suspects() -> None:
    """Ten thousand sites with blocks that stay as they are, one that leaks."""
    judge = LedgerJudge(tolerance_bytes=1.0)
    for cycle in range(0, 1025, 8):
        blocks = np.full(10_000, 50, np.int64)
        blocks[LEAKS] += cycle
        judge.add(cycle, blocks, 106 * blocks)

    assert [suspect.site for suspect in judge.suspects(N_MIN)] == [LEAKS]
    assert sum(len(changes.positions) for changes in judge._changes.values()) == 1 + 1024 // 8


def test_a_long_run_takes_no_more_room_than_a_short_one_and_its_leak_is_exact() -> None:
    """A site that never stands still keeps some thousand readings, whatever the number of checkpoints."""
    judge = LedgerJudge(tolerance_bytes=1.0)
    checkpoints = 9 * MOST_CHECKPOINTS + 5
    for number in range(checkpoints):
        cycle = 64 * number
        blocks = np.zeros(OTHERS + 1, np.int64)
        blocks[LEAKS], blocks[OTHERS] = cycle // 50, 1000 + number % 7
        judge.add(cycle, blocks, 106 * blocks)

    cycles, blocks, _ = judge.series(LEAKS)
    (suspect,) = judge.suspects(100_000)
    assert max(len(changes.positions) for changes in judge._changes.values()) <= len(cycles) <= MOST_CHECKPOINTS
    assert (cycles[0], cycles[-1]) == (0, 64 * (checkpoints - 1))
    assert (np.diff(cycles) > 0).all()
    assert (blocks == cycles // 50).all()
    assert (suspect.site, suspect.is_leak, suspect.requested_size) == (LEAKS, True, 106)
    assert suspect.blocks_per_cycle == pytest.approx(0.02, rel=0.001)


def test_sites_that_appear_later_are_judged_from_zero() -> None:
    """The table of sites only grows; a checkpoint has more of them than the one before."""
    judge = LedgerJudge(tolerance_bytes=1.0)
    for cycle in range(0, 1025, 8):
        blocks = np.zeros(2 + (LEAKS if cycle > 64 else 0), np.int64)
        if len(blocks) > LEAKS:
            blocks[LEAKS] = cycle
        judge.add(cycle, blocks, 106 * blocks)

    (suspect,) = judge.suspects(N_MIN)
    assert (suspect.site, suspect.is_leak, suspect.requested_size) == (LEAKS, True, 106)


def test_a_site_is_found_where_checkpoints_have_become_rare() -> None:
    """On a busy machine checkpoints become too dear for a fast program: here the last comes after 464 cycles."""
    judge = LedgerJudge(tolerance_bytes=1.0)
    for cycle in (*range(37), 500):
        blocks = np.array([cycle, min(cycle, 30)], np.int64)
        judge.add(cycle, blocks, 106 * blocks)

    found = [(suspect.site, suspect.blocks_per_cycle, suspect.requested_size) for suspect in judge.suspects(N_MIN)]

    assert found == [(0, 1.0, 106)]


def test_blocks_of_two_sizes_have_no_size_though_their_mean_is_whole() -> None:
    """100 and 112 B in turn are no blocks of 106 B."""
    found = judged({LEAKS: lambda cycle: (cycle, 100 * ((cycle + 1) // 2) + 112 * (cycle // 2))}, 1024, every=1)

    assert [suspect.requested_size for suspect in found] == [None]


def test_two_blocks_a_cycle_have_no_size() -> None:
    """Their sizes cannot be told apart, though their sum can."""
    (suspect,) = judged({LEAKS: of(106, lambda cycle: 2 * cycle)})

    assert (suspect.blocks_per_cycle, suspect.requested_size) == (2.0, None)


def test_a_buffer_that_grows_brings_no_blocks_and_has_no_size() -> None:
    """The list that things are appended to: one block, ever larger."""
    (suspect,) = judged({LEAKS: lambda cycle: (1, 8 * cycle + 64)})

    assert (suspect.blocks_per_cycle, suspect.bytes_per_cycle, suspect.requested_size) == (0.0, 8.0, None)


def test_one_block_in_four_cycles_has_its_size_and_pace() -> None:
    """A path that fails every fourth time."""
    (suspect,) = judged({LEAKS: of(106, lambda cycle: cycle // 4)}, every=2)

    assert suspect.blocks_per_cycle == pytest.approx(0.25, abs=0.001)
    assert (suspect.is_leak, suspect.requested_size) == (True, 106)


def test_a_leak_that_began_late_has_the_pace_it_has_since_then() -> None:
    """One block a cycle from cycle 3,000 of 6,144 on is one block a cycle, not less."""
    (suspect,) = judged({LEAKS: of(106, lambda cycle: max(0, cycle - 3000))}, cycles=6144)

    assert suspect.is_leak
    assert suspect.blocks_per_cycle == 1.0
    assert suspect.verdict.since is not None
    assert 3000 <= suspect.verdict.since <= 4000


def test_nothing_is_a_suspect_before_there_are_eight_checkpoints() -> None:
    """A rate from so few checkpoints would be that of the start, when everything grows."""
    assert judged({LEAKS: of(106, lambda cycle: cycle)}, cycles=48) == []


def test_the_series_of_a_site_is_as_it_was_read() -> None:
    """Only changes are kept; what is between them is filled in."""
    judge = LedgerJudge(tolerance_bytes=1.0)
    for cycle, count in ((0, 0), (4, 2), (9, 2), (11, 5)):
        judge.add(cycle, np.array([0, count], np.int64), np.array([0, 10 * count], np.int64))

    cycles, blocks, sizes = judge.series(1)

    assert (cycles.tolist(), blocks.tolist(), sizes.tolist()) == ([0, 4, 9, 11], [0, 2, 2, 5], [0, 20, 20, 50])


def a_table(cycle: int) -> int:
    """Return the bytes of a table that is made twice as large when it is full."""
    return 24 * 2 ** max(cycle, 1).bit_length()


@pytest.mark.parametrize("cycles", [3000, 5000, 6000, 7500])
def test_nodes_that_stand_beside_a_table_at_one_call_site_count_in_what_grows_steadily(cycles: int) -> None:
    """An OrderedDict makes a node for each entry where it makes its table: in bytes they grow by leaps."""
    reader = LedgerReader(lambda: None, lambda: "", 1.0)
    live: dict[int, Live] = {
        0: of(216, lambda cycle: cycle),
        1: lambda cycle: (1 + cycle, 32 * cycle + a_table(cycle)),
        2: lambda cycle: (1, a_table(cycle)),
        3: of(90_000, lambda cycle: cycle // 100 % 7),
    }
    for cycle in range(0, cycles + 1, 16):
        counts = np.array([at(cycle) for at in live.values()], np.int64)
        reader._judge.add(cycle, counts[:, 0].copy(), counts[:, 1].copy())

    growth = reader.steady_growth([Suspect(site, NO_VERDICT, 1.0, None) for site in live])
    nodes = reader.steady_growth([Suspect(1, NO_VERDICT, 1.0, None)])

    assert growth is not None
    assert nodes is not None
    assert nodes.rate is not None
    assert nodes.low == pytest.approx(32.0, rel=0.01)
    assert nodes.rate > 50.0
    assert growth.rate == pytest.approx(216.0 + nodes.rate, rel=0.01)


def test_blocks_that_are_read_late_have_their_size_though_there_are_some_more_of_them_than_cycles() -> None:
    """So it is in a watched program. Two blocks of different sizes a cycle, and one more in 20, still have no size."""
    late = judged({LEAKS: of(100, lambda cycle: cycle + (4 if cycle > 300 else 0))}, 320)
    two = judged({LEAKS: lambda cycle: (2 * cycle, 300 * cycle)}, 320)
    one_in_20 = judged({LEAKS: lambda cycle: (cycle + cycle // 20, 100 * cycle + 100 * (cycle // 20))}, 1280, every=20)

    assert [suspect.requested_size for suspect in (*late, *two, *one_in_20)] == [100, None, None]
