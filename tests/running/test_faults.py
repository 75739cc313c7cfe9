"""Drivers that fail: the report says where and why, the readings are kept and judged, and nothing is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest
from running_builder import CYCLES, a_plan, context, soak_driver, soak_plan

from soak.reporting.words.verdicts.failures import failure_words
from soak.results import Failure
from soak.running.component.supervisor import soak_component
from soak.targets import find_targets
from soak.verdict import Verdict

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


def failure_of(folder: Path, text: str, **changes: object) -> Failure:
    """Soak a driver of this text and return its failure."""
    failure = soak_driver(folder, text, **changes).observed.failure  # type: ignore[arg-type]
    assert failure is not None
    return failure


def test_a_driver_that_raises_in_setup(tmp_path: Path):
    """Phase, cycle 0, type and message, and the line that raised: the driver's own frames, innermost last."""
    failure = failure_of(
        tmp_path,
        """
        def setup():
            connect()
        def connect():
            raise ConnectionError("no server\\nat all")
        def cycle(state): pass
        """,
    )

    assert (failure.phase, failure.cycle, failure.reason) == ("setup", 0, "exception")
    assert failure.detail == "ConnectionError: no server"
    assert failure.stack == (
        f'File "{tmp_path}/drive_it.py", line 3, in setup',
        f'File "{tmp_path}/drive_it.py", line 5, in connect',
    )


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("def cycle(state): pass\nimport no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("cycle = 5", "TypeError: "),
        ("def setup(size): pass\ndef cycle(state): pass", "TypeError: setup() missing 1 required positional argument"),
    ],
)
def test_a_driver_that_cannot_be_set_up(tmp_path: Path, text: str, detail: str):
    failure = failure_of(tmp_path, text)

    assert (failure.phase, failure.reason) == ("setup", "exception")
    assert failure.detail.startswith(detail)


def test_a_driver_that_raises_in_cycle_7(tmp_path: Path):
    """FAILED names the cycle; the six before it were measured, and their readings are there."""
    soaked = soak_driver(
        tmp_path,
        """
        def setup(): return [0]
        def cycle(state):
            state[0] += 1
            if state[0] == 7: raise ValueError("seven")
        """,
    )

    assert soaked.observed.failure == Failure(
        "cycle", 7, "exception", "ValueError: seven", (f'File "{tmp_path}/drive_it.py", line 5, in cycle',)
    )
    assert (soaked.observed.iterations, soaked.observed.stopped_by) == (6, "failure")
    assert [reading.cycle for reading in soaked.readings] == [0, 6]
    assert soaked.observed.decision.verdict is Verdict.INCONCLUSIVE


def test_a_leak_before_the_failure_is_judged_all_the_same(tmp_path: Path):
    """The readings until then show a LEAK with its rate; the component is FAILED because of its crash."""
    observed = soak_driver(
        tmp_path,
        """
        kept = []
        def cycle(state):
            kept.append(object())
            if len(kept) == 1500: raise ValueError("full")
        """,
    ).observed

    assert observed.failure is not None
    assert observed.failure.cycle == 1500
    assert (observed.decision.verdict, observed.decision.decided_by) == (Verdict.LEAK, "python_blocks")
    assert observed.decision.series["python_blocks"].rate == pytest.approx(1, abs=0.01)


def test_a_driver_that_raises_in_teardown(tmp_path: Path):
    """All its cycles were measured, but it has failed."""
    observed = soak_driver(tmp_path, "def cycle(state): pass\ndef teardown(state): raise OSError('gone')\n").observed

    assert observed.failure is not None
    assert (observed.failure.phase, observed.failure.reason, observed.failure.detail) == (
        "teardown", "exception", "OSError: gone",
    )  # fmt: skip
    assert observed.iterations == CYCLES
    assert observed.decision.verdict is Verdict.CLEAN


@pytest.mark.parametrize(
    ("statement", "reason", "detail"),
    [
        ("sys.exit(3)", "exit", "SystemExit: 3"),
        ("sys.exit(0)", "exit", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "exception", "KeyboardInterrupt: "),
        ("raise GeneratorExit('odd')", "exception", "GeneratorExit: odd"),
        ("print('last words', flush=True); os._exit(0)", "exit", "exit status 0; last line of its output: last words"),
        ("os._exit(70)", "exit", "exit status 70; last line of its output: it wrote nothing"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal", "SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "signal", "SIGTERM"),
    ],
)
def test_every_other_way_to_end_in_a_cycle(tmp_path: Path, statement: str, reason: str, detail: str):
    """This includes ends that look like success from outside: exit status 0 in cycle 3 is a failure."""
    failure = failure_of(
        tmp_path,
        f"""
        import os, signal, sys
        def setup(): return [0]
        def cycle(state):
            state[0] += 1
            if state[0] == 3:
                {statement}
        """,
    )

    assert (failure.phase, failure.cycle, failure.reason, failure.detail) == ("cycle", 3, reason, detail)


def test_a_crash_in_native_code_shows_the_python_stack(tmp_path: Path):
    """A segmentation fault names the function that called what crashed."""
    failure = failure_of(
        tmp_path,
        """
        import ctypes
        def setup(): return [0]
        def cycle(state):
            state[0] += 1
            if state[0] == 5: read_nowhere()
        def read_nowhere():
            ctypes.string_at(0)
        """,
    )

    assert (failure.phase, failure.cycle, failure.reason, failure.detail) == ("cycle", 5, "signal", "SIGSEGV")
    assert any("in read_nowhere" in line for line in failure.stack)
    assert re.fullmatch(r"failed in call 5: SIGSEGV in string_at \(__init__\.py:\d+\)", failure_words(failure))


def test_what_was_measured_before_a_crash_is_kept(tmp_path: Path):
    """The ring outlives the process: a kill in cycle 1,000 leaves the checkpoints before it."""
    soaked = soak_driver(
        tmp_path,
        """
        import os, signal
        def setup(): return [0]
        def cycle(state):
            state[0] += 1
            if state[0] == 1000: os.kill(os.getpid(), signal.SIGKILL)
        """,
    )

    assert soaked.observed.iterations == 999
    assert [reading.cycle for reading in soaked.readings] == list(range(0, 1000, 16))


@pytest.mark.parametrize("phase", ["setup", "cycle", "teardown"])
def test_a_hang_is_ended_with_the_stack_of_where_it_hung(tmp_path: Path, phase: str):
    """After the cycle's timeout; the function is named."""
    bodies = {name: "wait_for_ever()" if name == phase else "pass" for name in ("setup", "cycle", "teardown")}
    failure = failure_of(
        tmp_path,
        f"""
        import time
        def setup(): {bodies["setup"]}
        def cycle(state): {bodies["cycle"]}
        def teardown(state): {bodies["teardown"]}
        def wait_for_ever():
            while True: time.sleep(1)
        """,
        cycle_timeout_s=0.5,
        iterations=3,
    )

    assert (failure.phase, failure.reason) == (phase, "hang")
    assert failure.cycle == {"setup": 0, "cycle": 1, "teardown": 3}[phase]
    assert any("in wait_for_ever" in line for line in failure.stack)


@pytest.mark.long  # it is given three seconds
def test_a_hang_that_ignores_being_aborted_is_killed(tmp_path: Path):
    failure = failure_of(
        tmp_path,
        """
        import faulthandler, signal, time
        def cycle(state):
            faulthandler.disable()
            signal.signal(signal.SIGABRT, signal.SIG_IGN)
            while True: time.sleep(1)
        """,
        cycle_timeout_s=0.3,
    )

    assert (failure.phase, failure.cycle, failure.reason) == ("cycle", 1, "hang")


def test_a_slow_component_within_its_timeout_has_not_hung(tmp_path: Path):
    """The twin of a hang: each cycle takes a fifth of the timeout; all cycles together take twice the timeout."""
    observed = soak_driver(
        tmp_path, "import time\ndef cycle(state): time.sleep(0.1)\n", cycle_timeout_s=0.5, iterations=10
    ).observed

    assert (observed.failure, observed.iterations) == (None, 10)


@pytest.mark.parametrize("per_cycle", [1, 10])
def test_descriptors_that_run_out_are_a_leak_not_a_fault(tmp_path: Path, per_cycle: int):
    """Setup lowers the limit, so it is read when the cycles begin; the component is stopped near it and judged."""
    observed = soak_driver(
        tmp_path,
        f"""
        import os, resource
        def setup():
            resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
        def cycle(state):
            for _ in range({per_cycle}): os.dup(0)
        """,
        n_min=None,
        checkpoint_every=None,
    ).observed

    series = observed.decision.series["fds"]
    assert (observed.decision.verdict, observed.decision.decided_by) == (Verdict.LEAK, "fds")
    assert (observed.failure, observed.stopped_by) == (None, "guard:fds")
    assert series.rate == pytest.approx(per_cycle, rel=0.02)
    assert observed.iterations <= 128 // per_cycle


def test_a_component_that_grows_to_max_rss_is_stopped_and_judged(tmp_path: Path):
    """16 MiB a cycle against 200 MiB: stopped after a few cycles, a LEAK with the guard that stopped it."""
    observed = soak_driver(
        tmp_path,
        "kept = []\ndef cycle(state): kept.append(b'x' * 2**24)\n",
        max_rss_bytes=200 * 2**20,
        checkpoint_every=1,
    ).observed

    assert (observed.decision.verdict, observed.stopped_by, observed.failure) == (
        Verdict.LEAK,
        "guard:rss",
        None,
    )
    assert observed.iterations < 30


def test_a_stop_ends_the_cycles_in_order(tmp_path: Path):
    """The event that a signal sets: a last checkpoint, the teardown, no failure."""
    stopping = threading.Event()
    (tmp_path / "drive_it.py").write_text(
        "def cycle(state): pass\ndef teardown(state):\n    open('torn_down', 'w').close()\n", encoding="utf-8"
    )
    seen: list[int] = []
    observed = soak_component(
        a_plan(find_targets(["drive_it.py"], tmp_path)[0], iterations=10**12),
        context(tmp_path, stopping=stopping),
        on_readings=lambda readings: (seen.extend(reading.cycle for reading in readings), stopping.set())[0],
    )

    assert (observed.stopped_by, observed.failure) == ("signal", None)
    assert seen[-1] == observed.iterations
    assert (tmp_path / "torn_down").exists()


def test_output_that_floods_does_not_hold_the_component_up(tmp_path: Path):
    """Ten megabytes on stdout and stderr; the last of it is kept."""
    observed = soak_driver(
        tmp_path,
        """
        import os
        def cycle(state): os.write(1, b"x" * 5000); os.write(2, b"the end of a line\\n")
        """,
    ).observed

    assert (observed.failure, observed.iterations) == (None, CYCLES)
    assert observed.output.endswith("the end of a line\n")
    assert len(observed.output) <= 65536


def test_nothing_of_a_measured_process_is_left_behind(tmp_path: Path):
    """No process, no thread, no descriptor (the ring is one): after a run in order, a crash and a hang."""
    here = psutil.Process()
    soak_plan(a_plan(iterations=1), tmp_path)
    before = (here.num_fds(), threading.active_count(), len(here.children()))

    soak_plan(a_plan(iterations=1), tmp_path)
    failure_of(tmp_path, "import os\ndef cycle(state): os._exit(1)\n")
    failure_of(tmp_path, "import time\ndef cycle(state): time.sleep(60)\n", cycle_timeout_s=0.2)

    assert (here.num_fds(), threading.active_count(), len(here.children())) == before


def test_a_child_of_the_component_that_goes_on_is_ended_with_it(tmp_path: Path):
    """It keeps the pipe of the output open; soak does not wait for it."""
    observed = soak_driver(
        tmp_path,
        """
        import subprocess, sys
        def setup():
            return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]).pid
        def cycle(pid): pass
        def teardown(pid): print(pid)
        """,
        iterations=3,
    ).observed

    pid = int(observed.output.split()[-1])
    deadline_s = time.monotonic() + 30  # a process that was killed takes a moment to end
    while is_running(pid) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


PARENT = """
import sys, threading
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from running_builder import a_plan, context
from soak.running.component.supervisor import soak_component
from soak.targets import find_targets

folder = Path(sys.argv[3])
plan = a_plan(find_targets(["drive_it.py"], folder)[0], iterations=10**12)
soak_component(plan, context(folder))
"""


def test_a_measured_process_ends_when_soak_is_killed(tmp_path: Path):
    """Soak cannot handle SIGKILL; still no orphan runs on, and its ring is removed."""
    (tmp_path / "drive_it.py").write_text(
        textwrap.dedent(
            """
            import os, pathlib
            def setup():
                pathlib.Path("unfinished").write_text(str(os.getpid()))
                os.rename("unfinished", "pid")
            def cycle(state): pass
            """
        ),
        encoding="utf-8",
    )
    command = [sys.executable, "-c", PARENT, str(ROOT), str(Path(__file__).parent), str(tmp_path)]
    with subprocess.Popen(command) as parent:
        waited_until = time.monotonic() + 30
        while not (tmp_path / "pid").exists():
            assert parent.poll() is None
            assert time.monotonic() < waited_until
            time.sleep(0.01)
        child = psutil.Process(int((tmp_path / "pid").read_text()))
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()

    child.wait(timeout=30)

    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
