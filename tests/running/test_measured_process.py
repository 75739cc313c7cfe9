"""The measured process: it leaves nothing behind, runs under any CPython, and gets its settings."""

from __future__ import annotations

import os
import py_compile
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from running_builder import CYCLES, a_plan, context, soak_driver, soak_plan

from soak.errors import UsageError
from soak.request import Injection
from soak.running.child.process import is_compiled
from soak.running.component import second_pass as tracing
from soak.running.component.second_pass import trace_growth
from soak.running.environment import describe_environment
from soak.running.interpreter import check_module, find_interpreter
from soak.targets import find_targets
from soak.verdict import Verdict

pytestmark = pytest.mark.integration

VERSIONS = Path.home() / ".pyenv" / "versions"
OTHERS = [python for version in ("3.8", "3.12", "3.13") for python in sorted(VERSIONS.glob(f"{version}.*/bin/python"))]


def test_a_checkpoint_leaves_nothing_behind(tmp_path: Path):
    """Blocks, heap and the like after each of 1,500 checkpoints equal those after the first, to the byte.

    So does resident memory, but for pages of libraries that are read in when code runs for the first time.
    """
    soaked = soak_plan(a_plan(iterations=1500, checkpoint_every=1), tmp_path)

    assert len(soaked.readings) == 1501
    for signal in ("heap", "python_blocks", "heap_free", "mapped", "fds", "threads"):
        assert set(soaked.values(signal)[1:]) == {soaked.values(signal)[1]}, signal
    assert len(set(soaked.values("rss")[200:])) == 1


def test_the_ring_is_touched_beforehand(tmp_path: Path):
    """More rows than the ring holds: a page that is first written late would show in resident memory."""
    soaked = soak_plan(a_plan(iterations=1100, checkpoint_every=1), tmp_path)

    assert len(set(soaked.values("rss")[200:])) == 1
    assert soaked.observed.lost_rows == 0


def test_settings_reach_the_drivers_setup(tmp_path: Path):
    """As the values they are; and what setup returns is the state of every cycle and of the teardown."""
    settings = {"width": 640, "name": "a", "rate": 0.5, "on": True, "sizes": [1, 2], "nested": {"a": None}}
    observed = soak_driver(
        tmp_path,
        """
        def setup(**settings):
            return settings
        def cycle(state): state["cycles"] = state.get("cycles", 0) + 1
        def teardown(state): print(sorted(state.items()))
        """,
        settings=settings,
        iterations=5,
    ).observed

    assert observed.failure is None
    assert observed.output.strip() == str(
        sorted(
            {
                "width": 640,
                "name": "a",
                "rate": 0.5,
                "on": True,
                "sizes": [1, 2],
                "nested": {"a": None},
                "cycles": 5,
            }.items()
        )
    )


def test_a_setting_that_setup_does_not_take_is_its_failure(tmp_path: Path):
    failure = soak_driver(
        tmp_path, "def setup(width): pass\ndef cycle(state): pass\n", settings={"height": 3}
    ).observed.failure

    assert failure is not None
    assert (failure.phase, failure.detail) == (
        "setup", "TypeError: setup() got an unexpected keyword argument 'height'",
    )  # fmt: skip


def test_settings_for_a_driver_without_setup_are_its_failure(tmp_path: Path):
    failure = soak_driver(tmp_path, "def cycle(state): pass\n", settings={"height": 3}).observed.failure

    assert failure is not None
    assert "takes no settings, because it has no setup(**settings)" in failure.detail


IN_ONE_LOOP = """
import asyncio
loops = set()
async def read():
    loops.add(id(asyncio.get_running_loop()))
    await asyncio.sleep(0)
    assert len(loops) == 1
"""
ALL_IN_ONE_LOOP = """
import asyncio
async def setup():
    return asyncio.get_running_loop()
async def cycle(loop):
    assert loop is asyncio.get_running_loop()
async def teardown(loop):
    await cycle(loop)
    print("torn down")
"""
FORMS = {
    "function": ("case.py:read", "def read(n=[0]):\n    n[0] += 1\n"),
    "method": ("case.py:Camera.read", "class Camera:\n    @staticmethod\n    def read(): pass\n"),
    "async function": ("case.py:read", IN_ONE_LOOP),
    "module": ("case:read", "def read(): pass\n"),
    "partial": ("case.py:read", "import functools\nread = functools.partial(int, '3')\n"),
    "async cycle": ("case.py", "import asyncio\nasync def cycle(state):\n    await asyncio.sleep(0)\n"),
    "async driver": ("case.py", ALL_IN_ONE_LOOP),
    "driver": ("case.py", "def cycle(state):\n    assert state is None\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_target_runs(tmp_path: Path, form: str):
    """One call a cycle, awaited to its end where it must be, in one event loop that stays."""
    specification, text = FORMS[form]
    (tmp_path / "case.py").write_text(text, encoding="utf-8")

    observed = soak_plan(a_plan(find_targets([specification], tmp_path)[0], iterations=50), tmp_path).observed

    assert (observed.failure, observed.iterations) == (None, 50)
    assert ("torn down" in observed.output) == ("torn down" in text)


def test_a_driver_imports_its_neighbours_and_the_working_folder(tmp_path: Path):
    """As when run by itself: the file's folder, then the folder soak was called in; soak's own is not there."""
    (tmp_path / "drivers").mkdir()
    (tmp_path / "drivers/neighbour.py").write_text("", encoding="utf-8")
    (tmp_path / "project.py").write_text("", encoding="utf-8")
    driver = tmp_path / "drivers/drive_it.py"
    driver.write_text(
        "import neighbour, project, sys, os\ndef cycle(state): pass\n"
        "def teardown(state): print(sys.path[:2], os.getcwd(), __name__, sys.argv, sep='|')\n",
        encoding="utf-8",
    )

    observed = soak_plan(a_plan(find_targets(["drivers"], tmp_path)[0], iterations=1), tmp_path).observed

    assert observed.failure is None
    path, working, name, argv = observed.output.strip().split("|")
    assert path == str([str(driver.parent), str(tmp_path)])
    assert (working, name, argv) == (str(tmp_path), "drive_it", str([str(driver)]))


def test_the_measured_process_imports_nothing_heavy(tmp_path: Path):
    """No numpy, no json, no typing, no subprocess: what a bare interpreter has, a few small ones, and its own."""
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    ).stdout.split()

    observed = soak_driver(
        tmp_path, "import sys\ndef cycle(state): pass\ndef teardown(state): print(*sys.modules)\n", iterations=1
    ).observed

    added = set(observed.output.split()) - set(bare)
    assert {name for name in added if not name.startswith("soak.inside")} <= {
        *("soak", "drive_it", "__future__", "ctypes", "_ctypes", "struct", "_struct", "ctypes._endian", "mmap", "gc"),
        *("faulthandler", "marshal", "time", "_opcode", "importlib", "importlib.machinery", "_thread"),
        *("importlib._bootstrap", "importlib._bootstrap_external", "warnings"),
    }


@pytest.mark.parametrize(
    "python",
    [pytest.param(one, marks=[] if one in (OTHERS[0], OTHERS[-1]) else pytest.mark.long) for one in OTHERS],
    ids=lambda python: python.parts[-3],
)
def test_other_interpreters_are_measured(tmp_path: Path, python: Path):
    """A planted leak is found at its rate and its clean twin is CLEAN, with nothing of soak installed there."""
    text = "import sys\ndef cycle(state): pass\ndef teardown(state): print(sys.version.split()[0])\n"

    leaking = soak_driver(tmp_path, text, str(python), injection=Injection("native", 106)).observed
    clean = soak_driver(tmp_path, text, str(python)).observed

    assert (leaking.failure, clean.failure) == (None, None)
    assert leaking.output.strip() == python.parts[-3]
    assert (leaking.decision.verdict, leaking.decision.decided_by) == (Verdict.LEAK, "heap")
    assert leaking.decision.series["heap"].rate == pytest.approx(128, abs=0.5)
    assert (clean.decision.verdict, clean.iterations) == (Verdict.CLEAN, CYCLES)


@pytest.mark.parametrize("python", OTHERS, ids=lambda python: python.parts[-3])
def test_other_interpreters_collect_garbage_and_leave_nothing_behind(tmp_path: Path, python: Path):
    """CPython 3.12 has frozen objects at its start; that does not mean that the component disabled gc."""
    text = "def cycle(state):\n    garbage = []\n    garbage.append(garbage)\n"

    soaked = soak_driver(tmp_path, text, str(python), iterations=300, checkpoint_every=1)

    assert (soaked.observed.failure, soaked.observed.gc_held_off) == (None, False)
    heap, blocks = soaked.values("heap")[2:], soaked.values("python_blocks")[2:]
    assert set(heap) == {heap[0]}
    # CPython up to 3.10 takes two for a function of soak's that runs for the 1,024th time.
    assert blocks[-1] - blocks[0] <= 2


@pytest.mark.parametrize("python", OTHERS, ids=lambda python: python.parts[-3])
def test_other_interpreters_still_see_that_gc_is_held_off(tmp_path: Path, python: Path):
    text = "import gc\ngc.freeze()\ndef cycle(state): pass\n"

    assert soak_driver(tmp_path, text, str(python), iterations=64).observed.gc_held_off


@pytest.mark.parametrize("python", OTHERS, ids=lambda python: python.parts[-3])
def test_other_interpreters_say_where_a_driver_failed(tmp_path: Path, python: Path):
    failure = soak_driver(tmp_path, "def cycle(state):\n    1 / 0\n", str(python)).observed.failure

    assert failure is not None
    assert (failure.phase, failure.cycle, failure.detail) == ("cycle", 1, "ZeroDivisionError: division by zero")
    assert failure.stack == (f'File "{tmp_path}/drive_it.py", line 2, in cycle',)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("/no/such/python", "this is not a working Python interpreter"),
        ("/bin/ls", "this is not a working Python interpreter"),
        ("/bin/true", "this is not a working Python interpreter"),
        ("/tmp", "this is not a working Python interpreter"),
    ],
)
def test_a_file_that_is_no_interpreter_is_refused(command: str, message: str):
    with pytest.raises(UsageError, match=f"--python {command}: {message}") as refused:
        find_interpreter(command)

    assert "\n" not in str(refused.value)


def test_an_interpreter_older_than_3_8_is_refused(tmp_path: Path):
    shim = tmp_path / "python"
    shim.write_text(
        '#!/bin/sh\necho \'{"executable": "/x/python", "version": [3, 7, 16], "implementation": "cpython"}\'\n',
        encoding="utf-8",
    )
    shim.chmod(0o755)

    with pytest.raises(UsageError, match=r"this is Python 3\.7\.16; 3\.8 is the oldest that can be measured"):
        find_interpreter(str(shim))


def test_a_shim_is_resolved_to_the_executable_behind_it(tmp_path: Path):
    """What is measured must be the interpreter, not a shell that starts it."""
    own = find_interpreter(None)
    shim = tmp_path / "python"
    shim.write_text(f'#!/bin/sh\nexec {own.executable} "$@"\n', encoding="utf-8")
    shim.chmod(0o755)

    assert find_interpreter(str(shim)) == own


def test_a_module_that_is_not_there_is_refused(tmp_path: Path):
    """Asked of the interpreter that is to import it; the working folder is on its path."""
    (tmp_path / "here.py").write_text("", encoding="utf-8")

    check_module(find_interpreter(None), "here", [str(tmp_path)])
    for module in ("gone", "gone.below"):
        with pytest.raises(UsageError, match=f"unknown target: CPython .* finds no module '{module}'"):
            check_module(find_interpreter(None), module, [str(tmp_path)])


@pytest.fixture
def _short_second_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "CYCLES", 2048)
    monkeypatch.setattr(tracing, "_N_MIN", 512)


@pytest.mark.usefixtures("_short_second_pass")
def test_the_second_pass_names_the_line_that_grows(tmp_path: Path):
    """One object of 106 bytes a cycle, kept at line 3: its line, its size, and the snapshots stay."""
    (tmp_path / "drive_it.py").write_text(
        "kept = [None] * 100_000\ndef cycle(at=iter(range(100_000))):\n    kept[next(at)] = bytes(73)\n",
        encoding="utf-8",
    )
    file = tmp_path / "it.tracemalloc"

    trace = trace_growth(
        a_plan(find_targets(["drive_it.py:cycle"], tmp_path)[0], checkpoint_every=16), context(tmp_path), file
    )

    top = trace.top[0]
    assert (Path(top.file).name, top.line) == ("drive_it.py", 3)
    assert trace.iterations > 0
    assert top.size / trace.iterations == pytest.approx(106, abs=0.5)
    assert top.blocks / trace.iterations == pytest.approx(1, abs=0.01)
    assert trace.bytes_per_iteration is not None
    assert trace.bytes_per_iteration.rate == pytest.approx(106, abs=1)
    assert file.exists()
    assert (tmp_path / "it.tracemalloc.baseline").exists()
    assert not (tmp_path / "it.tracemalloc.top").exists()


@pytest.mark.usefixtures("_short_second_pass")
def test_the_second_pass_of_what_does_not_grow_names_no_line_of_it(tmp_path: Path):
    """The twin: nothing at the driver's lines grows by a byte a cycle."""
    (tmp_path / "drive_it.py").write_text("def cycle(state):\n    kept = [bytes(73)]\n", encoding="utf-8")

    trace = trace_growth(
        a_plan(find_targets(["drive_it.py"], tmp_path)[0], checkpoint_every=16),
        context(tmp_path),
        tmp_path / "it.tracemalloc",
    )

    assert [line for line in trace.top if line.size >= trace.iterations] == []
    assert trace.bytes_per_iteration is not None
    assert abs(trace.bytes_per_iteration.rate or 0) < 1


def test_a_run_that_was_stopped_before_it_began_measures_nothing(tmp_path: Path):
    stopping = threading.Event()
    stopping.set()

    observed = soak_plan(a_plan(), tmp_path, stopping=stopping).observed

    assert observed.stopped_by == "signal"
    assert observed.iterations < CYCLES


def test_libraries_with_an_allocator_of_their_own_use_malloc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without a variable of the user's; what the user sets stays."""
    monkeypatch.delenv("G_SLICE", raising=False)
    monkeypatch.delenv("ARROW_DEFAULT_MEMORY_POOL", raising=False)
    monkeypatch.setenv("G_DEBUG", "fatal-criticals")
    driver = """
        import os
        def cycle(state): pass
        def teardown(state):
            print(*(os.environ[name] for name in ("G_SLICE", "G_DEBUG", "ARROW_DEFAULT_MEMORY_POOL")))
        """

    soaked = soak_driver(tmp_path, driver, iterations=1)

    assert soaked.observed.output == "always-malloc fatal-criticals system\n"
    variables = describe_environment(find_interpreter(None))["variables"]
    assert (variables["G_SLICE"], variables["G_DEBUG"]) == ("always-malloc", "fatal-criticals")


def test_bytecode_is_that_of_its_file_or_none(tmp_path: Path):
    """Where it is there already, no process is started to make it."""
    file = tmp_path / "module.py"
    file.write_text("x = 1\n", encoding="utf-8")
    assert not is_compiled(file)

    py_compile.compile(str(file), doraise=True)
    assert is_compiled(file)

    os.utime(file, (1.0, 1.0))
    assert not is_compiled(file)
