"""Growth that shows in steps only: tables and arenas that are made larger by a factor when they are full."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from soak.analysis.sites.ledger import LedgerJudge
from soak.analysis.sites.steps import judge_steps
from soak.verdict import SeriesVerdict, Verdict

_PATH = Path(__file__).parents[2] / "benchmarks" / "calibrate_steps.py"
sys.path.insert(0, str(_PATH.parent))
_SPEC = importlib.util.spec_from_file_location("calibrate_steps", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
calibrate = importlib.util.module_from_spec(_SPEC)
sys.modules["calibrate_steps"] = calibrate
_SPEC.loader.exec_module(calibrate)

AT = np.arange(0.0, 16_385)
N_MIN = 4096


def doubled(content: np.ndarray) -> np.ndarray:
    """Return the bytes of a table of 64 B at first that is doubled when its content does not fit."""
    return 64 * 2.0 ** np.maximum(np.ceil(np.log2(np.maximum(content, 1) / 64)), 0)


def judge_until(cycle: int, content: np.ndarray) -> SeriesVerdict | None:
    return judge_steps(AT[: cycle + 1], doubled(content)[: cycle + 1], N_MIN, 1.0)


def test_a_table_that_is_doubled_for_ever_is_a_leak_at_the_rate_of_its_content():
    """10 B a cycle: full at 6, 13, 26, … 3,277, 6,554 cycles. The step after n_min decides, the tenth."""
    assert judge_until(6553, 10 * AT) is None

    told = judge_until(6554, 10 * AT)

    assert told is not None
    assert (told.verdict, told.decided_at) == (Verdict.LEAK, 6554)
    assert told.rate == pytest.approx(10, rel=0.01)
    assert told.low <= 10 <= told.high


def test_a_table_that_is_not_full_again_in_time_has_stopped():
    """What was filled until cycle 7,000 should have been full again at 13,107."""
    content = 10 * np.minimum(AT, 7000)

    assert judge_until(7000, content) is not None
    assert judge_until(15_000, content) is None


def test_a_leak_by_steps_stands_whenever_it_is_looked_at():
    """Whether it is told must not depend on how many cycles a busy machine runs after the step that decided."""
    values = doubled(10 * AT)

    assert all(judge_steps(AT[: n + 1], values[: n + 1], N_MIN, 1.0) is not None for n in range(6554, len(AT), 97))


@pytest.mark.parametrize("every", [3, 4, 5, 8, 16, 85])
def test_what_grows_at_each_reading_is_no_table(every: int):
    """Its rises of a twentieth seem to be steps that come late or early by a reading; windows judge it."""
    cycles = np.arange(0.0, 4 * N_MIN, every)

    for content in (163 * cycles, 5000 * np.sqrt(cycles)):
        seen = (judge_steps(cycles[:n], content[:n], N_MIN, 1.0) for n in range(N_MIN // every, len(cycles), 11))
        assert not any(seen)


def test_what_grows_in_each_cycle_and_is_read_seldom_is_no_table():
    """As where a checkpoint of a process with gigabytes takes long. These readings were taken of one with five."""
    cycles = np.array(
        [0, 1, 8, 41, 79, 98, 122, 150, 187, 233, 284, 355, 438, 448, 486, 542, 655, 750, 861, 990, 1342.0]
    )

    assert judge_steps(cycles, 106 * cycles, 256, 1.0) is None


def test_a_table_that_is_emptied_once_is_none():
    content = 10 * AT
    values = doubled(content)
    values[5000] = 64

    assert judge_steps(AT[:7000], values[:7000], N_MIN, 1.0) is None


def test_growth_below_the_tolerance_is_none():
    assert judge_steps(AT, doubled(10 * AT), N_MIN, 11.0) is None


@pytest.mark.parametrize("content", [640 * np.log1p(AT), 500 * np.sqrt(AT), AT**1.5 / 10], ids=["log", "root", "power"])
def test_content_that_does_not_grow_at_one_rate_is_none(content: np.ndarray):
    values = doubled(content)

    assert all(judge_steps(AT[: n + 1], values[: n + 1], N_MIN, 0.01) is None for n in range(N_MIN, len(AT), 7))


def test_a_single_step_and_no_step_are_none():
    assert judge_steps(AT, np.where(AT > 5000, 1e6, 10.0), N_MIN, 1.0) is None
    assert judge_steps(AT, np.full(len(AT), 10.0), N_MIN, 1.0) is None


@pytest.mark.parametrize(
    ("make", "add", "rate", "cycles"),
    [
        (list, lambda kept, number: kept.append(number), 8.0, 6_000),
        (dict, lambda kept, number: kept.__setitem__(number, None), 27.3, 6_000),
        (set, lambda kept, number: kept.add(number), 26.8, 21_000),
    ],
)
def test_a_container_of_python_that_is_kept_alone_grows_at_the_rate_of_its_content(
    make: Callable[[], object], add: Callable[[object, int], None], rate: float, cycles: int
):
    """Its entries are nothing new, such as None. A list grows by an eighth, a dict by two, a set by four or two."""
    kept, judge, found = make(), LedgerJudge(1.0), []
    read = set(calibrate.readings(np.random.default_rng(7)).astype(int).tolist())
    for number in range(cycles):
        if number in read:
            judge.add(number, np.array([1]), np.array([sys.getsizeof(kept)]))
            found += [one for one in judge.suspects(N_MIN) if number >= N_MIN and one.is_leak]
        add(kept, number)

    assert found
    assert found[0].bytes_per_cycle == pytest.approx(rate, rel=0.1)


@pytest.mark.parametrize("family", calibrate.CLEAN, ids=lambda family: family.__name__)
def test_a_table_without_a_leak_is_not_called_one(family: Callable[..., np.ndarray]):
    """At a true rate of 0.1 % or less, two false alarms in 32 runs are nearly impossible."""
    assert calibrate.false_leaks(family, 32) <= 1


def test_leaks_are_found_at_their_rate():
    found = [(one, rate) for one, rate in calibrate.leaks(64) if one.at < np.inf]

    assert len(found) >= 58
    assert sum(one.low <= rate <= one.high for one, rate in found) == len(found)
    assert all(one.rate == pytest.approx(rate, rel=0.1) for one, rate in found)


@pytest.mark.parametrize(("entries", "is_leak"), [(200, False), (345, False), (384, False), (None, True)])
def test_a_dict_from_which_the_oldest_entry_is_removed_is_none(entries: int | None, *, is_leak: bool):
    """Its table is made larger once more when as many as it has room for have come and gone."""
    cycles, table = np.arange(0.0, 1_500), {}
    sizes = np.zeros(len(cycles))
    for n in range(len(cycles)):
        table[n] = None
        if entries is not None and len(table) > entries:
            del table[next(iter(table))]
        sizes[n] = sys.getsizeof(table)

    told = [judge_steps(cycles[: n + 1], sizes[: n + 1], 640, 1.0) for n in range(690, len(cycles), 90)]

    assert any(told) is is_leak
