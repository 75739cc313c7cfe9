"""soak run from the outside: exit codes, what goes to stdout and what to stderr, the run's folder, what reads it."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from command_builder import ROOT, Answer, soak

pytestmark = pytest.mark.integration

SMALL = ["--iterations", "2048", "--n-min", "512", "--checkpoint-every", "8", "--no-track", "--no-early-stop"]
SMALLER = ["--iterations", "768", "--n-min", "192", "--checkpoint-every", "8", "--no-track", "--no-early-stop"]
CASE = """
import time
def clean(): pass
kept = []
def leak(): kept.append(object())
"""
CONTRACT = {
    "run": "schema run folder started finished soak environment settings controls parts components",
    "component": "name verdict why decided_by iterations seconds iterations_to_verdict seconds_to_verdict since "
    "needed_iterations n_min stopped_by growth signals causes tracemalloc tracker pacing failure messages",
    "blank": "ok limit_of_detection_bytes",
    "spike": "ok planted_requested planted_allocated recovered_requested recovered_allocated",
    "growth": "signal measures bytes_per_iteration low high requested_bytes_per_iteration "
    "allocated_bytes_per_iteration",
    "signal": "unit per_iteration low high verdict role",
    "cause": "kind confirmed state fingerprint bytes_per_iteration blocks_per_iteration requested_size every since "
    "where python_where stack held_by type advice",
    "tracker": "active reason covers",
    "pacing": "interval_s mean_period_s missed_deadlines worst_lag_s",
    "failure": "phase cycle reason detail stack",
}


def has_keys(what: str, document: dict[str, Any]) -> bool:
    return set(CONTRACT[what].split()) <= set(document)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a project with a target that leaks, one that does not and a driver that fails in cycle 7."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "case.py").write_text(CASE, encoding="utf-8")
    (folder / "drive_seven.py").write_text(
        "def setup(fails_in): return [0, fails_in]\n"
        "def cycle(state):\n    state[0] += 1\n    if state[0] == state[1]: raise ValueError('seven')\n",
        encoding="utf-8",
    )
    return folder


@pytest.fixture(scope="module")
def answer(place: Path) -> Answer:
    """Run all three once; everything below reads this one run."""
    return soak(
        place, "run", "case.py:clean", "drive_seven.py", "case.py:leak", "--set", "seven.fails_in=7", *SMALL,
        "--json", "copy.json", "--junit", "copy.xml", "--markdown", "copy.md",
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(answer: Answer) -> Path:
    return Path(answer.out.splitlines()[-1])


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return document


def named(report: dict[str, Any], name: str) -> dict[str, Any]:
    component: dict[str, Any] = next(entry for entry in report["components"] if entry["name"] == name)
    return component


def test_a_driver_that_failed_is_worse_than_a_leak(answer: Answer):
    """4 before 1 before 0; and no traceback of soak's own."""
    assert answer.code == 4, answer.err
    assert "Traceback" not in answer.err


def test_the_runs_folder_is_the_last_line_on_stdout(place: Path, folder: Path):
    """With everything in it, under reports/ unless told otherwise."""
    assert folder.parent == place / "reports"
    assert {file.name for file in folder.iterdir()} >= {
        *("run.db", "report.html", "report.md", "report.json", "junit.xml"),
        *("clean.svg", "leak.svg", "leak.tracemalloc"),
    }


def test_the_copies_are_the_reports(place: Path, folder: Path):
    for copy, report in (("copy.json", "report.json"), ("copy.xml", "junit.xml"), ("copy.md", "report.md")):
        assert (place / copy).read_text(encoding="utf-8") == (folder / report).read_text(encoding="utf-8")


def test_the_report_has_every_key_of_the_contract(report: dict[str, Any]):
    assert has_keys("run", report)
    assert (report["schema"], report["parts"]) == (1, None)
    assert has_keys("blank", report["controls"]["blank"])
    assert has_keys("spike", report["controls"]["spike"])
    for component in report["components"]:
        assert has_keys("component", component)
        assert has_keys("tracker", component["tracker"])
        assert has_keys("pacing", component["pacing"])
        assert all(has_keys("signal", entry) for entry in component["signals"].values())
        assert all(has_keys("cause", entry) for entry in component["causes"])
        assert set(component["signals"]) >= {
            *("rss", "heap", "python_blocks", "gc_objects", "fds", "threads", "children", "mapped"),
            *("pss", "uss", "swap", "python_blocks_before_gc"),
        }
    assert has_keys("growth", named(report, "leak")["growth"])


def test_both_controls_are_in_every_run(report: dict[str, Any]):
    """An empty cycle that does not grow, and 106 planted bytes found as the 128 that malloc gives for them."""
    blank, spike = report["controls"]["blank"], report["controls"]["spike"]

    assert (blank["ok"], spike["ok"]) == (True, True)
    assert blank["limit_of_detection_bytes"] < 1
    assert (spike["planted_requested"], spike["planted_allocated"]) == (106, 128)
    assert spike["recovered_allocated"] == pytest.approx(128, abs=0.5)


def test_the_components_stand_in_the_order_they_were_named(report: dict[str, Any]):
    verdicts = [(component["name"], component["verdict"]) for component in report["components"]]

    assert verdicts == [("clean", "CLEAN"), ("seven", "FAILED"), ("leak", "LEAK")]


def test_the_failure_is_told_and_the_others_went_on(report: dict[str, Any]):
    seven = named(report, "seven")

    assert has_keys("failure", seven["failure"])
    assert (seven["failure"]["phase"], seven["failure"]["cycle"], seven["failure"]["detail"]) == (
        "cycle", 7, "ValueError: seven",
    )  # fmt: skip
    assert (seven["iterations"], seven["stopped_by"]) == (6, "failure")
    assert named(report, "leak")["iterations"] == named(report, "clean")["iterations"] == 2048


def test_the_leak_is_told_with_its_line(report: dict[str, Any]):
    """One object a cycle, by the second pass at line 5 of the script."""
    leak = named(report, "leak")

    assert leak["decided_by"] == "counter:python_blocks"
    assert leak["growth"]["per_iteration"] == pytest.approx(1, abs=0.02)
    assert (leak["causes"][0]["kind"], leak["causes"][0]["confirmed"]) == ("python-object", True)
    top = leak["tracemalloc"]["top"][0]
    assert (Path(top["file"]).name, top["line"]) == ("case.py", 5)
    assert top["blocks_per_iteration"] == pytest.approx(1, abs=0.02)


def test_people_read_the_verdicts_on_stdout(answer: Answer):
    for word in ("clean", "CLEAN", "leak", "LEAK", "seven", "FAILED", "ValueError: seven"):
        assert word in answer.out


def test_junit_has_a_case_per_component(folder: Path):
    suite = ET.fromstring((folder / "junit.xml").read_text(encoding="utf-8"))

    assert sorted(case.get("name") or "" for case in suite.iter("testcase")) == ["clean", "leak", "seven"]


def test_show_prints_the_run_again(place: Path, folder: Path, report: dict[str, Any]):
    """By name, path and latest; as JSON too, which is the report."""
    shown = soak(place, "show")
    as_json = soak(place, "show", folder.name, "--json", "-")

    assert (shown.code, shown.err) == (0, "")
    assert "LEAK" in shown.out
    assert json.loads(as_json.out) == report


def test_list_names_the_run_and_its_verdicts(place: Path, folder: Path):
    listed = soak(place, "list")

    assert (listed.code, listed.err) == (0, "")
    line = next(line for line in listed.out.splitlines() if line.startswith(f"{folder.name} "))
    assert str(folder) in line
    assert all(f"1 {verdict}" in line for verdict in ("CLEAN", "LEAK", "FAILED"))


def test_list_names_a_run_that_cannot_be_read_and_goes_on(place: Path, folder: Path, tmp_path: Path):
    (tmp_path / "2020-01-01T00-00-00").mkdir()
    (tmp_path / "2020-01-01T00-00-00/run.db").write_text("no database", encoding="utf-8")
    (tmp_path / folder.name).symlink_to(folder)

    lines = soak(place, "list", "--out", str(tmp_path)).out.splitlines()

    assert "cannot be read: " in lines[0]
    assert lines[1].startswith(folder.name)


def test_report_makes_the_reports_again(place: Path, folder: Path):
    """From run.db alone, the same to the byte where no time of day is in them."""
    before = {name: (folder / name).read_bytes() for name in ("report.json", "report.md", "junit.xml", "leak.svg")}
    for name in before:
        (folder / name).unlink()

    made = soak(place, "report", "latest")

    assert (made.code, made.out.strip()) == (0, str(folder / "report.html"))
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_export_gives_every_reading(place: Path, report: dict[str, Any]):
    """One row a checkpoint; on stdout, or into a file."""
    exported = soak(place, "export", "latest", "--format", "csv")
    into_file = soak(place, "export", "--to", "readings.csv")

    rows = list(csv.DictReader(io.StringIO(exported.out)))
    counted = {component["name"]: component["checkpoints"] for component in report["components"]}
    assert {name: sum(row["component"] == name for row in rows) for name in counted} == counted
    leak = [row for row in rows if row["component"] == "leak"]
    assert int(leak[-1]["cycle"]) == 2048
    assert int(leak[-1]["python_blocks"]) - int(leak[1]["python_blocks"]) == pytest.approx(2040, abs=30)
    assert (into_file.code, into_file.out) == (0, "")
    assert (place / "readings.csv").read_text(encoding="utf-8") == exported.out


@pytest.mark.usefixtures("report")
def test_an_exported_series_can_be_judged(place: Path):
    """One command reads what the other writes: the exported blocks of the leak are a LEAK of one per cycle."""
    exported = csv.DictReader(io.StringIO(soak(place, "export").out))
    series = [(row["cycle"], row["python_blocks"]) for row in exported if row["component"] == "leak"]
    text = "iteration,blocks\n" + "".join(f"{cycle},{blocks}\n" for cycle, blocks in series)

    judged = soak(place, "judge", "-", "--n-min", "512", "--tolerance", "0.05", "--json", "-", stdin=text)

    verdict = json.loads(judged.out)
    assert (judged.code, verdict["verdict"]) == (1, "LEAK")
    assert verdict["rate"] == pytest.approx(1, abs=0.02)


def test_json_on_stdout_is_nothing_but_json(place: Path):
    """What people read then goes to stderr, the folder too. Exit code 0: all clean."""
    answer = soak(place, "run", "case.py:clean", *SMALLER, "--json", "-", "--out", "elsewhere")

    report = json.loads(answer.out)
    assert (answer.code, [component["verdict"] for component in report["components"]]) == (0, ["CLEAN"])
    assert answer.err.splitlines()[-1] == report["folder"]
    assert Path(report["folder"]).parent == place / "elsewhere"


def test_a_leak_alone_is_exit_code_1_and_calls_the_command_once(place: Path):
    """--on-verdict is called with the run's folder, at the first LEAK only."""
    answer = soak(
        place, "run", "case.py:leak", "case.py:clean", "--inject", "clean=fd:1/8", *SMALLER,
        "--on-verdict", f"{sys.executable} -c \"import sys; open('told', 'a').write(sys.argv[1] + chr(10))\"",
    )  # fmt: skip

    told = place / "told"
    for _ in range(500):
        if told.exists() and told.read_text(encoding="utf-8").endswith("\n"):
            break
        time.sleep(0.01)
    assert answer.code == 1
    assert told.read_text(encoding="utf-8") == answer.out.splitlines()[-1] + "\n"


def test_too_few_cycles_are_exit_code_3_with_how_many_more(place: Path):
    answer = soak(place, "run", "case.py:clean", "--iterations", "100", "--no-track", "--json", "-")

    component = json.loads(answer.out)["components"][0]
    assert (answer.code, component["verdict"]) == (3, "INCONCLUSIVE")
    assert component["needed_iterations"] > 0


@pytest.mark.long
def test_an_ungated_leak_is_shown_and_does_not_fail_the_run(place: Path, tmp_path: Path):
    (tmp_path / "case.py").write_text(CASE, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(
        "[tool.soak]\ntargets = ['case.py:leak']\n[tool.soak.component.leak]\ngate = false\n", encoding="utf-8"
    )

    answer = soak(tmp_path, "run", *SMALLER, "--json", "-")

    component = json.loads(answer.out)["components"][0]
    assert (answer.code, component["verdict"], component["gate"]) == (0, "LEAK", False)


def test_the_tracker_finds_what_malloc_was_asked_for(place: Path):
    """106 bytes requested, 128 allocated, both told; the twin beside it is CLEAN."""
    answer = soak(
        place, "run", "case.py:clean", "drive_seven.py", "--set", "seven.fails_in=0", "--iterations", "2048",
        "--n-min", "512", "--inject", "seven=native:106", "--json", "-",
    )  # fmt: skip

    report = json.loads(answer.out)
    if not named(report, "clean")["tracker"]["active"]:
        pytest.skip(f"no tracker here: {named(report, 'clean')['tracker']['reason']}")
    growth = named(report, "seven")["growth"]
    assert (answer.code, named(report, "clean")["verdict"], named(report, "seven")["verdict"]) == (1, "CLEAN", "LEAK")
    assert growth["requested_bytes_per_iteration"] == pytest.approx(106, abs=0.5)
    assert growth["allocated_bytes_per_iteration"] == pytest.approx(128, abs=0.5)


def test_an_interrupt_ends_the_run_in_order(place: Path, tmp_path: Path):
    """After one SIGINT the current component is judged, the next one does not start, and the reports are written."""
    (tmp_path / "case.py").write_text(
        CASE + "def busy():\n    open('busy', 'w').close()\n    time.sleep(0.001)\n", encoding="utf-8"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "soak", "run", "case.py:busy", "case.py:clean", "--duration", "1h", "--no-track"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as running:  # fmt: skip
        for _ in range(3000):
            if (tmp_path / "busy").exists() or running.poll() is not None:
                break
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)

    assert out, err
    folder = Path(out.splitlines()[-1])
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert "stopping and judging what was measured" in err
    assert [(entry["name"], entry["stopped_by"]) for entry in report["components"]] == [("busy", "signal")]
    assert report["finished"] is None
    assert running.returncode in (0, 3)
