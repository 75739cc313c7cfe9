"""Processes that outlive a cycle, in which the tracker counts: a worker that grows is named with its line."""

from __future__ import annotations

import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from running_builder import a_plan

from soak.documents import from_document, to_document
from soak.grounds import GroundKind
from soak.reporting.words.causes.sentences import cause_sentence
from soak.reporting.words.verdicts.why import why_sentence
from soak.results import ComponentResult
from soak.running.clock import ScriptedClock
from soak.running.component.result import make_result
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext
from soak.running.interpreter import find_interpreter
from soak.running.processes.following import FollowedProcesses
from soak.targets import find_targets
from soak.verdict import Verdict

pytestmark = [pytest.mark.integration, pytest.mark.native]

POOL = """
from multiprocessing import get_context
kept = []
def work(n):
    {work}
def setup():
    return get_context({method!r}).Pool(2)
def cycle(pool):
    pool.map(work, range(1, 5))
def teardown(pool):
    pool.terminate()
    pool.join()
"""
GROWS, STAYS = "kept.append(b'x' * 1000 * n)", "return len(b'x' * 1000 * n)"
COLLECTED = """
    for _ in range(2):
        ring = []
        ring.append(ring)
"""
EXECUTOR = """
from concurrent.futures import ProcessPoolExecutor
kept = []
def work(n):
    {work}
def setup():
    return ProcessPoolExecutor(2)
def cycle(executor):
    list(executor.map(work, range(1, 3)))
def teardown(executor):
    executor.shutdown()
"""
SERVER = """
import subprocess
def setup():
    return subprocess.Popen({command}, stdin=-1, stdout=-1, bufsize=0)
def cycle(server):
    server.stdin.write(b"hello\\n")
    server.stdout.readline()
def teardown(server):
    server.communicate()
"""
METHODS = ("fork", "spawn", "forkserver")
N_MIN, CYCLES = 256, 640


def soak(folder: Path, library: Path, text: str, **changes: Any) -> ComponentResult:
    (folder / "drive_it.py").write_text(text, encoding="utf-8")
    asked = {"iterations": CYCLES, "n_min": N_MIN, "checkpoint_every": 8, **changes}
    plan = a_plan(find_targets(["drive_it.py"], folder)[0], **asked)
    observed = soak_component(plan, RunContext(find_interpreter(None), folder, threading.Event(), library))
    return make_result(plan, observed, None, find_interpreter(None))


@pytest.mark.parametrize("method", [METHODS[0], *(pytest.param(name, marks=pytest.mark.long) for name in METHODS[1:])])
def test_a_pool_whose_workers_grow_is_a_leak_with_the_line_in_the_worker(tmp_path: Path, library: Path, method: str):
    result = soak(tmp_path, library, POOL.format(work=GROWS, method=method))

    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "ledger"), result.grounds
    assert result.grounds[0].kind is GroundKind.GROWING_PROCESSES
    assert result.growth is not None
    assert result.growth.bytes_per_iteration == pytest.approx(9_150, rel=0.05)  # the first of the four is a constant
    (cause,) = (cause for cause in result.causes if cause.confirmed)
    assert cause.python_where is not None
    assert (Path(cause.python_where.file or "").name, cause.python_where.line) == ("drive_it.py", 5)
    assert cause.processes is not None
    assert cause.processes.startswith("2 × ")
    (role,) = result.roles
    assert (role.living, role.ended, len(role.processes)) == (2, 0, 2)
    assert sum(each.bytes_per_iteration or 0.0 for each in role.processes) == pytest.approx(9_150, rel=0.05)
    assert "2 child processes" in why_sentence(result)
    assert "drive_it.py:5" in cause_sentence(cause)


@pytest.mark.long
@pytest.mark.parametrize("method", METHODS)
def test_a_pool_whose_workers_keep_nothing_is_clean(tmp_path: Path, library: Path, method: str):
    """After more cycles than a pool itself takes to come to rest."""
    result = soak(tmp_path, library, POOL.format(work=STAYS, method=method), iterations=48 * N_MIN)

    assert [role.verdict for role in result.roles] == [Verdict.CLEAN]
    assert not {GroundKind.UNCOUNTED_CHILDREN, GroundKind.OPEN_PROCESSES} & {ground.kind for ground in result.grounds}


@pytest.mark.parametrize(("keep", "verdict"), [("kept.append(line * 10)", Verdict.LEAK), ("line * 10", Verdict.CLEAN)])
def test_a_program_that_runs_beside_the_cycles_is_judged(tmp_path: Path, library: Path, keep: str, verdict: Verdict):
    code = f"import sys; kept = []\nfor line in sys.stdin:\n    {keep}\n    print(line, end='', flush=True)"

    result = soak(tmp_path, library, SERVER.format(command=[sys.executable, "-c", code]))

    assert result.verdict is verdict, result.grounds
    assert [role.verdict for role in result.roles] == [verdict]


@pytest.mark.long
def test_garbage_that_waits_in_a_worker_is_no_leak(tmp_path: Path, library: Path):
    """The worker collects it because soak asks for that; by itself it would only after 700 objects."""
    result = soak(tmp_path, library, POOL.format(work=COLLECTED, method="fork"))

    assert [role.verdict for role in result.roles] != [Verdict.LEAK]
    assert result.verdict is not Verdict.LEAK


@pytest.mark.long
def test_the_workers_of_an_executor_are_judged(tmp_path: Path, library: Path):
    result = soak(tmp_path, library, EXECUTOR.format(work=GROWS))

    assert [role.verdict for role in result.roles] == [Verdict.LEAK]


def test_a_server_that_is_no_python_is_counted(tmp_path: Path, library: Path):
    result = soak(tmp_path, library, SERVER.format(command=["cat"]))

    assert [(role.command, role.verdict) for role in result.roles] == [("cat", Verdict.CLEAN)]
    assert result.verdict is Verdict.CLEAN


def test_nothing_is_counted_in_processes_that_are_not_followed(tmp_path: Path, library: Path):
    result = soak(tmp_path, library, SERVER.format(command=["cat"]), follow=False)

    assert result.roles == ()
    assert result.verdict is Verdict.INCONCLUSIVE
    assert GroundKind.UNCOUNTED_CHILDREN in {ground.kind for ground in result.grounds}


class WaitingRole:
    """Stands for a role on a busy machine: counting in it waits a second for a processor that it hardly uses."""

    has_new_look = False

    def __init__(self, clock: ScriptedClock) -> None:
        self._clock = clock
        self.counted: list[int] = []

    def read(self, cycle: int, at_s: float, *, collect: bool) -> None:
        """See Role."""
        self.counted.append(cycle)
        self._clock.advance(1.0)


def test_counting_that_waits_for_a_processor_leaves_out_no_more_than_else():
    """Readings with larger gaps leave a role undecided."""
    clock = ScriptedClock()
    processes, role = FollowedProcesses(None, 1, clock, a_plan()), WaitingRole(clock)
    processes._roles[()] = role  # type: ignore[assignment]

    for processes.cycle in range(0, CYCLES, 8):
        processes.read(clock.now_s())
        clock.advance(0.01)

    gaps = [after - before for before, after in pairwise(role.counted)]
    assert max(gaps) <= CYCLES / 34
    assert role.counted[-1] >= CYCLES - 16


def test_a_result_with_roles_is_written_and_read(tmp_path: Path, library: Path):
    result = soak(tmp_path, library, SERVER.format(command=["cat"]), iterations=300)

    assert from_document(ComponentResult, to_document(result)) == result
