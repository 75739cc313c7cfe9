"""Processes that live between cycles: what is taken in of them, and what whole runs say of pools and servers."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_builder import a_plan, soak_driver

from soak.grounds import GroundKind, LiveChildren
from soak.probes.descendants import Descendant
from soak.probes.outside import ScriptedReader
from soak.reporting.words.causes.advice import advise
from soak.running.clock import ScriptedClock
from soak.running.component.reading.checkpoints import ChildProcesses, OutsideProbe
from soak.running.component.result import make_result
from soak.running.interpreter import find_interpreter
from soak.verdict import Verdict


def a_process(pid: int, rss_bytes: int = 1000, parent: int = 1, line: str = "worker", started: float = 5) -> Descendant:
    return Descendant(pid, parent, started, line, line, rss_bytes)


def test_growth_is_counted_from_when_each_was_first_seen():
    children = ChildProcesses()

    assert children.update([]) == {}
    assert children.update([a_process(7, 1000)]) == {"children_rss": 1000.0}
    assert children.update([a_process(7, 1500), a_process(8, 400)]) == {"children_rss": 1900.0}
    assert children.living == LiveChildren(("worker", "worker"), 1400.0, 1900.0)


def test_a_process_that_took_over_a_number_is_another_one():
    children = ChildProcesses()
    children.update([a_process(7, 1000)])
    children.update([a_process(7, 9000, started=6)])

    assert children.living == LiveChildren(("worker",), 9000.0, 9000.0)


def test_without_any_left_their_memory_is_none():
    """From the first one on the series has no gap: a pool that is emptied has given its memory back."""
    children = ChildProcesses()
    children.update([a_process(7)])

    assert children.update([]) == {"children_rss": 0.0}
    assert children.living is None


def test_what_is_no_part_of_the_component_is_left_out_with_what_it_started():
    children = ChildProcesses(["server"])
    server, its_own = a_process(7, line="python -m my_server"), a_process(8, parent=7, line="helper")

    assert children.update([server, its_own]) == {}
    assert children.update([server, its_own, a_process(9)]) == {"children_rss": 1000.0}
    assert children.left_out == {"python -m my_server": 1, "helper": 1}


def test_nothing_is_listed_while_there_are_no_children():
    counts = [{"children": 0.0}, {"children": 1.0}, {}]
    probe = OutsideProbe(ScriptedReader(counts, descendants=[(a_process(7),)]), ScriptedClock())

    assert [probe.read().get("children_rss") for _ in counts] == [None, 1000.0, 0.0]


# ---- whole runs ----

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
METHODS = ["fork", *(pytest.param(name, marks=pytest.mark.long) for name in ("spawn", "forkserver"))]
GROWS, STAYS = "kept.append(b'x' * 1000 * n)", "return len(b'x' * 1000 * n)"
SERVER = """
import subprocess, sys
IGNORED_CHILDREN = ({ignored})
def setup():
    code = "import sys; [print(line, end='', flush=True) for line in sys.stdin]"
    return subprocess.Popen([sys.executable, "-c", code, "echo_server"], stdin=-1, stdout=-1, text=True, bufsize=1)
def cycle(server):
    server.stdin.write("hello\\n")
    server.stdout.readline()
def teardown(server):
    server.communicate()
"""
COME_AND_GO = """
import os
def cycle(state):
    pid = os.fork()
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.mark.integration
@pytest.mark.parametrize("method", METHODS)
def test_a_pool_whose_workers_grow_is_a_leak_that_names_them(tmp_path: Path, method: str):
    """10 kB per cycle, seen as resident pages: never CLEAN, and a leak of about that where their steps are even."""
    observed = soak_driver(tmp_path, POOL.format(work=GROWS, method=method)).observed
    result = make_result(a_plan(), observed, None, find_interpreter(None))

    assert observed.evidence.children is not None
    assert len(observed.evidence.children.commands) == 2
    assert observed.evidence.children.growth_bytes > 5_000_000
    if result.verdict is Verdict.INCONCLUSIVE:
        # How the allocators of the workers take their pages decides whether the rate is steady enough.
        assert GroundKind.UNCOUNTED_CHILDREN in {ground.kind for ground in result.grounds}
        return
    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "counter:children_rss"), result.grounds
    assert result.growth is not None
    assert result.growth.bytes_per_iteration == pytest.approx(10_000, rel=0.4)
    assert [cause.kind for cause in result.causes] == ["child-process"]
    assert [opened.count for opened in result.causes[0].opened] == [2]
    assert "soak run" in advise(result.causes[0])


@pytest.mark.integration
@pytest.mark.parametrize("method", METHODS)
def test_a_pool_that_does_not_grow_is_not_clean_and_no_leak(tmp_path: Path, method: str):
    """The repaired twin: nobody has counted inside the workers."""
    observed = soak_driver(tmp_path, POOL.format(work=STAYS, method=method)).observed

    assert observed.decision.verdict is Verdict.INCONCLUSIVE, observed.decision.grounds
    ground = next(g for g in observed.decision.grounds if g.kind is GroundKind.UNCOUNTED_CHILDREN)
    assert ground.children is not None
    assert len(ground.children.commands) == 2


@pytest.mark.integration
@pytest.mark.parametrize(
    ("ignored", "verdict"), [("'echo_server',", Verdict.CLEAN), ("'another',", Verdict.INCONCLUSIVE)]
)
def test_a_server_that_the_driver_names_is_left_out(tmp_path: Path, ignored: str, verdict: Verdict):
    observed = soak_driver(tmp_path, SERVER.format(ignored=ignored)).observed
    result = make_result(a_plan(), observed, None, find_interpreter(None))

    assert result.verdict is verdict, result.grounds
    assert any("IGNORED_CHILDREN" in message for message in result.messages) is (verdict is Verdict.CLEAN)


@pytest.mark.integration
def test_children_that_come_and_go_within_a_cycle_are_clean(tmp_path: Path):
    observed = soak_driver(tmp_path, COME_AND_GO, iterations=640, n_min=256, checkpoint_every=8).observed

    assert observed.decision.verdict is Verdict.CLEAN, observed.decision.grounds
    assert observed.evidence.children is None
