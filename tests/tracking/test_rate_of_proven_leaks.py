"""The rate of a proven leak is that of all that grows: with the container's own table, without what comes and goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from soak.analysis.component import ComponentJudge
from soak.analysis.sites.ledger import LedgerJudge, Suspect
from soak.attribution.causes import Call
from soak.attribution.holders import Reachability
from soak.running.clock import SystemClock
from soak.running.component.reading.ledger_reader import LedgerReader
from soak.running.scanning.proving import Proofs
from soak.verdict import SeriesState, SeriesVerdict, Verdict

PROVEN, BESIDE = 1, 2
PROVEN_BYTES, BATCH_BYTES = 106, 10_000
CYCLES = np.arange(0, 201, 2)
LINES = {PROVEN: 2, BESIDE: 4}
CODE = "def make():\n    return bytes(73)\ndef cycle():\n    KEPT.append(make())\nKEPT = []\n"
JUDGED = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.EARLY, 1.0)


def table_bytes(cycles: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the size of the table of a list of so many: it is enlarged by an eighth whenever it is full."""
    sizes, room = [], 0
    for length in cycles.tolist():
        room = length + (length >> 3) + 6 & ~3 if length > room else room
        sizes.append(8 * room)
    return np.array(sizes, np.int64)


def proofs(
    folder: Path, beside: NDArray[np.int64], beside_blocks: NDArray[np.int64], code: str = CODE, **state: str
) -> Proofs:
    """Prove with one site that keeps a block in each cycle, and one ``beside`` it; ``state``: of each."""
    file = folder / "app.py"
    file.write_text(code, encoding="utf-8")
    judge = LedgerJudge(1.0)
    for number, cycle in enumerate(CYCLES.tolist()):
        blocks = np.array([0, cycle, beside_blocks[number]], np.int64)
        judge.add(cycle, blocks, np.array([0, PROVEN_BYTES * cycle, beside[number]], np.int64))
    loop = Call(file="/x/soak/inside/loop.py", function="run", line=10)
    cycle_call = Call(file=str(file), function="cycle", line=4)
    stacks = {
        PROVEN: [(Call(file=str(file), function="make", line=LINES[PROVEN]), cycle_call, loop)],
        BESIDE: [(cycle_call, loop)],
    }
    ledger: Any = LedgerReader(lambda: None, str, 1.0)
    ledger._judge = judge
    ledger.stacks_of = stacks.__getitem__
    ledger.main_stacks = lambda site: [site]
    ledger.python_files = lambda: (str(file),)
    ledger.has_kept = lambda *_: True
    reachability = {PROVEN: Reachability(state["proven"], decided_at=40), BESIDE: Reachability("held")}
    return Proofs(ledger, reachability.__getitem__, SystemClock())


def suspects(size: float, blocks: float) -> list[Suspect]:
    return [Suspect(PROVEN, JUDGED, 1.0, PROVEN_BYTES), Suspect(BESIDE, JUDGED, blocks, None, size)]


def test_a_list_that_is_kept_grows_by_its_own_table_too(tmp_path: Path):
    table = table_bytes(CYCLES)

    found = proofs(tmp_path, table, np.ones_like(table), proven="held").kept(suspects(8.0, 0.0), int(CYCLES[-1]))

    assert found is not None
    assert (found.growth.rate, found.total.low) == (PROVEN_BYTES, PROVEN_BYTES)
    assert PROVEN_BYTES + 8 <= (found.total.rate or 0.0) <= PROVEN_BYTES + 10


@pytest.mark.parametrize(
    ("bounded", "rate"), [({BESIDE}, PROVEN_BYTES), (set(), PROVEN_BYTES + BATCH_BYTES)], ids=["bounded", "a leak too"]
)
def test_what_a_bounded_container_holds_is_no_growth_beside_what_is_lost(
    tmp_path: Path, bounded: set[int], rate: float
):
    """A batch that is emptied every thousand cycles looks, until then, like a list that is never emptied."""
    proving = proofs(tmp_path, BATCH_BYTES * CYCLES, CYCLES, proven="lost")
    growing = suspects(float(BATCH_BYTES), 1.0)
    evidence = ComponentJudge(1.0, {}, frozenset()).evidence()
    evidence = replace(evidence, suspects=tuple(growing), lost=proving.lost(growing, int(CYCLES[-1])))

    found = proving.without_bounded(evidence, bounded).lost

    assert found is not None
    assert found.total.rate == pytest.approx(rate)
    assert (found.total.low, found.total.high) == (PROVEN_BYTES, PROVEN_BYTES + BATCH_BYTES)


@pytest.mark.parametrize(("allowed", "is_below"), [(150, False), (180, True), (5000, True)])
def test_what_may_go_into_a_bounded_container_is_below_its_bound(tmp_path: Path, *, allowed: int, is_below: bool):
    """As many entries as blocks at most: 200 of them do not fit into 150, even if a few are over."""
    code = CODE + f"def drop():\n    if len(KEPT) > {allowed}:\n        KEPT.clear()\n"
    proving = proofs(tmp_path, 8 * CYCLES, np.ones_like(CYCLES), code, proven="held")

    assert proving.is_below_bound(suspects(8.0, 0.0), int(CYCLES[-1])) is is_below
    assert not proving.is_below_bound([], int(CYCLES[-1]))
