"""An arena and a table of names that are doubled for ever are leaks; those that are emptied, or full, are none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tracking_builder import PLANTED, can_build, line_of, soak_file

from soak.probes.memory import ProcessMemory
from soak.results import ComponentResult
from soak.running.scanning.naming.objects import ObjectReader
from soak.verdict import Verdict

N_MIN = 2048


def soak_steps(function: str, folder: Path, **changes: object) -> ComponentResult:
    if not can_build("ctypes", sys.executable, folder):
        pytest.skip("there is no C compiler here")
    settings = {"function": function, "folder": str(folder)}
    return soak_file(PLANTED / "stepped.py", settings=settings, n_min=N_MIN, **changes)


@pytest.mark.parametrize(
    ("function", "rate"), [("leak_into_arena", 24.0), pytest.param("leak_into_names", 16.0, marks=pytest.mark.long)]
)
def test_what_is_doubled_for_ever_is_a_leak_at_the_rate_of_its_content(tmp_path: Path, function: str, rate: float):
    """Within twelve doublings, and at its line: 24 B of the arena a cycle; a place of 8 B, of which half are used."""
    result = soak_steps(function, tmp_path, iterations=16 * N_MIN)

    cause = result.causes[0]
    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "ledger")
    assert cause.bytes_per_iteration == pytest.approx(rate, rel=0.05)
    assert result.growth is not None
    assert result.growth.low <= rate <= result.growth.high
    assert cause.where is not None
    assert cause.where.line == line_of(PLANTED / "leaks.c", f"/* planted: {function} */")
    assert result.iterations <= 4 * N_MIN


def test_of_several_causes_the_component_grows_by_the_sum(tmp_path: Path):
    """106 B by malloc, 24 B in an arena, and in every fourth cycle an object of 200 B and 8 B of the list with it."""
    if not can_build("ctypes", sys.executable, tmp_path):
        pytest.skip("there is no C compiler here")

    file = PLANTED / "several_causes.py"
    result = soak_file(file, settings={"folder": str(tmp_path)}, n_min=N_MIN, iterations=4 * N_MIN, early_stop=False)

    assert result.verdict is Verdict.LEAK
    assert result.growth is not None
    assert result.growth.low <= 182 <= result.growth.high
    assert result.growth.bytes_per_iteration == pytest.approx(182, rel=0.05)
    assert sum(cause.bytes_per_iteration for cause in result.causes) == pytest.approx(182, rel=0.05)


@pytest.mark.parametrize(
    "function", ["repaired_into_arena", pytest.param("repaired_into_names", marks=pytest.mark.long)]
)
def test_what_is_emptied_or_full_is_none(tmp_path: Path, function: str):
    result = soak_steps(function, tmp_path, iterations=4 * N_MIN, early_stop=False)

    assert result.verdict is Verdict.CLEAN
    assert result.causes == ()


@pytest.mark.parametrize(
    ("function", "verdict"),
    [("come_and_go", Verdict.CLEAN), ("stay", Verdict.INCONCLUSIVE), ("lost", Verdict.INCONCLUSIVE)],
)
def test_a_table_of_a_dict_made_larger_once_is_no_growth_where_its_entries_come_and_go(function: str, verdict: Verdict):
    """In cycle 3,922 of 6,000. Entries that stay, or a whole dict that is kept, may be growth: that is not decided."""
    result = soak_file(PLANTED / "table_of_dict.py", settings={"function": function}, iterations=6000, early_stop=False)

    assert result.verdict is verdict


@pytest.mark.parametrize("make_key", [str, int])
def test_a_table_is_half_empty_when_its_entries_fit_into_half_of_it(make_key: type):
    memory = ProcessMemory(os.getpid())
    reader = ObjectReader(memory)
    entries = {make_key(number): None for number in range(25_000)}
    smaller = {make_key(number): None for number in range(21_000)}
    size, half = (each.__sizeof__() - dict.__basicsize__ for each in (entries, smaller))
    table, _ = reader.tables_of_dict(id(entries))
    try:
        assert reader.half_of_table(table, size) == 0
        for number in range(5000):
            del entries[make_key(number)]
        assert reader.half_of_table(table, size) == half
        assert reader.half_of_table(table, size - 8) == 0
        assert reader.half_of_table(id(bytearray(size)), size) == 0
    finally:
        memory.close()
