"""soak fleet --htcondor on a real HTCondor with two slots; make test-htcondor."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_builder import ROOT, Answer
from loopback_htcondor import HTCondor, as_user, give_to_user, htcondor, why_not

from soak.store.runs import list_runs

pytestmark = [
    pytest.mark.htcondor,
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
    pytest.mark.skipif(importlib.util.find_spec("dask_jobqueue") is None, reason="Dask is not installed"),
]

JOBS = ["--htcondor", "--hosts", "2", "--cores", "1", "--memory", "1GB", "--disk", "1GB", "--interface", "lo"]
SMALL = [".", "--iterations", "64", "--no-track", "--out", "out"]
_EMPTY_WITHIN_S = 180.0
"""A worker whose scheduler was killed gives up after a minute."""


@pytest.fixture(scope="module")
def pool() -> Iterator[HTCondor]:
    """Give an HTCondor; its user cannot look into the folders of pytest."""
    with tempfile.TemporaryDirectory(prefix="htcondor-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        with htcondor(Path(folder)) as system:
            yield system


@pytest.fixture
def project(pool: HTCondor) -> Iterator[Path]:
    """Give a folder for drivers, which the user of the pool may write to."""
    with tempfile.TemporaryDirectory(prefix="project-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def start_fleet(pool: HTCondor, folder: Path, *options: str) -> subprocess.Popen[str]:
    give_to_user(folder)
    environment = {**pool.environment, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command, pipe = as_user(sys.executable, "-m", "soak", "fleet", *options), subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, stdout=pipe, stderr=pipe)


def run_fleet(pool: HTCondor, folder: Path, *options: str) -> Answer:
    process = start_fleet(pool, folder, *options)
    out, err = process.communicate(timeout=240)
    return Answer(process.returncode, out, err)


def cells_of(out: str) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(Path(out.splitlines()[-1], "report.json").read_text(encoding="utf-8"))[
        "cells"
    ]
    return cells


def write_drivers(folder: Path, *names: str) -> None:
    for name in names:
        text = "import time\n\ndef cycle(state):\n    time.sleep(0.01)\n"
        (folder / f"drive_{name}.py").write_text(text, encoding="utf-8")


def wait_until_empty(pool: HTCondor) -> None:
    deadline = time.monotonic() + _EMPTY_WITHIN_S
    while jobs := pool.jobs():
        assert time.monotonic() < deadline, f"jobs are left in the queue: {jobs}"
        time.sleep(0.5)


def test_cells_are_measured_by_jobs_and_none_is_left_in_the_queue(pool: HTCondor, project: Path):
    write_drivers(project, *"abcd")

    answer = run_fleet(pool, project, *SMALL, *JOBS, "--walltime", "10min")

    cells = cells_of(answer.out)
    assert [(cell["failure"], len(cell["runs"])) for cell in cells] == [(None, 1)] * 4, answer.err
    assert list(next((project / "out").iterdir()).glob("logs/worker-*.log")), "it went through jobs"
    wait_until_empty(pool)


def test_a_cell_whose_job_is_killed_is_measured_once_more(pool: HTCondor, project: Path):
    write_drivers(project, "quiet")
    (project / "drive_once.py").write_text(
        "import os, signal\n"
        "from pathlib import Path\n\n"
        "def above(pid):\n"
        "    return int(Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[1])\n\n"
        "def setup():\n"
        "    marker = Path(__file__).with_suffix('.killed')\n"
        "    if not marker.exists():\n"
        "        marker.touch()\n"
        "        os.kill(above(above(above(os.getpid()))), signal.SIGKILL)\n\n"
        "def cycle(state):\n    pass\n",
        encoding="utf-8",
    )

    answer = run_fleet(pool, project, *SMALL, *JOBS)

    cells = cells_of(answer.out)
    assert [(cell["failure"], len(cell["runs"])) for cell in cells] == [(None, 1)] * 2, answer.err
    assert "lost: once: the worker was lost on " in answer.err
    wait_until_empty(pool)


def test_when_the_command_is_killed_it_is_gone_on_with_and_its_jobs_end(pool: HTCondor, project: Path):
    write_drivers(project, *"abcd")
    killed = start_fleet(pool, project, *SMALL, *JOBS)
    deadline = time.monotonic() + 120
    while not any(list_runs(folder) for folder in (project / "out").glob("*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    killed.kill()
    killed.communicate()
    (folder,) = (project / "out").iterdir()

    answer = run_fleet(pool, project, "--resume", str(folder), *JOBS)

    assert [(cell["failure"], len(cell["runs"])) for cell in cells_of(answer.out)] == [(None, 1)] * 4, answer.err
    wait_until_empty(pool)


def test_what_htcondor_refuses_is_one_line(pool: HTCondor, project: Path):
    write_drivers(project, "a")

    answer = run_fleet(pool, project, *SMALL, *JOBS, "--directive", "requirements = (")

    assert (answer.code, answer.out) == (2, "")
    (line,) = answer.err.strip().splitlines()
    assert line.startswith("soak: --htcondor: no job can be submitted: ")
    assert not list((project / "out").iterdir()), "nothing is left to be gone on with"
