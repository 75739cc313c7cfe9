"""What becomes of cells that are lost, in a scripted engine without processes."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from soak.matrix.cells import Cell, Fleet
from soak.matrix.columns import make_columns
from soak.matrix.merged import MissingCell
from soak.request import Request
from soak.results import ComponentResult
from soak.running.fleet.cell_run import write_failed_cell
from soak.running.fleet.engine import Ended, EngineLostError
from soak.running.fleet.fleet_run import FleetRun
from soak.running.fleet.losses import Loss
from soak.settings import make_plan
from soak.store.fleets import clear_unfinished, create_fleet, finish_run, is_done, unfinished_run
from soak.store.runs import list_runs, open_run


class ScriptedEngine:
    """Ends cells as a script says: by cell, what happens at each attempt; None leaves a run."""

    def __init__(self, fleet: Fleet, folder: Path, script: Mapping[str, list[str | None]]) -> None:
        self.fleet, self.folder = fleet, folder
        self.script = {name: list(outcomes) for name, outcomes in script.items()}
        self.submitted: list[tuple[str, frozenset[str]]] = []
        self.waiting: list[Cell] = []
        self.left_out: list[str] = []
        self.is_stopped = False

    def submit(self, cell: Cell, avoid: Collection[str] = ()) -> None:
        self.submitted.append((cell.component, frozenset(avoid)))
        self.waiting.append(cell)

    def next_ended(self, timeout_s: float) -> Ended | None:
        cell = self.waiting.pop(0)
        attempt = sum(name == cell.component for name, _ in self.submitted)
        outcome = self.script.get(cell.component, [None] * 9)[attempt - 1]
        if outcome == "scheduler":
            raise EngineLostError("the scheduler was lost")
        if outcome is None:
            write_failed_cell(self.fleet, self.folder, cell, "as scripted", {}, lambda *_: None, {"host": "n1"})
        return Ended(cell.id, f"n{attempt}", outcome)

    def at_work(self) -> Mapping[str, str]:
        return {}

    def leave_out(self, host: str) -> bool:
        self.left_out.append(host)
        return True

    def stop(self) -> None:
        self.is_stopped = True


class Listening:
    """Keeps what a fleet says."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def begin(self, cells: int, done_before: int) -> None:
        self.said.append(("begin", cells, done_before))

    def at_work(self, cells: Mapping[str, Cell]) -> None: ...

    def done(self, cell: Cell, host: str | None, result: ComponentResult) -> None:
        self.said.append(("done", cell.component))

    def lost(self, cell: Cell, loss: Loss) -> None:
        self.said.append(("lost", cell.component, str(loss)))

    def left_out(self, host: str) -> None:
        self.said.append(("left out", host))


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """Give a fleet of three cells."""
    for name in ("a", "b", "c"):
        (tmp_path / f"drive_{name}.py").write_text("def cycle(state): pass\n", encoding="utf-8")
    plan = make_plan(Request(targets=(".",), out=tmp_path / "out"), tmp_path)
    return Fleet(plan, make_columns([], []), {}, "soak matrix", str(tmp_path))


def run(
    fleet: Fleet, script: Mapping[str, list[str | None]]
) -> tuple[Path, ScriptedEngine, Listening, list[MissingCell]]:
    folder = create_fleet(fleet, datetime(2026, 11, 29, tzinfo=UTC))
    engine, listening = ScriptedEngine(fleet, folder, script), Listening()
    missing = FleetRun(fleet, folder, listening, lambda *_: {}, lambda *_: None).run(engine, threading.Event())
    return folder, engine, listening, missing


def detail(folder: Path, cell: Cell) -> str:
    with open_run(folder / cell.id) as store:
        (result,) = store.read_run().components
    assert result.failure is not None
    return result.failure.detail


def test_a_lost_cell_is_measured_once_more_on_another_host(fleet: Fleet):
    folder, engine, listening, missing = run(fleet, {"b": ["the worker was lost", None]})

    assert engine.submitted[-1] == ("b", frozenset({"n1"}))
    assert ("lost", "b", "the worker was lost on n1") in listening.said
    assert missing == []
    assert len(list_runs(folder)) == 3


def test_the_second_loss_is_failed_with_both_causes_and_the_others_go_on(fleet: Fleet):
    folder, engine, _, missing = run(fleet, {"b": ["the worker was lost", "its process was ended by SIGKILL"]})

    lost = next(cell for cell in fleet.cells if cell.component == "b")
    assert detail(folder, lost) == (
        "it was lost 2 times and left no run: the worker was lost on n1; its process was ended by SIGKILL on n2"
    )
    assert missing == []
    assert len(list_runs(folder)) == 3
    assert len(engine.submitted) == 4


def test_a_host_that_was_lost_twice_is_left_out_and_named(fleet: Fleet):
    _, engine, listening, _ = run(fleet, {"a": ["lost", None], "b": ["lost", None]})

    assert engine.left_out == ["n1"]
    assert ("left out", "n1") in listening.said


def test_when_nothing_can_be_measured_any_more_the_rest_is_named_with_the_reason(fleet: Fleet):
    folder, engine, _, missing = run(fleet, {"b": ["scheduler"]})

    assert [(cell.component, cell.reason) for cell in missing] == [
        ("b", "the scheduler was lost"),
        ("c", "the scheduler was lost"),
    ]
    assert engine.is_stopped
    assert len(list_runs(folder)) == 1


def test_cells_with_a_run_are_not_measured_again(fleet: Fleet):
    folder, _, _, _ = run(fleet, {"b": ["scheduler"]})
    engine, listening = ScriptedEngine(fleet, folder, {}), Listening()

    missing = FleetRun(fleet, folder, listening, lambda *_: {}, lambda *_: None).run(engine, threading.Event())

    assert [name for name, _ in engine.submitted] == ["b", "c"]
    assert listening.said[0] == ("begin", 3, 1)
    assert missing == []


def test_a_fleet_that_is_stopped_says_which_cells_were_cancelled(fleet: Fleet):
    folder = create_fleet(fleet, datetime(2026, 11, 29, tzinfo=UTC))
    stopping = threading.Event()
    stopping.set()

    missing = FleetRun(fleet, folder, Listening(), lambda *_: {}, lambda *_: None).run(
        ScriptedEngine(fleet, folder, {}), stopping
    )

    assert {cell.reason for cell in missing} == {"cancelled before it was measured"}


def test_of_two_runs_of_one_cell_the_first_stays(fleet: Fleet):
    """A host that was taken for lost may come back with its run."""
    folder = create_fleet(fleet, datetime(2026, 11, 29, tzinfo=UTC))
    cell = fleet.cells[0]
    with unfinished_run(folder, cell) as late:
        (late / "run.db").write_text("late", encoding="utf-8")
        write_failed_cell(fleet, folder, cell, "first", {}, lambda *_: None, {})

        assert is_done(folder, cell.id)
        assert not finish_run(late, folder)

    assert detail(folder, cell) == "first"
    clear_unfinished(folder)
    assert sorted(each.name for each in folder.iterdir()) == sorted([cell.id, "fleet.json"])
