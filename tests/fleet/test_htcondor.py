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
from command_builder import ROOT
from loopback_htcondor import HTCondor, as_user, give_to_user, htcondor, why_not

pytestmark = [
    pytest.mark.htcondor,
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
    pytest.mark.skipif(importlib.util.find_spec("dask_jobqueue") is None, reason="Dask is not installed"),
]

JOBS = ["--htcondor", "--hosts", "2", "--cores", "1", "--memory", "1GB", "--disk", "1GB", "--interface", "lo"]
_EMPTY_WITHIN_S = 60.0


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


def run_fleet(pool: HTCondor, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    give_to_user(folder)
    command = [sys.executable, "-m", "soak", "fleet", ".", "--iterations", "64", "--no-track", *options, "--out", "out"]
    environment = {**pool.environment, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        as_user(*command), cwd=folder, env=environment, text=True, capture_output=True, check=False, timeout=240
    )


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

    answer = run_fleet(pool, project, *JOBS, "--walltime", "10min")

    cells = cells_of(answer.stdout)
    assert [(cell["failure"], len(cell["runs"])) for cell in cells] == [(None, 1)] * 4, answer.stderr
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

    answer = run_fleet(pool, project, *JOBS)

    cells = cells_of(answer.stdout)
    assert [(cell["failure"], len(cell["runs"])) for cell in cells] == [(None, 1)] * 2, answer.stderr
    assert "lost: once: the worker was lost on " in answer.stderr
    wait_until_empty(pool)


def test_what_htcondor_refuses_is_one_line(pool: HTCondor, project: Path):
    write_drivers(project, "a")

    answer = run_fleet(pool, project, *JOBS, "--directive", "requirements = (")

    assert (answer.returncode, answer.stdout) == (2, "")
    (line,) = answer.stderr.strip().splitlines()
    assert line.startswith("soak: --htcondor: no job can be submitted: ")
    assert not list((project / "out").iterdir()), "nothing is left to be gone on with"
