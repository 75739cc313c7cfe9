"""What grows is kept where all of it hangs on memory that code puts into a container which only grows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soak.analysis.sites.ledger import LedgerJudge, Suspect
from soak.attribution.causes import Call
from soak.attribution.holders import UNSCANNED, Holder, Reachability
from soak.running.clock import SystemClock
from soak.running.component.reading.ledger_reader import LedgerReader
from soak.running.scanning.proving import Proofs
from soak.verdict import SeriesState, SeriesVerdict, Verdict

GROWS, HOLDS = 1, 2
CYCLES, EVERY = 400, 10
HELD = Reachability("held")
SUSPECT = Suspect(GROWS, SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.EARLY, 4000.0), 1.0, 4000)
KEEPS = "KEPT = []\ndef cycle():\n    KEPT.append((bytes(9),))\n"
REPAIRED = {
    "which is emptied": KEEPS + "import atexit\ndef stop():\n    KEPT.clear()\natexit.register(stop)\n",
    "which is refused": KEEPS.replace("    KEPT", "    len(KEPT) < 400 and KEPT"),
}


def proofs(folder: Path, code: str, found: Reachability = HELD, holders_per_cycle: float = 1.0) -> Proofs:
    """Prove with a site of C, of which no stack is known, and one of the third line of this code."""
    file = folder / "app.py"
    file.write_text(code, encoding="utf-8")
    loop = Call(file="/x/soak/inside/loop.py", function="run", line=10)
    judge = LedgerJudge(1.0)
    for cycle in range(0, CYCLES + 1, EVERY):
        counts = np.array([0, cycle, int(holders_per_cycle * cycle)], np.int64)
        judge.add(cycle, counts, np.array([0, 4000, 56]) * counts)
    ledger: Any = LedgerReader(lambda: None, str, 1.0)
    ledger._judge = judge
    ledger.stacks_of = lambda site: [(Call(file=str(file), function="cycle", line=3), loop)] if site == HOLDS else []
    ledger.main_stacks = lambda site: [site]
    ledger.python_files = lambda: (str(file),)
    return Proofs(ledger, lambda _: found, SystemClock())


def test_what_hangs_on_memory_in_a_container_that_only_grows_is_kept_by_it(tmp_path: Path):
    found = proofs(tmp_path, KEEPS).kept([SUSPECT], CYCLES, {HOLDS: frozenset({GROWS})})

    assert found is not None
    assert found.keeper is not None
    assert (found.keeper.name, found.keeper.line, found.sites) == ("KEPT", 3, 1)
    assert found.growth.rate == pytest.approx(4000)


@pytest.mark.parametrize("code", REPAIRED.values(), ids=REPAIRED)
def test_it_is_not_where_the_container_may_have_a_bound(tmp_path: Path, code: str):
    assert proofs(tmp_path, code).kept([SUSPECT], CYCLES, {HOLDS: frozenset({GROWS})}) is None


@pytest.mark.parametrize(
    ("found", "holders_per_cycle", "holding"),
    [
        (HELD, 1.0, {}),
        (HELD, 1.0, {HOLDS: frozenset({7})}),
        (HELD, 0.0, {HOLDS: frozenset({GROWS})}),
        (UNSCANNED, 1.0, {HOLDS: frozenset({GROWS})}),
        (Reachability("held", kind="reference-cycle"), 1.0, {HOLDS: frozenset({GROWS})}),
    ],
    ids=["nothing holds it", "another site's", "not more of it", "not looked at", "each other"],
)
def test_nor_where_it_does_not_hang_on_it(
    tmp_path: Path, found: Reachability, holders_per_cycle: float, holding: dict[int, frozenset[int]]
):
    assert proofs(tmp_path, KEEPS, found, holders_per_cycle).kept([SUSPECT], CYCLES, holding) is None


@pytest.mark.parametrize("code", [KEEPS, *REPAIRED.values()], ids=["only grows", *REPAIRED])
def test_what_is_held_by_what_is_held_by_its_table_is_kept_by_a_container(tmp_path: Path, code: str):
    """The scans say of each site what holds it: an object, whose dict is held by a method, which the list has."""
    between = 5
    ways = {GROWS: between, between: HOLDS}

    def reachability(site: int) -> Reachability:
        holders = (Holder(0, ways[site], "method"), Holder(8, None)) if site in ways else ()
        return replace(HELD, holders=holders)

    made = proofs(tmp_path, code)
    made._reachability = reachability

    found = made.kept([SUSPECT], CYCLES)

    assert (found is not None) is (code == KEEPS)


@pytest.mark.parametrize(
    ("blocks_per_cycle", "bytes_per_cycle", "is_settled"),
    [(0.01, 4000.0, False), (0.1, 4000.0, True), (0.01, 40.0, True), (0.0, 4000.0, True)],
    ids=["few large blocks", "enough of them", "little", "a table that is moved"],
)
def test_what_comes_in_large_blocks_now_and_then_is_waited_for(
    tmp_path: Path, blocks_per_cycle: float, bytes_per_cycle: float, is_settled: bool
):
    """The arena of a library grows by one block in a hundred calls: its objects alone were told, half of the growth."""
    verdict = replace(SUSPECT.verdict, rate=bytes_per_cycle)
    other = replace(SUSPECT, site=9, verdict=verdict, blocks_per_cycle=blocks_per_cycle, requested_size=None)

    found = proofs(tmp_path, KEEPS).kept([SUSPECT, other], CYCLES, {HOLDS: frozenset({GROWS})})

    assert found is not None
    assert found.is_settled is is_settled
