"""Drivers that do what no driver should: stopped, exhausted, forked, with closed descriptors; see tests/running too."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest
from command_builder import soak
from faults_builder import is_running, wait_until
from running_builder import CYCLES, N_MIN, a_plan, context, soak_driver

from soak.running.component.observations import ComponentProgress, Observations
from soak.running.component.supervisor import soak_component
from soak.targets import find_targets
from soak.verdict import Verdict

pytestmark = pytest.mark.integration


def test_a_driver_that_is_stopped_in_a_cycle_has_hung(tmp_path: Path):
    """After SIGSTOP it is ended at the cycle's timeout, and the stack shows where it stopped."""
    failure = soak_driver(
        tmp_path,
        """
        import os, signal
        def setup(): return [0]
        def cycle(state):
            state[0] += 1
            if state[0] == 5: stand_still()
        def stand_still():
            os.kill(os.getpid(), signal.SIGSTOP)
        """,
        cycle_timeout_s=0.5,
    ).observed.failure

    assert failure is not None
    assert (failure.phase, failure.cycle, failure.reason) == ("cycle", 5, "hang")
    assert failure.detail == "stopped by a signal, and not continued within the cycle timeout"
    assert any("in stand_still" in line for line in failure.stack)


def test_a_finalizer_that_does_not_end_has_hung(tmp_path: Path):
    """It runs between cycles, when soak collects garbage, but it belongs to the component."""
    failure = soak_driver(
        tmp_path,
        """
        import time
        class Holds:
            def __del__(self): wait_for_ever()
        def wait_for_ever():
            time.sleep(600)
        def setup(): return [0]
        def cycle(state):
            state[0] += 1
            if state[0] == 5:
                garbage = Holds()
                garbage.itself = garbage
        """,
        cycle_timeout_s=0.5,
        checkpoint_every=8,
    ).observed.failure

    assert failure is not None
    assert (failure.phase, failure.cycle, failure.reason) == ("cycle", 8, "hang")
    assert failure.detail.startswith("garbage collection, or a finalizer")
    assert any("in wait_for_ever" in line for line in failure.stack)


def test_an_exception_without_a_text_is_still_reported(tmp_path: Path):
    """Its own __str__ raises."""
    failure = soak_driver(
        tmp_path,
        """
        class Odd(Exception):
            def __str__(self): raise ValueError("no text")
        def cycle(state): raise_it()
        def raise_it(): raise Odd
        """,
    ).observed.failure

    assert failure is not None
    assert (failure.phase, failure.cycle, failure.reason) == ("cycle", 1, "exception")
    assert failure.detail == "Odd: its message cannot be read"
    assert any("in raise_it" in line for line in failure.stack)


def stopped_between_cycles(folder: Path, *, go_on: bool) -> Observations:
    """Soak a paced run whose process gets SIGSTOP while it waits for its next cycle, and SIGCONT 0.3 s later."""
    (folder / "drive_it.py").write_text(
        "import os\n"
        "def setup():\n    open('part', 'w').write(str(os.getpid()))\n    os.rename('part', 'pid')\n"
        "def cycle(state): pass\n",
        encoding="utf-8",
    )
    plan = a_plan(
        find_targets(["drive_it.py"], folder)[0], interval_s=0.2, iterations=8, checkpoint_every=1, cycle_timeout_s=1.0
    )
    sent: list[int] = []

    def stop_once(progress: ComponentProgress) -> None:
        if progress.cycles >= 3 and not sent:
            sent.append(int((folder / "pid").read_text()))
            os.kill(sent[0], signal.SIGSTOP)
            if go_on:
                threading.Timer(0.3, os.kill, (sent[0], signal.SIGCONT)).start()

    return soak_component(plan, context(folder), on_progress=stop_once)


def test_a_driver_that_is_stopped_between_cycles_has_hung(tmp_path: Path):
    """It never reaches its next cycle; a run without a time budget would wait forever."""
    failure = stopped_between_cycles(tmp_path, go_on=False).failure

    assert failure is not None
    assert (failure.reason, failure.detail[:19]) == ("hang", "stopped by a signal")


def test_a_driver_that_is_stopped_and_continued_goes_on(tmp_path: Path):
    """The twin: stopped for less than the timeout."""
    observed = stopped_between_cycles(tmp_path, go_on=True)

    assert (observed.failure, observed.iterations) == (None, 8)


@pytest.mark.parametrize("first", [0, 3])
@pytest.mark.parametrize("when", [pytest.param("setup", marks=pytest.mark.long), "cycle 3"])
def test_a_driver_that_closes_what_it_does_not_own(tmp_path: Path, first: int, when: str):
    """All its descriptors are closed, also its stdout; it is still measured to the end."""
    observed = soak_driver(
        tmp_path,
        f"""
        import os
        def setup():
            {"os.closerange(" + str(first) + ", 4096)" if when == "setup" else "pass"}
            return [0]
        def cycle(state):
            state[0] += 1
            if state[0] == 3: os.closerange({first}, 4096)
            os.close(os.open("/dev/null", os.O_RDONLY))
        """,
    ).observed

    assert (observed.failure, observed.iterations) == (None, CYCLES)
    assert observed.decision.verdict is not Verdict.LEAK


def test_threads_that_run_out_are_a_leak(tmp_path: Path):
    """The guard stops it before the limit, which setup lowered, and it is judged by its readings."""
    observed = soak_driver(
        tmp_path,
        """
        import resource, threading
        waiting = threading.Event()
        def setup():
            threading.stack_size(65536)
            resource.setrlimit(resource.RLIMIT_NPROC, (100, 100))
        def cycle(state): threading.Thread(target=waiting.wait, daemon=True).start()
        """,
        n_min=None,
        checkpoint_every=None,
    ).observed

    assert (observed.failure, observed.stopped_by) == (None, "guard:threads")
    assert (observed.decision.verdict, observed.decision.decided_by) == (Verdict.LEAK, "threads")
    assert observed.iterations <= 100


@pytest.mark.parametrize("mebibytes", [1, 100])
def test_address_space_that_runs_out_is_a_leak(tmp_path: Path, mebibytes: int):
    """With small steps the guard stops it; with large steps it raises MemoryError first. Both are the leak."""
    observed = soak_driver(
        tmp_path,
        f"""
        import resource
        kept = []
        def setup():
            used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 400 * 2**20,) * 2)
        def cycle(state): kept.append(bytearray({mebibytes} * 2**20))
        """,
        n_min=None,
        checkpoint_every=None,
    ).observed

    assert (observed.failure, observed.stopped_by) == (None, "guard:mapped")
    assert observed.decision.verdict is Verdict.LEAK
    assert observed.iterations * mebibytes <= 400


def test_memory_that_runs_out_by_its_own_fault_is_a_failure(tmp_path: Path):
    """The twin: nothing had grown, and one cycle requested more memory than exists."""
    failure = soak_driver(tmp_path, "def cycle(state): bytearray(2**62)\n").observed.failure

    assert failure is not None
    assert (failure.cycle, failure.detail) == (1, "MemoryError: ")


def test_a_driver_that_moves_to_a_folder_that_goes(tmp_path: Path):
    """Relative paths are no longer valid; soak uses none."""
    observed = soak_driver(
        tmp_path,
        """
        import os, tempfile
        def setup():
            folder = tempfile.mkdtemp()
            os.chdir(folder)
            os.rmdir(folder)
        def cycle(state): os.chdir("/proc/self")
        """,
    ).observed

    assert (observed.failure, observed.iterations) == (None, CYCLES)


def test_a_driver_that_takes_every_signal_and_is_interrupted_all_the_time(tmp_path: Path):
    """A timer's signal each millisecond, in its cycles, in the waits between them, and at the checkpoints."""
    observed = soak_driver(
        tmp_path,
        """
        import signal
        seen = [0]
        def count(*_): seen[0] = (seen[0] + 1) % 200
        def setup():
            for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}: signal.signal(number, count)
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        def cycle(state): signal.sigpending()
        def teardown(state): signal.setitimer(signal.ITIMER_REAL, 0)
        """,
        interval_s=0.0005,
    ).observed

    assert (observed.failure, observed.iterations) == (None, CYCLES)
    assert observed.decision.verdict is not Verdict.LEAK


def test_a_fork_that_comes_back_from_the_cycle_writes_nothing(tmp_path: Path):
    """Every tenth cycle forks: the process that comes back with 0 is not the measured one, and ends there."""
    soaked = soak_driver(
        tmp_path,
        """
        import os
        def setup(): return [0]
        def cycle(state):
            state[0] += 1
            if state[0] % 10 == 0:
                child = os.fork()
                if child: os.waitpid(child, 0)
        def teardown(state): print("torn down by", os.getppid() != 1, state[0])
        """,
        iterations=200,
        checkpoint_every=1,
    )

    assert (soaked.observed.failure, soaked.observed.iterations) == (None, 200)
    assert [reading.cycle for reading in soaked.readings] == list(range(201))
    assert soaked.observed.output.splitlines() == ["torn down by True 200"]


def test_a_fork_that_fails_is_no_failure_of_the_driver(tmp_path: Path):
    """An exception or the exit status of a forked process says nothing about the measured one."""
    observed = soak_driver(
        tmp_path,
        """
        import os
        def cycle(state):
            child = os.fork()
            if not child: raise ValueError("in the fork")
            os.waitpid(child, 0)
        """,
        iterations=20,
    ).observed

    assert (observed.failure, observed.iterations) == (None, 20)


def test_forks_that_stay_are_a_leak_of_processes_and_end_with_the_driver(tmp_path: Path):
    observed = soak_driver(
        tmp_path,
        """
        import os, time
        kept = []
        def cycle(state):
            child = os.fork()
            if not child: time.sleep(600)
            if len(kept) < 50: kept.append(child)
            else: os.kill(child, 9); os.waitpid(child, 0)
        def teardown(state): print(*kept)
        """,
        iterations=100,
    ).observed

    assert observed.failure is None
    wait_until(lambda: not any(map(is_running, map(int, observed.output.split()))))  # killed, they need a moment to end


def test_a_grandchild_in_a_session_of_its_own_ends_with_the_driver(tmp_path: Path):
    """A daemon: forked twice, out of the process group. It is found by the mark in its environment."""
    observed = soak_driver(
        tmp_path,
        """
        import subprocess, sys
        DAEMON = "import os, time\\nif os.fork(): os._exit(0)\\nprint(os.getpid(), flush=True)\\ntime.sleep(600)"
        def setup():
            started = subprocess.Popen([sys.executable, "-c", DAEMON], start_new_session=True, stdout=subprocess.PIPE)
            pid = int(started.stdout.readline())
            started.stdout.close()
            started.wait()
            return pid
        def cycle(state): pass
        def teardown(state): print(state)
        """,
        iterations=3,
    ).observed

    assert observed.failure is None
    wait_until(lambda: not is_running(int(observed.output)))


FAULTY = {
    "exits": "import os\ndef cycle(state): os._exit(0)\n",
    "killed": "import os\ndef cycle(state): os.kill(os.getpid(), 9)\n",
    "crashes": "import ctypes\ndef cycle(state): ctypes.string_at(0)\n",
    "hangs": "import time\ndef cycle(state): time.sleep(600)\n",
    "leaks": "kept = []\ndef cycle(state): kept.append(object())\n",
    "whole": "def cycle(state): pass\n",
}


@pytest.mark.long
def test_the_other_components_continue(tmp_path: Path):
    """Each fault affects only its own component; the exit code is that of the worst."""
    for name, text in FAULTY.items():
        (tmp_path / f"drive_{name}.py").write_text(text, encoding="utf-8")

    answer = soak(
        tmp_path, "run", ".", "--n-min", str(N_MIN), "--no-track", "--cycle-timeout", "2s",
        "--json", "-",
    )  # fmt: skip

    found = {component["name"]: component["verdict"] for component in json.loads(answer.out)["components"]}
    assert answer.code == 4
    assert found == {**dict.fromkeys(FAULTY, "FAILED"), "leaks": "LEAK", "whole": "CLEAN"}
