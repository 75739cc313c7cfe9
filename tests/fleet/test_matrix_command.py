"""soak matrix and soak merge on real cells with releases of a small package, from a folder of wheels."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command_builder import Answer

from soak.__main__ import main
from soak.store.fleets import read_fleet
from soak.store.runs import list_runs

pytestmark = pytest.mark.integration

SMALL = ["--iterations", "2048", "--n-min", "256", "--checkpoint-every", "4"]


def call(place: Path, *arguments: str) -> Answer:
    """Call a command in this process, which is faster than starting another."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(place), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    return Answer(code, out.getvalue(), err.getvalue())


def options(place: Path) -> list[str]:
    versions = [word for version in ("1.0", "2.0", "9.9") for word in ("--with", f"dripping=={version}")]
    return ["drive_drip.py", *versions, *SMALL, "--cache", str(place / "cache")]


@pytest.fixture(scope="module")
def found(place: Path) -> Answer:
    """Measure the matrix once: one component with two releases, and one that does not exist."""
    return call(place, "matrix", *options(place), "--jobs", "2", "--out", "out")


@pytest.fixture(scope="module")
def folder(found: Answer) -> Path:
    return Path(found.out.splitlines()[-1])


@pytest.fixture(scope="module")
def document(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return loaded


def test_the_release_that_leaks_is_named_in_the_first_line(found: Answer, document: dict[str, Any]):
    assert document["headline"].startswith("New in dripping 2.0: drip grows by "), found.err
    assert document["headline"].endswith("; with dripping 1.0 it does not.")
    assert found.out.splitlines()[-2] == document["headline"]


def test_a_release_that_does_not_exist_fails_its_cell_with_one_line_and_the_others_go_on(
    found: Answer, document: dict[str, Any]
):
    assert [cell["verdict"] for cell in document["cells"]] == ["CLEAN", "LEAK", "FAILED"]
    assert found.code == 4
    said = [line for line in found.err.splitlines() if "dripping==9.9" in line]
    assert len(said) == 1
    assert "could not be installed: Could not find a version that satisfies the requirement dripping==9.9" in said[0]


def test_each_cell_is_a_whole_run_in_the_folder_of_its_id(folder: Path):
    cells = {cell.id for cell in read_fleet(folder).cells}

    assert {run.name for run in list_runs(folder)} == cells
    for run in list_runs(folder):
        report = json.loads((run / "report.json").read_text(encoding="utf-8"))
        assert (report["run"], report["folder"], report["finished"] is not None) == (run.name, str(run), True)
        assert report["settings"]["cell"]["id"] == run.name
    assert not (folder / ".unfinished").exists()


def test_a_matrix_that_is_whole_is_not_measured_again(place: Path, folder: Path):
    before = {run: (run / "run.db").stat().st_mtime_ns for run in list_runs(folder)}

    again = call(place, "matrix", "--resume", str(folder))

    assert again.code == 4
    assert "3 cells, 3 of them measured before" in again.err
    assert {run: (run / "run.db").stat().st_mtime_ns for run in list_runs(folder)} == before
    assert again.out.splitlines()[-1] == str(folder)


def test_runs_that_were_copied_elsewhere_are_merged_into_the_same_matrix(
    place: Path, folder: Path, document: dict[str, Any], tmp_path: Path
):
    """As from the artifacts of a CI matrix: one comes as its report.json alone."""
    for number, run in enumerate(list_runs(folder)):
        shutil.copytree(run, tmp_path / f"artifact-{number}")
    (tmp_path / "artifact-0" / "run.db").unlink()

    merged = call(
        place, "merge", *(str(tmp_path / f"artifact-{number}") for number in range(3)), "--out", str(tmp_path / "m")
    )

    report = json.loads((tmp_path / "m" / "report.json").read_text(encoding="utf-8"))
    assert merged.code == 4
    assert report["headline"] == document["headline"]
    assert [cell["id"] for cell in report["cells"]] == [cell["id"] for cell in document["cells"]]
    assert merged.out.splitlines()[-1] == str(tmp_path / "m")


def test_what_cannot_be_merged_is_named_and_the_others_go_on(place: Path, folder: Path, tmp_path: Path):
    one = str(list_runs(folder)[0])
    copy = shutil.copytree(one, tmp_path / "copy")

    merged = call(place, "merge", one, str(copy), str(tmp_path / "gone"), str(place), "--out", str(tmp_path / "m"))

    assert merged.code == 2
    problems = json.loads((tmp_path / "m" / "report.json").read_text(encoding="utf-8"))["problems"]
    assert problems[0] == f"{tmp_path / 'gone'} is not a run: there is no such folder"
    assert problems[1] == f"{place} is not a run: it has neither run.db nor report.json"
    assert problems[2].startswith("two runs of one cell: ")
    assert f"{one} and {copy}" in problems[2]
    assert all(problem in merged.out for problem in problems)


def test_only_folders_that_are_no_runs_are_refused_in_one_line(place: Path, tmp_path: Path):
    refused = call(place, "merge", str(tmp_path / "gone"), "--out", str(tmp_path / "m"))

    assert (refused.code, refused.out) == (2, "")
    assert refused.err == f"soak: {tmp_path / 'gone'} is not a run: there is no such folder\n"


def test_an_interpreter_that_is_not_there_fails_its_cell_and_is_named(place: Path):
    answer = call(place, "matrix", "drive_drip.py", "--python", "python9.9", *SMALL, "--out", "out2")

    assert answer.code == 4
    assert "--python python9.9: this is not a working Python interpreter" in answer.err


@pytest.mark.long
def test_a_matrix_whose_parent_is_killed_loses_nothing(place: Path):
    """The cells at work die with it; those that are done are kept, and the rest is measured when it is gone on with."""
    command = [sys.executable, "-m", "soak", "matrix", *options(place), "--out", "killed"]
    with subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not list_runs_below(place / "killed") and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    (folder,) = (place / "killed").iterdir()

    again = call(place, "matrix", "--resume", str(folder))

    verdicts = {
        cell["requirements"][0]: cell["verdict"] for cell in json.loads((folder / "report.json").read_text())["cells"]
    }
    assert again.code == 4
    assert verdicts == {"dripping==1.0": "CLEAN", "dripping==2.0": "LEAK", "dripping==9.9": "FAILED"}
    assert not (folder / ".unfinished").exists()


@pytest.mark.long
def test_matrices_at_once_make_each_environment_once_and_do_not_touch_each_other(place: Path):
    command = [sys.executable, "-m", "soak", "matrix", *options(place), "--cache", "shared", "--out", "at_once"]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, cwd=place, text=True, stdout=pipe, stderr=pipe) for _ in range(3)]
    answers = [(process.communicate(timeout=240), process.returncode) for process in started]

    folders = {Path(out.splitlines()[-1]) for (out, _), _ in answers}
    assert len(folders) == 3
    for folder in folders:
        cells = json.loads((folder / "report.json").read_text(encoding="utf-8"))["cells"]
        assert [(cell["verdict"], len(cell["runs"])) for cell in cells] == [("CLEAN", 1), ("LEAK", 1), ("FAILED", 1)]
        assert not (folder / ".unfinished").exists()
    ready = [file.parent.name for file in (place / "shared" / "environments").glob("*/soak.json")]
    assert sorted(name.rpartition("-")[0] for name in ready) == ["dripping-1.0", "dripping-2.0", "pip"]


def list_runs_below(folder: Path) -> list[Path]:
    return [run for each in (folder.iterdir() if folder.is_dir() else ()) for run in list_runs(each)]
