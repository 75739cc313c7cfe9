"""Both controls of every detector: a planted leak is found by its own signal at its own rate; its clean twin is CLEAN.

Each runs a real measured process for a fixed number of cycles.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from running_builder import CYCLES, N_MIN, a_plan, soak_driver, soak_plan, soak_planted

from soak.running.component.result import make_result
from soak.running.interpreter import find_interpreter
from soak.verdict import Verdict

pytestmark = pytest.mark.integration

PLANTED = [
    # kind, size, every, the signal that decides, its rate per cycle, how near, what the cause is called
    ("native", 106, 1, "heap", 128.0, 0.5, "native"),
    # Without the tracker a table of the interpreter that grows once in the run is in the rate as well.
    ("native", 104, 1, "heap", 112.0, 1.0, "native"),
    ("object", 106, 1, "python_blocks", 1.0, 0.01, "python-object"),
    ("lost-reference", 106, 1, "python_blocks", 1.0, 0.01, "python-object"),
    ("cycle", 200, 1, "python_blocks", 3.0, 0.01, "reference-cycle"),
    ("fd", 1, 10, "fds", 0.1, 0.005, "file-descriptor"),
    ("thread", 1, 10, "threads", 0.1, 0.005, "thread"),
    ("child", 1, 10, "children", 0.1, 0.005, "child-process"),
    ("mmap", 4096, 1, "mapped", 4096.0, 1.0, "mapping"),
]


@pytest.mark.parametrize(("kind", "size", "every", "signal", "rate", "near", "cause"), PLANTED)
def test_a_planted_leak_is_found_by_its_own_signal(
    tmp_path: Path, kind: str, size: int, every: int, signal: str, rate: float, near: float, cause: str
):
    """LEAK, decided by the signal that explains it, at the rate planted, with an interval that covers it."""
    soaked = soak_planted(tmp_path, kind, size, every)
    result = make_result(a_plan(), soaked.observed, None, find_interpreter(None))

    series = soaked.observed.decision.series[signal]
    assert (result.verdict, result.decided_by) == (Verdict.LEAK, f"counter:{signal}")
    assert series.rate == pytest.approx(rate, abs=near)
    assert series.low is not None
    assert series.high is not None
    assert series.low - near <= rate <= series.high + near
    assert (result.iterations, result.failure) == (CYCLES, None)
    assert [found.kind for found in result.causes][:1] == [cause]


def test_a_cycle_of_nothing_is_clean(tmp_path: Path):
    """The twin without a leak: every deciding signal was read and is CLEAN, the heap within 0.05 B per cycle."""
    soaked = soak_plan(a_plan(), tmp_path)

    judgement = soaked.observed.decision
    assert (judgement.verdict, judgement.decided_by) == (Verdict.CLEAN, "heap")
    assert {
        name: judgement.series[name].verdict for name in ("heap", "python_blocks", "fds", "threads", "children")
    } == (dict.fromkeys(("heap", "python_blocks", "fds", "threads", "children"), Verdict.CLEAN))
    assert abs(judgement.series["heap"].rate or 0) < 0.05
    assert (soaked.observed.iterations, soaked.observed.stopped_by) == (CYCLES, "budget")
    assert soaked.observed.lost_rows == 0


EVERY_32ND = "def cycle(state):\n    cycle.n += 1\n    if cycle.n % 32 == 0:\n        {}\ncycle.n = 0\n"
LOCKED = "import _thread\nlock = _thread.allocate_lock()\nlock.acquire()\n"
FORK = "pid = os.fork()\n        if pid == 0: os._exit(0)\n        "

# What leaks, its repaired twin, and the signal that tells them apart.
TWINS = {
    "list": (
        "kept = []\ndef cycle(state):\n    kept.append(object())",
        "def cycle(state):\n    kept = []\n    kept.append(object())",
        "python_blocks",
    ),
    "descriptor": (
        "import os\n" + EVERY_32ND.format("os.dup(0)"),
        "import os\n" + EVERY_32ND.format("os.close(os.dup(0))"),
        "fds",
    ),
    "thread": (
        LOCKED + EVERY_32ND.format("_thread.start_new_thread(lock.acquire, ())"),
        "from threading import Thread\n"
        + EVERY_32ND.format("thread = Thread(target=int); thread.start(); thread.join()"),
        "threads",
    ),
    "child": (
        "import os\n" + EVERY_32ND.format(FORK),
        "import os\n" + EVERY_32ND.format(FORK + "os.waitpid(pid, 0)"),
        "children",
    ),
    "circle": (
        "import gc\ngc.disable()\ndef cycle(state):\n    circle = [None]\n    circle[0] = circle",
        "def cycle(state):\n    circle = [None]\n    circle[0] = circle",
        "python_blocks",
    ),
}


@pytest.mark.parametrize("name", TWINS)
def test_a_drivers_own_leak_is_found_and_its_repaired_twin_is_clean(tmp_path: Path, name: str):
    """The way people write them: a list that is kept, a descriptor not closed, a process not waited for."""
    leaking, repaired, signal = TWINS[name]

    found = soak_driver(tmp_path, leaking).observed
    # A thread's stack and arena come from malloc too: a few of its chunks more or less in 64 threads are no leak.
    clean = soak_driver(tmp_path, repaired, tolerance_bytes=16.0).observed

    assert (found.decision.verdict, found.decision.decided_by) == (Verdict.LEAK, signal)
    assert found.failure is None
    assert (clean.decision.verdict, clean.failure) == (Verdict.CLEAN, None), clean.decision


def test_a_leak_that_stands_ends_the_run_early(tmp_path: Path):
    """At the first look that counts, n_min, not after a million cycles."""
    dense = N_MIN // 64
    soaked = soak_planted(
        tmp_path, "native", 106, iterations=10**9, early_stop=True, full_budget=True, checkpoint_every=dense
    )

    assert soaked.observed.stopped_by == "verdict"
    assert soaked.observed.decision.decided_at == N_MIN
    assert N_MIN <= soaked.observed.iterations < 10**8


def test_a_component_that_is_clean_goes_on_to_the_end_of_a_budget_that_was_named(tmp_path: Path):
    """CLEAN is clean so far; where nobody named a budget it ends the run."""
    named = soak_plan(a_plan(early_stop=True, full_budget=True, iterations=8 * N_MIN), tmp_path)
    usual = soak_plan(a_plan(early_stop=True, full_budget=False, iterations=10**9), tmp_path)

    assert (named.observed.stopped_by, named.observed.iterations) == ("budget", 8 * N_MIN)
    assert (usual.observed.stopped_by, usual.observed.decision.verdict) == ("verdict", Verdict.CLEAN)


def test_garbage_collection_that_is_off_makes_circular_garbage_the_components_leak(tmp_path: Path):
    """The result says that soak did not collect either, and calls the cause by its name."""
    soaked = soak_driver(tmp_path, TWINS["circle"][0])
    result = make_result(a_plan(), soaked.observed, None, find_interpreter(None))

    assert soaked.observed.gc_held_off
    assert result.causes[0].kind == "reference-cycle"
    assert any("gc disabled" in message for message in result.messages)
