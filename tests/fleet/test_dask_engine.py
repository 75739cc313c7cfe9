"""Which worker gets which cell, with a scripted client of Dask."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="Dask is not installed")

import dask

from soak.matrix.cells import Cell
from soak.matrix.columns import Column
from soak.running.fleet import dask_engine
from soak.running.fleet.clusters import Hosts, QueueRequest, make_queue_cluster
from soak.running.fleet.dask_engine import DaskEngine
from soak.running.fleet.dask_worker import WorkerFacts, own_facts
from soak.running.fleet.engine import EngineLostError
from soak.store.fleets import begin_attempt


class ScriptedFuture:
    """A task that ends when the test says so."""

    def __init__(self, key: str) -> None:
        self.key, self.status, self.value = key, "pending", ("", None)
        self.callbacks: list[Callable[[Any], None]] = []

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self.callbacks.append(callback)

    def end(self, host: str, cause: str | None = None) -> None:
        self.status, self.value = "finished", (host, cause)
        for callback in self.callbacks:
            callback(self)

    def result(self) -> tuple[str, str | None]:
        return self.value

    def cancel(self) -> None:
        self.status = "cancelled"


class ScriptedClient:
    """A cluster whose workers are those of ``facts``."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        self.status = "running"
        self.tasks: list[tuple[str, str, ScriptedFuture]] = []

    def scheduler_info(self) -> dict[str, Any]:
        return {"workers": {address: {"resources": {"soak": 1.0}} for address in self.facts}}

    def run(self, _function: Any, *, workers: list[str], on_error: str) -> dict[str, Any]:
        assert on_error == "return"
        return {address: self.facts[address] for address in workers}

    def submit(self, _function: Any, _folder: str, cell: dict[str, Any], _attempt: int, **how: Any) -> ScriptedFuture:
        future = ScriptedFuture(how["key"])
        (worker,) = how["workers"]
        assert how["resources"] == {"soak": 1}
        assert (how["pure"], how["retries"]) == (False, 0)
        self.tasks.append((cell["component"], worker, future))
        return future

    def placed(self) -> list[tuple[str, str]]:
        return [(component, worker) for component, worker, _ in self.tasks]


@pytest.fixture(autouse=True)
def _look_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "_LOOK_EVERY_S", 0.0)


def facts(host: str, **versions: str) -> WorkerFacts:
    return WorkerFacts(host, {**own_facts().versions, **versions})


def cell(name: str) -> Cell:
    return Cell(f"id-{name}", name, Column())


def an_engine(folder: Path, client: ScriptedClient, said: list[str] | None = None) -> DaskEngine:
    return DaskEngine(Hosts(client), folder, (said if said is not None else []).append, wait_for_hosts_s=60.0)


def test_each_host_has_one_cell_and_the_next_when_it_is_free(tmp_path: Path):
    client = ScriptedClient({"a:1": facts("n1"), "a:2": facts("n1"), "b:1": facts("n2")})
    engine = an_engine(tmp_path, client)
    for name in "xyz":
        engine.submit(cell(name))

    engine.next_ended(0.0)
    before = client.placed()
    client.tasks[0][2].end("n1")
    ended = engine.next_ended(1.0)
    engine.next_ended(0.0)

    assert before == [("x", "a:1"), ("y", "b:1")]
    assert ended is not None
    assert (ended.cell_id, ended.host, ended.cause) == ("id-x", "n1", None)
    assert client.placed()[2:] == [("z", "a:1")]
    assert engine.at_work() == {"n2": "id-y", "n1": "id-z"}


def test_a_cell_waits_for_another_host_than_that_on_which_it_was_lost(tmp_path: Path):
    client = ScriptedClient({"a:1": facts("n1"), "b:1": facts("n2")})
    engine = an_engine(tmp_path, client)
    engine.submit(cell("long"), avoid={"n1"})
    engine.next_ended(0.0)
    engine.submit(cell("lost"), avoid={"n2"})
    engine.submit(cell("again"), avoid={"n1"})

    engine.next_ended(0.0)

    assert client.placed() == [("long", "b:1"), ("lost", "a:1")]


def test_where_there_is_no_other_host_a_lost_cell_goes_to_the_same(tmp_path: Path):
    client = ScriptedClient({"a:1": facts("n1")})
    engine = an_engine(tmp_path, client)
    engine.submit(cell("lost"), avoid={"n1"})

    engine.next_ended(0.0)

    assert client.placed() == [("lost", "a:1")]
    assert not engine.leave_out("n1"), "the last host stays"


def test_a_worker_with_another_version_of_dask_is_named_and_gets_no_cells(tmp_path: Path):
    client, said = ScriptedClient({"a:1": facts("n1", dask="2024.1.0"), "b:1": facts("n2")}), []
    engine = an_engine(tmp_path, client, said)
    for name in "xy":
        engine.submit(cell(name))

    engine.next_ended(0.0)

    assert client.placed() == [("x", "b:1")]
    assert said == [f"the worker a:1 on n1 has dask 2024.1.0; here is dask {own_facts().versions['dask']}"]


def test_when_no_worker_can_measure_that_ends_the_fleet_with_the_reasons(tmp_path: Path):
    client = ScriptedClient({"a:1": ModuleNotFoundError("No module named 'soak'"), "b:1": facts("n2", soak="0.0.1")})
    engine = an_engine(tmp_path, client)
    engine.submit(cell("x"))

    with pytest.raises(EngineLostError, match=r"a:1 cannot measure cells: No module.* on n2 has soak 0\.0\.1; here is"):
        engine.next_ended(0.0)


def test_a_cell_whose_worker_went_away_is_lost_only_if_it_had_begun(tmp_path: Path):
    client = ScriptedClient({"a:1": facts("n1"), "b:1": facts("n2")})
    engine = an_engine(tmp_path, client)
    for name in "xy":
        engine.submit(cell(name))
    engine.next_ended(0.0)
    begin_attempt(tmp_path, "id-x", 1, "n1")
    client.facts = {"c:1": facts("n3")}

    found = [ended for ended in (engine.next_ended(0.0) for _ in range(3)) if ended is not None]

    assert [(ended.cell_id, ended.host, ended.cause) for ended in found] == [("id-x", "n1", "the worker was lost")]
    assert client.placed()[2:] == [("y", "c:1")]


def test_a_task_that_a_scheduler_starts_again_by_itself_is_a_loss(tmp_path: Path):
    assert begin_attempt(tmp_path, "id", 1, "n1") is None
    assert begin_attempt(tmp_path, "id", 2, "n2") is None
    assert begin_attempt(tmp_path, "id", 1, "n3") == "n1"


def test_a_lost_scheduler_ends_the_fleet_and_says_how_to_go_on(tmp_path: Path):
    client = ScriptedClient({"a:1": facts("n1")})
    engine = an_engine(tmp_path, client)
    client.status = "connecting"

    with pytest.raises(EngineLostError, match=r"the scheduler was lost; soak fleet --resume .* goes on"):
        engine.next_ended(0.0)


@pytest.mark.parametrize("system", ["slurm", "htcondor"])
def test_the_script_of_a_job_has_one_cell_at_a_time_and_ends_before_its_walltime(system: str, tmp_path: Path):
    request = QueueRequest(hosts=2, walltime_s=3600.0, interface="lo", queue="short", directives=("--exclusive",))
    if system == "htcondor":
        request = dataclasses.replace(request, directives=("+Group = soak",))

    with (
        dask.config.set({"temporary-directory": str(tmp_path)}),
        make_queue_cluster(system, request, tmp_path) as cluster,
    ):
        script, dashboard = cluster.job_script(), cluster.dashboard_link

    assert dashboard.startswith("http://127.0.0.1:")
    for option in ("--resources soak=1", "--nthreads 1", "--memory-limit 0", "--lifetime 3300s"):
        assert option in script
    expected = (
        ["-p short", "-t 01:00:00", "--exclusive"] if system == "slurm" else ["+MaxRuntime = 3600", "+Group = soak"]
    )
    assert all(line in script for line in expected), script


WORKER = """
import pathlib, signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
folder = pathlib.Path(sys.argv[sys.argv.index("--local-directory") + 1])
(folder / "dask-scratch-space").mkdir()
print("works", flush=True)
if sys.argv[1] == "the queue":
    signal.sigwait({signal.SIGTERM})
    time.sleep(0.2)
    (folder / "late").mkdir()
"""


@pytest.mark.parametrize("ended_by", ["the worker", "the queue"])
def test_a_job_of_slurm_leaves_nothing_in_the_temporary_folder_of_its_node(ended_by: str, tmp_path: Path):
    """``ended_by``: the queue sends SIGTERM to all processes of the job, and the worker writes on for a while."""
    node, worker = tmp_path / "node", tmp_path / "worker.py"
    node.mkdir()
    worker.write_text(WORKER, encoding="utf-8")
    with (
        dask.config.set({"temporary-directory": str(tmp_path)}),
        make_queue_cluster("slurm", QueueRequest(hosts=1, interface="lo"), tmp_path) as cluster,
    ):
        script = cluster.job_script()
    command = f"{sys.executable} -m distributed.cli.dask_worker"
    assert command in script

    job = subprocess.Popen(
        ["bash", "-c", script.replace(command, f"{sys.executable} {worker} '{ended_by}'")],
        env={**os.environ, "TMPDIR": str(node)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert job.stdout is not None
    assert job.stdout.readline() == "works\n"
    if ended_by == "the queue":
        os.killpg(job.pid, signal.SIGTERM)
    _, err = job.communicate()

    assert "Traceback" not in err
    assert list(node.iterdir()) == []


def test_a_folder_that_the_user_has_chosen_for_workers_stays_theirs(tmp_path: Path):
    chosen = {"temporary-directory": str(tmp_path), "jobqueue.slurm.local-directory": "/scratch/mine"}
    with (
        dask.config.set(chosen),
        make_queue_cluster("slurm", QueueRequest(hosts=1, interface="lo"), tmp_path) as cluster,
    ):
        script = cluster.job_script()

    assert "--local-directory /scratch/mine " in script
    assert "mktemp" not in script
