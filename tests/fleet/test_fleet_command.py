"""soak fleet on a cluster of Dask on this machine: drivers kill what carries them; no cell is lost or doubled."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_builder import ROOT, Answer, soak

from soak.store.fleets import read_fleet
from soak.store.runs import list_runs

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="Dask is not installed"),
]

SMALL = ["--iterations", "64", "--no-track"]
OLD_WORKER = """
import importlib.metadata, sys
real = importlib.metadata.version
importlib.metadata.version = lambda name: "2020.1.0" if name == "distributed" else real(name)
from distributed.cli.dask_worker import main
main(sys.argv[1:])
"""
KILLER = """
import os, signal
from pathlib import Path

def parent_of(pid):
    return int(Path(f"/proc/{{pid}}/stat").read_text().rpartition(")")[2].split()[1])

def setup():
    marker = Path(__file__).with_suffix(".killed")
    if {again} or not marker.exists():
        marker.touch()
        victim = os.getpid()
        for _ in range({above}):
            victim = parent_of(victim)
        os.kill(victim, signal.SIGKILL)

def cycle(state):
    pass
"""
CELL, WORKER, NANNY = 1, 2, 3
"""How far above the measured process they are."""


def write_killer(folder: Path, name: str, above: int, *, again: bool = False) -> None:
    (folder / f"drive_{name}.py").write_text(KILLER.format(above=above, again=again), encoding="utf-8")


def write_quiet(folder: Path, *names: str, body: str = "pass") -> None:
    for name in names:
        (folder / f"drive_{name}.py").write_text(f"import time\n\ndef cycle(state):\n    {body}\n", encoding="utf-8")


def report(answer: Answer) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(answer.out.splitlines()[-1], "report.json").read_text(encoding="utf-8"))
    return document


def failures(document: dict[str, Any]) -> dict[str, str | None]:
    """Map each component to why it failed, or None."""
    return {cell["component"]: cell["failure"] and cell["failure"]["detail"] for cell in document["cells"]}


def check_that_each_cell_has_one_run(folder: Path) -> None:
    assert sorted(run.name for run in list_runs(folder)) == sorted(cell.id for cell in read_fleet(folder).cells)
    assert not (folder / ".unfinished").exists()


@pytest.mark.long
def test_a_cell_whose_worker_is_killed_runs_once_more_and_the_second_loss_is_failed_with_the_cause(tmp_path: Path):
    write_killer(tmp_path, "once", WORKER)
    write_killer(tmp_path, "always", WORKER, again=True)
    write_killer(tmp_path, "own", CELL)
    write_quiet(tmp_path, "quiet")

    answer = soak(tmp_path, "fleet", ".", *SMALL, "--local", "2", "--out", "out")

    found = failures(report(answer))
    assert answer.code == 4, answer.err
    assert (found["once"], found["own"], found["quiet"]) == (None, None, None)
    assert (found["always"] or "").startswith("it was lost 2 times and left no run: the worker was lost on ")
    assert [answer.err.count(f"lost: {name}: ") for name in ("once", "own", "always", "quiet")] == [1, 1, 1, 0]
    assert "lost: own: its process was ended by SIGKILL on " in answer.err
    assert "Dask's dashboard: http://127.0.0.1:" in answer.err
    check_that_each_cell_has_one_run(Path(answer.out.splitlines()[-1]))


@contextmanager
def dask_process(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of Dask's, with all that it writes in ``folder``."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_TEMPORARY_DIRECTORY": str(folder)}
    command = [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=nowhere, stderr=nowhere) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()


@contextmanager
def dask_cluster(folder: Path, workers: int = 2) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Give the address of a scheduler, with workers that have a nanny each, and the scheduler's process."""
    file = folder / "scheduler.json"
    with ExitStack() as stack:
        where = ["--scheduler-file", str(file), "--no-dashboard"]
        scheduler = stack.enter_context(
            dask_process("scheduler", "--host", "127.0.0.1", "--port", "0", *where, folder=folder)
        )
        offer = ["--resources", "soak=1", "--nthreads", "1", "--memory-limit", "0", "--host", "127.0.0.1"]
        for number in range(workers):
            # The name of the host is what Slurm would give it, so that there are several on this machine.
            os.environ["SLURMD_NODENAME"] = f"n{number + 1}"
            stack.enter_context(dask_process("worker", *offer, *where, "--death-timeout", "20", folder=folder))
        del os.environ["SLURMD_NODENAME"]
        yield address_in(file), scheduler


def address_in(file: Path) -> str:
    """Wait until a scheduler has written its file, to the end; return its address."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return str(json.loads(file.read_text(encoding="utf-8"))["address"])
        except (OSError, ValueError):
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.long
def test_a_cell_whose_nanny_is_killed_runs_once_more_on_another_host(tmp_path: Path):
    write_killer(tmp_path, "once", NANNY)
    write_quiet(tmp_path, "quiet", "silent")

    with dask_cluster(tmp_path) as (address, _):
        answer = soak(tmp_path, "fleet", ".", *SMALL, "--scheduler", address, "--out", "out")

    assert failures(report(answer)) == {"once": None, "quiet": None, "silent": None}, answer.err
    assert answer.err.count("lost: once") == 1
    (again,) = [cell["host"] for cell in report(answer)["cells"] if cell["component"] == "once"]
    assert f"the worker was lost on {'n1' if again == 'n2' else 'n2'}" in answer.err
    check_that_each_cell_has_one_run(Path(answer.out.splitlines()[-1]))


@pytest.mark.long
def test_a_host_that_is_lost_twice_is_left_out_and_named(tmp_path: Path):
    """Cells kill the worker whenever they are on n1; n2 measures them all."""
    for name in ("a", "b", "c", "d", "e"):
        text = KILLER.format(above=WORKER, again=True).replace("pass", "import time; time.sleep(0.03)")
        text = text.replace("if True or not marker.exists()", "if os.environ['SLURMD_NODENAME'] == 'n1'")
        (tmp_path / f"drive_{name}.py").write_text(text, encoding="utf-8")

    with dask_cluster(tmp_path) as (address, _):
        answer = soak(tmp_path, "fleet", ".", *SMALL, "--scheduler", address, "--out", "out")

    assert set(failures(report(answer)).values()) == {None}, answer.err
    assert answer.err.count("the worker was lost on n1") == 2
    assert answer.err.count("left out: n1 was lost twice") == 1


@pytest.mark.long
def test_when_the_scheduler_is_killed_that_is_said_and_resume_measures_the_rest(tmp_path: Path):
    write_quiet(tmp_path, "a", "b", "c", "d", body="time.sleep(0.05)")
    with dask_cluster(tmp_path) as (address, scheduler):
        command = [sys.executable, "-m", "soak", "fleet", ".", *SMALL, "--scheduler", address, "--out", "out"]
        with started(command, tmp_path) as fleet:
            wait_for_a_run(tmp_path / "out")
            scheduler.send_signal(signal.SIGKILL)
            out, _ = fleet.communicate(timeout=60)
    folder = Path(out.splitlines()[-1])

    resumed = soak(tmp_path, "fleet", "--resume", str(folder), "--local", "2")

    assert fleet.returncode == 2
    assert f"the scheduler was lost; soak fleet --resume {folder} goes on" in out
    assert "not measured" in out
    assert set(failures(report(resumed)).values()) == {None}, resumed.err
    check_that_each_cell_has_one_run(folder)


@pytest.mark.long
def test_when_the_parent_is_killed_nothing_is_lost(tmp_path: Path):
    write_quiet(tmp_path, "a", "b", "c", "d", body="time.sleep(0.05)")
    command = [sys.executable, "-m", "soak", "fleet", ".", *SMALL, "--local", "2", "--out", "out"]
    with started(command, tmp_path) as fleet:
        wait_for_a_run(tmp_path / "out")
        fleet.kill()
        fleet.communicate(timeout=60)
    (folder,) = (tmp_path / "out").iterdir()
    done = {run: (run / "run.db").stat().st_mtime_ns for run in list_runs(folder)}

    resumed = soak(tmp_path, "fleet", "--resume", str(folder), "--local", "2")

    assert f"4 cells, {len(done)} of them measured before" in resumed.err
    assert {run: (run / "run.db").stat().st_mtime_ns for run in done} == done
    assert set(failures(report(resumed)).values()) == {None}, resumed.err
    check_that_each_cell_has_one_run(folder)


@pytest.mark.long
def test_a_fleet_that_is_interrupted_says_which_cells_were_cancelled(tmp_path: Path):
    write_quiet(tmp_path, "a", "b", "c", "d", "e", "f", body="time.sleep(0.05)")
    command = [sys.executable, "-m", "soak", "fleet", ".", *SMALL, "--local", "1", "--out", "out"]
    with started(command, tmp_path) as fleet:
        wait_for_a_run(tmp_path / "out")
        fleet.send_signal(signal.SIGTERM)
        out, err = fleet.communicate(timeout=60)

    assert fleet.returncode == 3, err
    assert "not measured: cancelled before it was measured (" in out


@pytest.mark.long
def test_a_worker_with_another_dask_is_named_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A real scheduler, and its only worker says that it is of another version."""
    monkeypatch.setenv("DASK_TEMPORARY_DIRECTORY", str(tmp_path))
    write_quiet(tmp_path, "a")
    python, there = [sys.executable, "-m"], tmp_path / "scheduler.json"
    with ExitStack() as at_end:
        scheduler = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        at_end.enter_context(started([*python, *scheduler, "--scheduler-file", str(there)], tmp_path))
        worker = ["--resources", "soak=1", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        found = ["--scheduler-file", str(there)]
        at_end.enter_context(started([sys.executable, "-c", OLD_WORKER, *found, *worker], tmp_path))
        answer = soak(tmp_path, "fleet", ".", *SMALL, "--scheduler", address_in(there), "--out", "out")

    named = [line for line in answer.err.splitlines() if "2020.1.0" in line]
    assert answer.code == 2
    assert len(named) == 1, answer.err
    assert named[0].startswith("the worker tcp://127.0.0.1:")
    assert " has distributed 2020.1.0; here is distributed " in named[0]
    assert len(answer.err.splitlines()) == 3, "that, where Dask's page is, and how many cells there are"


@pytest.mark.parametrize(("system", "program"), [("--slurm", "sbatch"), ("--htcondor", "condor_submit")])
def test_where_a_queueing_system_is_not_that_is_said_in_one_line(tmp_path: Path, system: str, program: str):
    write_quiet(tmp_path, "a")
    command = [sys.executable, "-m", "soak", "fleet", ".", *SMALL, system, "--interface", "lo", "--out", "out"]
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}

    answer = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )

    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == f"soak: {system}: there is no {program} on this machine\n"
    assert not list((tmp_path / "out").iterdir()), "nothing is left to be gone on with"


@pytest.mark.long  # Dask tries for five seconds
def test_where_no_scheduler_is_that_is_said_in_one_line(tmp_path: Path):
    write_quiet(tmp_path, "a")

    answer = soak(tmp_path, "fleet", ".", "--scheduler", "tcp://127.0.0.1:1", "--out", "out")

    assert answer.code == 2
    (line,) = answer.err.strip().splitlines()
    assert line.startswith("soak: --scheduler tcp://127.0.0.1:1: no scheduler of Dask answers there (")
    assert not list((tmp_path / "out").iterdir())


@contextmanager
def started(command: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=environment, text=True, stdout=pipe, stderr=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_a_run(out: Path) -> None:
    deadline = time.monotonic() + 60
    while not any(list_runs(folder) for folder in (out.iterdir() if out.is_dir() else ())):
        assert time.monotonic() < deadline
        time.sleep(0.02)
