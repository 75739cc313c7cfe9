"""Objects that take over the memory of freed ones: each block has the line and the cycle of the object that is in it.

The cases are the functions of tests/planted/reuse_*.py. In each cycle their innocent lines free an object, and the line
marked `kept` keeps a new one of the same kind.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tracked_children import HERE, ROOT, VERSIONS, Track, interpreters

from soak.native import preload
from soak.native.layout import STATE_OBJECTS

pytestmark = [pytest.mark.native, pytest.mark.integration]

CASES = sorted((HERE.parent / "planted").glob("reuse_*.py"))
CYCLES, FIRST, STOP = 200, 50, 150
RUN = """
import gc, importlib.util, types
def functions(path):
    spec = importlib.util.spec_from_file_location("reuse", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [value for value in vars(module).values()
            if isinstance(value, types.FunctionType) and value.__code__.co_varnames[:1] == ("keep",)]

kept, begun, number = [], {{}}, 0
for path in {paths!r}:
    for cycle in functions(path):
        begun[cycle.__name__] = number
        for _ in range({cycles}):
            number += 1
            tracker.cycle[0] = number
            cycle(kept.append)
gc.collect()
tracker.checkpoint()
answer([begun, tracker.objects_reason])
"""
KEPT_BY_CODE = ("frame", "generator", "coroutine", "asynchronous")
"""Begin the names of cases with frames. In 3.8 and 3.9 a code object keeps its last frame, with its first birth."""
SYSTEM = Path("/usr/bin/python3")
"""Distributions link the interpreter into the program and optimise it as a whole."""
FOUND = {**interpreters(), **({"system": str(SYSTEM)} if SYSTEM.exists() else {})}


def _marks(version: str) -> list[pytest.MarkDecorator]:
    missing = pytest.mark.skipif(version not in FOUND, reason=f"no CPython {version} on this machine")
    return [pytest.mark.interpreters, missing]


OTHERS = [version for version in (*VERSIONS, "system") if FOUND.get(version) != sys.executable]
EVERY = [
    *(version for version, python in FOUND.items() if python == sys.executable),
    *(pytest.param(version, marks=_marks(version)) for version in OTHERS),
]


@pytest.mark.parametrize("version", EVERY)
def test_the_line_that_keeps_is_named_and_no_other(track: Track, version: str) -> None:
    """The survivors of a hundred cycles are at least a hundred blocks, all at lines that keep."""
    child = track(RUN.format(paths=list(map(str, CASES)), cycles=CYCLES), FOUND[version])

    begun, reason = child.answer
    assert reason is None
    if version in ("3.8", "3.9"):
        begun = {name: start for name, start in begun.items() if not name.startswith(KEPT_BY_CODE)}
    found = {name: child.survivors(start + FIRST, start + STOP) for name, start in begun.items()}
    assert len(found) >= 45
    assert {name: innocent for name, lines in found.items() if (innocent := _at_innocent_lines(lines))} == {}
    assert [name for name, lines in found.items() if sum(line[0] for line in lines) < STOP - FIRST] == []


TRACEMALLOC = """
import tracemalloc
many = [{"a": number} for number in range(300)]
print(tracemalloc.is_tracing(), tracemalloc.get_traced_memory(), tracemalloc.get_object_traceback(many))
tracemalloc.stop()
tracemalloc.start()
{"a": 1}.copy()
kept = {"b": 2}
print(tracemalloc.is_tracing(), tracemalloc.get_traced_memory()[0] > 0)
print([frame.lineno for frame in tracemalloc.get_object_traceback(kept)])
"""


@pytest.mark.parametrize("version", EVERY)
@pytest.mark.parametrize("ends", ["", "tracemalloc.stop()", "import os; os.fork() or tracemalloc.clear_traces()"])
def test_a_program_that_uses_tracemalloc_runs_as_without_soak(
    library: Path, tmp_path: Path, version: str, ends: str
) -> None:
    """The same answers and the same end; nothing of it tells that objects were followed."""
    start = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from soak.inside import tracker\n"
        f"hook = tracker.connect(); hook.start({str(tmp_path / 'ledger')!r}); assert not hook.objects_reason\n"
    )
    python = FOUND[version]

    plain = _run(python, "\n\n" + TRACEMALLOC + ends, os.environ)
    with preload.preloading(library, os.environ) as environment:
        tracked = _run(python, start + TRACEMALLOC + ends, environment)

    assert plain.returncode == 0
    assert (tracked.returncode, tracked.stdout, tracked.stderr) == (0, plain.stdout, plain.stderr)


@pytest.mark.parametrize("version", EVERY)
def test_what_is_lost_when_the_program_traces_objects_itself_is_known(track: Track, version: str) -> None:
    """Up to 3.12 by tracemalloc, later by a reference tracer: the ledger says that objects are no longer followed."""
    script = """
tracker.checkpoint()
answer()
if sys.version_info < (3, 13):
    import tracemalloc
    tracemalloc.start()
else:
    get = ctypes.pythonapi.PyRefTracer_GetTracer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    ctypes.pythonapi.PyRefTracer_SetTracer(leaky.trace_nothing, None)
tracker.checkpoint()
answer(sys.version_info < (3, 13) or get(ctypes.byref(ctypes.c_void_p())) == address_of(leaky.trace_nothing))
"""
    child = track(script, FOUND[version])

    assert child.ledger.state & STATE_OBJECTS
    assert child.next_answer() is True
    assert not child.ledger.state & STATE_OBJECTS


def _run(python: str, script: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, "-c", script], capture_output=True, text=True, env=dict(environment), check=False)


def _at_innocent_lines(survivors: list[list[Any]]) -> list[Any]:
    return [
        [blocks, size, place and [Path(place[0]).name, *place[1:]]]
        for blocks, size, _, place in survivors
        if not (place and _keeps(place[0], place[2]))
    ]


def _keeps(file: str, line: int) -> bool:
    """Whether a line keeps. The script itself calls the cycle, and a kept frame keeps that of its caller."""
    return file == "<string>" or "# kept" in Path(file).read_text(encoding="utf-8").splitlines()[line - 1]
