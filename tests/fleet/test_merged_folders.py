"""The folder that soak merge writes is found again as that of a fleet is, and says what it is where it cannot serve."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from folder_builder import a_fleet, call, measure
from viewer_builder import view

from soak.matrix.cells import Fleet
from soak.store.fleets import create_fleet
from soak.store.merges import read_merge


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def fleet(place: Path) -> Fleet:
    """Give a fleet of two components with two releases."""
    return a_fleet(place)


@pytest.fixture
def artifacts(place: Path, fleet: Fleet) -> Path:
    """Give a folder with the runs of two cells, as the jobs of a CI matrix leave them; its name needs quotes."""
    made = create_fleet(fleet, datetime(2026, 11, 29, 12, tzinfo=UTC))
    measure(fleet, made, *fleet.cells[:2])
    (made / "fleet.json").unlink()
    return made.rename(place / "the #1 artifacts")


@pytest.fixture
def merged(place: Path, artifacts: Path) -> Path:
    """Give the folder of their merge."""
    answer = call(place, "merge", artifacts.name, "--out", "reports/merged")
    assert (answer.code, answer.out.splitlines()[-1]) == (4, str(place / "reports" / "merged"))
    return place / "reports" / "merged"


def test_it_is_listed_and_shown_as_a_fleet_is(place: Path, merged: Path):
    listed, shown = call(place, "list").out, call(place, "show", "merged").out

    assert listed == f"merged  merge of 2 cells: 2 FAILED  {merged}\n"
    assert "2 cells: 2 FAILED." in shown
    assert "as scripted" in shown
    assert len(json.loads(call(place, "show", "merged", "--json", "-").out)["cells"]) == 2


def test_it_stands_among_runs_by_the_time_of_the_merge_and_not_by_its_name(place: Path, fleet: Fleet, merged: Path):
    before = create_fleet(fleet, datetime(2020, 1, 1, tzinfo=UTC))
    after = create_fleet(fleet, datetime(2999, 1, 1, tzinfo=UTC))

    names = [line.split()[0] for line in call(place, "list").out.splitlines()]

    assert names == [before.name, "merged", after.name]


def test_its_reports_are_written_again_from_the_runs(place: Path, merged: Path):
    (merged / "report.html").unlink()

    assert call(place, "report", str(merged)).out == f"{merged / 'report.html'}\n"
    assert "as scripted" in (merged / "report.html").read_text(encoding="utf-8")


def test_it_is_compared_cell_by_cell(place: Path, fleet: Fleet, merged: Path):
    whole = create_fleet(fleet, datetime(2026, 11, 30, 12, tzinfo=UTC))
    measure(fleet, whole, *fleet.cells)

    compared = call(place, "compare", "merged", whole.name)

    assert (compared.code, compared.err) == (1, "")
    assert "b with numpy 2" in compared.out


def test_a_merge_is_merged_again_from_the_runs(place: Path, fleet: Fleet, merged: Path):
    rest = create_fleet(fleet, datetime(2026, 11, 30, 12, tzinfo=UTC))
    measure(fleet, rest, *fleet.cells[2:])
    shutil.rmtree(rest / fleet.cells[0].id, ignore_errors=True)

    again = call(place, "merge", "reports/merged", str(rest / fleet.cells[2].id), "--out", "reports/merged")

    assert again.err == ""
    assert "3 cells: 3 FAILED." in again.out
    assert read_merge(merged).folders == ("../../the #1 artifacts", f"../{rest.name}/{fleet.cells[2].id}")


def test_a_merge_that_lies_among_the_runs_is_no_run(place: Path, artifacts: Path):
    call(place, "merge", artifacts.name, "--out", f"{artifacts.name}/merged")

    again = call(place, "merge", artifacts.name, "--out", "other")

    assert "2 cells: 2 FAILED." in again.out
    assert json.loads((place / "other" / "report.json").read_text(encoding="utf-8"))["problems"] == []


def test_it_moves_together_with_its_runs(place: Path, merged: Path, artifacts: Path):
    elsewhere = place / "elsewhere"
    (elsewhere / "reports").mkdir(parents=True)
    artifacts.rename(elsewhere / artifacts.name)
    moved = merged.rename(elsewhere / "reports" / "merged")

    assert "2 cells: 2 FAILED." in call(place, "show", str(moved)).out


@pytest.mark.parametrize("command", ["show", "report"])
def test_where_its_runs_are_gone_that_is_one_line_and_its_report_stays(
    place: Path, merged: Path, artifacts: Path, command: str
):
    shutil.rmtree(artifacts)
    page = (merged / "report.html").read_bytes()

    refused = call(place, command, "merged")

    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        f"soak: {merged} was merged from {artifacts}, which is not there any more; only its report.html is left\n"
    )
    assert (merged / "report.html").read_bytes() == page
    assert "merge of 2 cells: 2 FAILED" in call(place, "list").out


@pytest.mark.parametrize("command", ["export", "resume"])
def test_what_takes_one_run_says_that_it_is_a_merge(place: Path, merged: Path, command: str):
    refused = call(place, command, "merged")

    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"soak: {merged} is the merged report of several runs")
    assert len(refused.err.splitlines()) == 1


def test_clean_removes_what_the_merge_wrote_and_nothing_else(place: Path, fleet: Fleet, merged: Path, artifacts: Path):
    (merged / "notes.txt").write_text("mine", encoding="utf-8")
    create_fleet(fleet, datetime(2999, 1, 1, tzinfo=UTC))

    removed = call(place, "clean", "--keep", "1")

    assert removed.out == f"removed {merged}\n1 of 2 runs under {place / 'reports'} removed\n"
    assert [file.name for file in merged.iterdir()] == ["notes.txt"]
    assert len(list(artifacts.glob("*/run.db"))) == 2, "the runs stay"


def test_the_reports_of_a_run_or_a_fleet_are_not_written_over(place: Path, fleet: Fleet, artifacts: Path):
    whole = create_fleet(fleet, datetime(2026, 11, 30, 12, tzinfo=UTC))

    for out in (whole, artifacts / fleet.cells[0].id):
        refused = call(place, "merge", artifacts.name, "--out", str(out))
        assert refused.code == 2
        assert refused.err == f"soak: --out {out} is a run or a matrix with a report of its own; name another folder\n"


def test_the_viewer_shows_it_and_leads_to_the_reports_of_its_runs(place: Path, merged: Path):
    with view("--out", str(place / "reports")) as shown:
        index = shown.ask("/")[2].decode()
        whole = shown.ask("/report/merged/")[2].decode()
        links = sorted(set(re.findall(r'href="(\d+/report\.html)"', whole)))
        runs = [shown.ask(f"/report/merged/{link}") for link in links]
        refused = [shown.ask(f"/report/merged/{path}/report.html")[0] for path in ("2", "-1", "..", "9" * 30)]

    assert "merge of 2 cells" in index
    assert links == ["0/report.html", "1/report.html"]
    assert [(status, b"as scripted" in page) for status, _, page in runs] == [(200, True)] * 2
    assert refused == [404] * 4


def test_a_merge_that_names_itself_ends(place: Path, merged: Path):
    record = json.loads((merged / "merge.json").read_text(encoding="utf-8"))
    (merged / "merge.json").write_text(json.dumps(record | {"folders": ["."]}), encoding="utf-8")

    shown = call(place, "show", "merged")

    assert f"{merged} is named twice" in shown.out
    (merged / "merge.json").write_text("{}", encoding="utf-8")
    assert call(place, "show", "merged").err.startswith(f"soak: {merged / 'merge.json'} is damaged: ")
    assert "merge of 2 cells" in call(place, "list").out
