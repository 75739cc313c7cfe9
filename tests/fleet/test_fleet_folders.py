"""A fleet is found again: soak list, show, report, compare, view and clean, and what takes one run only says so."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from folder_builder import a_fleet, call, measure
from viewer_builder import view

from soak.matrix.cells import Fleet
from soak.store.fleets import create_fleet
from soak.store.runs import claimed


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def fleet(place: Path) -> Fleet:
    """Give a fleet of two components with two releases."""
    return a_fleet(place)


@pytest.fixture
def folder(fleet: Fleet) -> Path:
    """Give its folder, where three of four cells have their run."""
    made = create_fleet(fleet, datetime(2026, 11, 29, 12, tzinfo=UTC))
    measure(fleet, made, *fleet.cells[:3])
    return made


def test_a_fleet_is_listed_with_its_verdicts_and_how_far_it_is(place: Path, fleet: Fleet, folder: Path):
    interrupted = call(place, "list").out
    with claimed(folder):
        running = call(place, "list").out
    measure(fleet, folder, fleet.cells[3])
    whole = call(place, "list").out

    name = folder.name
    assert interrupted == f"{name}  matrix of 4 cells: 3 FAILED (interrupted)  {folder}\n"
    assert running == f"{name}  matrix of 4 cells: 3 FAILED (so far; it goes on)  {folder}\n"
    assert whole == f"{name}  matrix of 4 cells: 4 FAILED  {folder}\n"


def test_a_report_that_is_older_than_a_run_does_not_hide_it(place: Path, fleet: Fleet, folder: Path):
    call(place, "report")
    measure(fleet, folder, fleet.cells[3])

    assert "4 FAILED" in call(place, "list").out


def test_a_fleet_is_shown_with_what_is_not_measured_and_how_to_go_on(place: Path, folder: Path):
    shown = call(place, "show")

    assert (shown.code, shown.err) == (0, "")
    assert f"1 cell not measured: the matrix was interrupted; --resume {folder} goes on with it" in shown.out
    assert "4 cells: 3 FAILED, 1 not measured." in shown.out
    document = json.loads(call(place, "show", folder.name, "--json", "-").out)
    assert [cell["verdict"] for cell in document["cells"]] == ["FAILED", "FAILED", "FAILED", None]


def test_its_reports_are_written_again(place: Path, folder: Path):
    written = call(place, "report", "latest")

    assert written.out == f"{folder / 'report.html'}\n"
    assert len(json.loads((folder / "report.json").read_text(encoding="utf-8"))["cells"]) == 4


def test_two_fleets_are_compared_cell_by_cell(place: Path, fleet: Fleet, folder: Path):
    later = create_fleet(fleet, datetime(2026, 11, 30, 12, tzinfo=UTC))
    measure(fleet, later, *fleet.cells)

    compared = call(place, "compare", folder.name, "latest")

    assert (compared.code, compared.err) == (1, "")
    assert "b with numpy 2" in compared.out
    assert "a with numpy 1" in compared.out


@pytest.mark.parametrize(
    ("command", "said"), [("export", "is a matrix of several runs; name one of its runs"), ("resume", "is a matrix: ")]
)
def test_what_takes_one_run_says_that_it_is_a_matrix(place: Path, folder: Path, command: str, said: str):
    refused = call(place, command)

    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"soak: {folder} {said}")
    assert len(refused.err.splitlines()) == 1


def test_the_report_of_many_runs_is_no_baseline_and_says_what_is(place: Path, folder: Path):
    call(place, "report")
    report = shutil.copy(folder / "report.json", place / "baseline.json")

    refused = call(place, "compare", str(report), "latest")

    assert refused.code == 2
    assert "baseline.json is the report of many runs; name the folder of a matrix, or of one run" in refused.err


def test_one_of_its_runs_is_shown_by_its_folder(place: Path, fleet: Fleet, folder: Path):
    assert "as scripted" in call(place, "show", str(folder / fleet.cells[0].id)).out


def test_a_fleet_counts_as_one_when_old_runs_are_removed(place: Path, fleet: Fleet, folder: Path):
    later = create_fleet(fleet, datetime(2026, 11, 30, 12, tzinfo=UTC))

    with claimed(folder):
        refused = call(place, "clean", "--keep", "1")
    planned = call(place, "clean", "--keep", "1", "--dry-run")
    assert folder.is_dir()
    removed = call(place, "clean", "--keep", "1")

    assert (refused.code, "is being measured" in refused.err) == (2, True)
    assert planned.out.splitlines()[0] == f"would remove {folder}"
    assert removed.out == f"removed {folder}\n1 of 2 runs under {place / 'reports'} removed\n"
    assert [each.name for each in (place / "reports").iterdir()] == [later.name]


def test_the_viewer_shows_it_and_leads_from_its_report_to_those_of_its_cells(place: Path, fleet: Fleet, folder: Path):
    call(place, "report")
    (folder / "secret.html").write_text("secret", encoding="utf-8")

    with view("--out", str(place / "reports")) as shown:
        index = shown.ask("/")[2].decode()
        whole = shown.ask(f"/report/{folder.name}/")[2].decode()
        first = fleet.cells[0].id
        one = shown.ask(f"/report/{folder.name}/{first}/report.html")
        refused = [
            shown.ask(f"/report/{folder.name}/{path}/report.html")[0]
            for path in (fleet.cells[3].id, "..", ".unfinished")
        ]

    assert "matrix of 4 cells, 3 of them done" in index
    assert f'href="/report/{folder.name}/"' in index
    assert f'href="{first}/report.html"' in whole
    assert (one[0], b"as scripted" in one[2]) == (200, True)
    assert refused == [404, 404, 404]
