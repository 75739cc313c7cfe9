"""soak fleet --slurm on a real Slurm with two nodes; make test-slurm."""

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
from loopback_slurm import Slurm, slurm, why_not

from soak.store.runs import list_runs

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
    pytest.mark.skipif(importlib.util.find_spec("dask_jobqueue") is None, reason="Dask is not installed"),
]

JOBS = ["--slurm", "--hosts", "2", "--queue", "soak", "--cores", "1", "--memory", "1GB", "--interface", "lo"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Slurm]:
    """Give a Slurm; munged refuses folders that others can write to, and sockets with long names."""
    with tempfile.TemporaryDirectory(prefix="slurm-", dir="/var/tmp") as folder, slurm(Path(folder)) as system:
        yield system


@pytest.fixture(autouse=True)
def _every_job_has_ended(cluster: Slurm) -> Iterator[None]:
    """Wait for the ends of jobs: they remove their temporary files there, after the fleet itself has ended."""
    yield
    cluster.wait_until_idle()


def start_fleet(cluster: Slurm, folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "soak", "fleet", ".", "--iterations", "64", "--no-track", *options, "--out", "out"]
    environment = {**cluster.environment, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, stdout=pipe, stderr=pipe)


def report(out: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path(out.splitlines()[-1], "report.json").read_text(encoding="utf-8"))
    return document


def write_drivers(folder: Path, *names: str, cycle_s: float = 0.0) -> None:
    for name in names:
        text = f"import time\n\ndef cycle(state):\n    time.sleep({cycle_s})\n"
        (folder / f"drive_{name}.py").write_text(text, encoding="utf-8")


def test_cells_are_measured_on_both_nodes_one_at_a_time(cluster: Slurm, tmp_path: Path):
    write_drivers(tmp_path, *"abcdef", cycle_s=0.02)

    out, err = start_fleet(cluster, tmp_path, *JOBS, "--walltime", "10min").communicate(timeout=240)

    cells = report(out)["cells"]
    assert [cell["failure"] for cell in cells] == [None] * 6, err
    assert {cell["host"] for cell in cells} == {"n1", "n2"}


def test_a_cell_on_a_node_whose_worker_is_killed_is_measured_on_the_other(cluster: Slurm, tmp_path: Path):
    write_drivers(tmp_path, "quiet")
    (tmp_path / "drive_once.py").write_text(
        "import os, signal\n"
        "from pathlib import Path\n\n"
        "def above(pid):\n"
        "    return int(Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[1])\n\n"
        "def setup():\n"
        "    marker = Path(__file__).with_suffix('.killed')\n"
        "    if not marker.exists():\n"
        "        marker.write_text(os.environ['SLURMD_NODENAME'])\n"
        "        os.kill(above(above(above(os.getpid()))), signal.SIGKILL)\n\n"
        "def cycle(state):\n    pass\n",
        encoding="utf-8",
    )

    out, err = start_fleet(cluster, tmp_path, *JOBS).communicate(timeout=240)

    killed = (tmp_path / "drive_once.killed").read_text(encoding="utf-8")
    (once,) = [cell for cell in report(out)["cells"] if cell["component"] == "once"]
    assert once["failure"] is None, err
    assert f"lost: once: the worker was lost on {killed}" in err


def test_when_a_nodes_daemon_is_killed_every_cell_still_has_one_run(cluster: Slurm, tmp_path: Path):
    write_drivers(tmp_path, *"abcd", cycle_s=0.05)
    process = start_fleet(cluster, tmp_path, *JOBS)
    wait_for_a_run(tmp_path / "out")
    cluster.kill_node("n1")
    try:
        out, err = process.communicate(timeout=240)
    finally:
        cluster.start_node("n1")
    cluster.wait_until_idle()

    cells = report(out)["cells"]
    assert [len(cell["runs"]) for cell in cells] == [1] * 4, err
    assert [cell["failure"] for cell in cells] == [None] * 4, err


def test_a_partition_that_is_not_there_is_one_line(cluster: Slurm, tmp_path: Path):
    write_drivers(tmp_path, "a")
    options = ["nowhere" if word == "soak" else word for word in JOBS]

    process = start_fleet(cluster, tmp_path, *options)
    _, err = process.communicate(timeout=120)

    assert process.returncode == 2
    (line,) = err.strip().splitlines()
    assert line.startswith("soak: --slurm: no job can be submitted: ")
    assert "Invalid partition name" in line
    assert not list((tmp_path / "out").iterdir()), "nothing is left to be gone on with"


def test_jobs_that_have_reached_their_walltime_are_followed_by_others(cluster: Slurm, tmp_path: Path):
    write_drivers(tmp_path, *"abcdefghijklmnop", cycle_s=0.03)

    out, err = start_fleet(cluster, tmp_path, *JOBS, "--walltime", "20s").communicate(timeout=300)

    cells = report(out)["cells"]
    assert [(cell["failure"], len(cell["runs"])) for cell in cells] == [(None, 1)] * 16, err
    assert len(list(next((tmp_path / "out").iterdir()).glob("logs/*.out"))) > 2


def wait_for_a_run(out: Path) -> None:
    deadline = time.monotonic() + 120
    while not any(list_runs(folder) for folder in (out.iterdir() if out.is_dir() else ())):
        assert time.monotonic() < deadline
        time.sleep(0.05)
