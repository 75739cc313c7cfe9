"""The whole tracker in real processes: leaks are found exactly, and nothing else is, on every interpreter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tracked_children import PRELUDE, ROOT, Track, interpreters

from soak.native import build, preload

pytestmark = [pytest.mark.native, pytest.mark.integration]

NATIVE, PYTHON_MEM, PYTHON_OBJ = 0, 1, 2
CHURN = "\ndef churn():\n    return [{str(i): [i] for i in range(50)}, bytes(2000), list(range(300))]\n"


@pytest.mark.parametrize("version", interpreters())
def test_a_block_from_c_and_an_object_of_python_are_found_exactly(track: Track, version: str) -> None:
    """One leak of 106 B by malloc and one object per cycle, amid allocation that is all given back."""
    script = CHURN + "def cycle():\n    leaky.leak_106(); churn()\n    kept.append(object())\n"

    child = track(script + "run(cycle)\nanswer(covers)", interpreters()[version])

    assert child.answer == ["native", "python"]
    assert child.survivors() == [
        [100, 16, PYTHON_OBJ, ["<string>", "cycle", script.count("\n") + PRELUDE.count("\n")]],
        [100, 106, NATIVE, None],
    ]


@pytest.mark.parametrize("version", interpreters())
def test_the_clean_twin_leaves_nothing(track: Track, version: str) -> None:
    """Everything is given back within its cycle: no survivor at all."""
    script = CHURN + "def cycle():\n    leaky.clean_106(); churn(); leaky.clean_mmap()\nrun(cycle)\nanswer()"

    assert track(script, interpreters()[version]).survivors() == []


@pytest.mark.parametrize(
    ("call", "size"),
    [
        ("leaky.leak_calloc()", 106),
        ("leaky.leak_realloc()", 106),
        ("leaky.leak_posix_memalign()", 106),
        ("leaky.leak_strdup(b'x' * 105)", 106),
        ("leaky.leak_asprintf(123456)", 7),
        ("leaky.leak_in_thread()", 106),
    ],
)
def test_every_way_to_allocate_is_seen_with_the_size_asked_for(track: Track, call: str, size: int) -> None:
    """Exactly one block a cycle, of exactly the requested bytes."""
    child = track(f"run(lambda: {call})\nanswer()")

    assert child.survivors() == [[100, size, NATIVE, None]]


def test_the_site_of_a_native_block_is_the_function_that_allocated_it(track: Track) -> None:
    """Also for strdup, whose caller counts; the return address lies in the leaking function."""
    script = """
run(leaky.leak_106)
run(lambda: leaky.leak_strdup(b"text"), 400)
answer([address_of(leaky.leak_106), address_of(leaky.leak_strdup)])
"""
    child = track(script)

    sites = child.checkpoint().sites
    blocks = child.blocks()
    for function, size in zip(child.answer, (106, 5), strict=True):
        (site,) = set(blocks.sites[blocks.sizes == size].tolist())
        assert 0 < int(sites[site]["address"]) - function < 40


def test_blocks_begin_where_they_are(track: Track) -> None:
    """A slot is for 32 bytes; pymalloc's blocks of 48 bytes and malloc's of 40 begin in either half of them."""
    child = track(
        """
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
made = []
def cycle():
    kept.append(bytes(48 - 33))
    made.append(libc.malloc(ctypes.c_size_t(40)))
run(cycle)
answer([[id(one) for one in kept[49:149]], made[49:149]])
"""
    )
    python, native = (set(addresses) for addresses in child.answer)

    blocks = child.blocks()

    assert {address % 32 for address in python} == {address % 32 for address in native} == {0, 16}
    assert python <= set(blocks.addresses[blocks.sizes == 48].tolist())
    assert native <= set(blocks.addresses[blocks.sizes == 40].tolist())


def test_the_site_of_operator_new_is_its_caller(track: Track, tmp_path: Path) -> None:
    """From the second checkpoint on: the first one finds out which sites lie in operator new."""
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    target = tmp_path / "leaky_cpp.so"
    source = Path(__file__).with_name("leaky.cpp")
    subprocess.run([compiler, "-g", "-O1", "-shared", "-fPIC", "-o", target, source], check=True)
    script = f"""
cpp = ctypes.CDLL({str(target)!r})
def cycle():
    cpp.leak_new(); cpp.clean_new()
run(cycle)
run(cycle, 400)
answer(address_of(cpp.leak_new))
"""
    child = track(script)

    blocks = child.blocks(300, 400)
    (site,) = set(blocks.sites.tolist())
    assert len(blocks) == 100
    assert 0 < int(child.checkpoint().sites[site]["address"]) - child.answer < 40


def test_objects_above_512_bytes_are_counted_once(track: Track) -> None:
    """They pass the hook of Python's domain and that of malloc, at one address."""
    child = track("run(lambda: kept.append(bytes(5000)))\nanswer()")

    assert [line[:3] for line in child.survivors()] == [[100, 5033, PYTHON_OBJ]]


@pytest.mark.parametrize("allocator", ["malloc", "debug", "malloc_debug", "pymalloc_debug"])
def test_another_allocator_of_python_changes_nothing(track: Track, allocator: str) -> None:
    """The debug hooks are between soak's and malloc and move the address."""
    script = "run(lambda: (kept.append(bytes(5000)), leaky.leak_106()))\nanswer()"

    child = track(script, PYTHONMALLOC=allocator)

    assert [line[:3] for line in child.survivors()] == [[100, 106, NATIVE], [100, 5033, PYTHON_OBJ]]


TRACED = """
#include <mcheck.h>
#include <stdlib.h>
int main(void)
{
    mtrace();
    char *block = malloc(30);
    block = realloc(block, 70);
    free(block);
    free(aligned_alloc(64, 128));
    return 0;
}
"""


def test_a_library_that_checks_memory_goes_on_checking(compiler: str, library: Path, tmp_path: Path) -> None:
    """libc_malloc_debug has only old versions of its functions; without it mtrace and MALLOC_CHECK_ do nothing."""
    (tmp_path / "traced.c").write_text(TRACED)
    subprocess.run([compiler, "-w", "-fno-builtin", "-o", tmp_path / "traced", tmp_path / "traced.c"], check=True)
    checked = {**os.environ, "LD_PRELOAD": "libc_malloc_debug.so.0"}

    with preload.preloading(library, checked) as tracked:
        written = [trace(tmp_path / "traced", environment) for environment in (checked, tracked)]

    if not written[0]:
        pytest.skip("no libc_malloc_debug here")
    assert written[0] == written[1]


def trace(program: Path, environment: dict[str, str]) -> list[str]:
    """Return what mtrace writes of each call of a program, without addresses."""
    output = program.with_suffix(".trace")
    output.unlink(missing_ok=True)
    subprocess.run([program], env={**environment, "MALLOC_TRACE": str(output)}, capture_output=True, check=True)
    lines = output.read_text().splitlines() if output.exists() else []
    return [re.sub("0x[0-9a-f]{6,}", "", line.partition("] ")[2]) for line in lines if line.startswith("@")]


def test_a_realloc_that_fails_leaves_the_block_recorded(track: Track) -> None:
    """The old slot is cleared before the call and put back after it."""
    child = track("run(lambda: leaky.failing_realloc() or os.abort())\nanswer()")

    assert child.survivors() == [[100, 106, NATIVE, None]]


@pytest.mark.parametrize("grow", ["table.append(None)", "leaky.grow(106)", "leaky.grow(600000)"])
def test_a_block_that_is_resized_keeps_its_birth(track: Track, grow: str) -> None:
    """A list's table, a block from malloc and a large one: each is there since cycle 1, however often it moves."""
    child = track(f"table = []\nrun(lambda: {grow})\nanswer()")

    assert [int((child.blocks(*cycles).sizes >= 800).sum()) for cycles in ((1, 2), (2, 200))] == [1, 0]


def test_tracemalloc_that_comes_and_goes_does_not_unhook_us(track: Track) -> None:
    """Code that restores earlier allocators removes soak's hook, if it was installed before."""
    script = """
import tracemalloc
run(lambda: kept.append(object()), 40)
tracemalloc.start(); run(lambda: kept.append(object())); tracemalloc.stop()
answer()
"""
    assert [line[:3] for line in track(script).survivors() if line[0] >= 100] == [[100, 16, PYTHON_OBJ]]


def test_a_hook_that_was_replaced_is_put_back_at_the_next_checkpoint(track: Track) -> None:
    """This is what a program does that sets its own allocators later."""
    script = """
tracker.checkpoint()
class Allocator(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("context", "malloc", "calloc", "realloc", "free")]
raw = Allocator()
ctypes.pythonapi.PyMem_GetAllocator(0, ctypes.byref(raw))
ours = Allocator()
ctypes.pythonapi.PyMem_GetAllocator(1, ctypes.byref(ours))
class Domain(ctypes.Structure):
    _fields_ = [("original", Allocator)]
original = Domain.from_address(ours.context).original
ctypes.pythonapi.PyMem_SetAllocator(1, ctypes.byref(original))
tracker.checkpoint()
run(lambda: None)
answer()
"""
    assert track(script).checkpoint().reinstalled == 1


def test_a_forked_child_leaves_the_parents_ledger_alone(track: Track) -> None:
    """The child continues unrecorded; the parent's ledger stays exact."""
    script = """
def cycle():
    child = os.fork()
    if child == 0:
        kept.extend(bytes(100) for _ in range(100))
        leaky.leak_106()
        os._exit(0 if tracker.checkpoint() == -1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    leaky.leak_106()
run(cycle, 20)
answer()
"""
    assert track(script).survivors(5, 15) == [[10, 106, NATIVE, None]]


def test_threads_that_come_and_go_are_all_counted(track: Track) -> None:
    """Births of threads that have ended stay counted."""
    script = """
import threading
def cycle():
    threads = [threading.Thread(target=leaky.leak_106) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
run(cycle)
answer()
"""
    assert [line for line in track(script).survivors() if line[1] == 106] == [[400, 106, NATIVE, None]]


def test_code_that_is_compiled_anew_in_each_cycle_stays_one_site(track: Track) -> None:
    """Addresses of freed bytecode are used again; the place is told by content."""
    script = """
source = "def f():\\n    return object()\\nkept.append(f())"
run(lambda: exec(compile(source, "made.py", "exec"), {"kept": kept}))
import gc
gc.collect()  # a function and its globals refer to each other
answer()
"""
    lines = track(script).survivors()
    assert [line for line in lines if line[3] and line[3][0] == "made.py"] == [
        [100, 16, PYTHON_OBJ, ["made.py", "f", 2]]
    ]


def test_a_flagged_site_gets_native_and_python_frames(track: Track) -> None:
    """The parent asks, and from the next checkpoint on allocations there are counted under their stack, exactly."""
    script = """
def outer():
    inner()
def inner():
    leaky.leak_106()
run(outer)
answer(address_of(leaky.leak_106))
tracker.checkpoint()
run(outer, 400)
answer()
"""
    child = track(script)
    function = child.answer
    (site,) = set(child.blocks().sites.tolist())

    child.ledger.request_flags([site])
    child.next_answer()

    checkpoint, blocks = child.checkpoint(), child.blocks(300, 400)
    (stacked,) = set(blocks.sites.tolist()) - {site}
    stack = child.ledger.stack(checkpoint, stacked)
    native = [frame.address - function for frame in stack if frame.address is not None]
    assert int(checkpoint.sites[stacked]["parent"]) == site
    assert len(blocks) == 100
    assert native[0] < 40
    assert len(native) > 5
    assert [frame.function for frame in stack if frame.function] == ["inner", "outer", "run", "<module>"]


def test_the_ledger_tells_the_parent_rows_births_and_places(track: Track) -> None:
    """Exact counts of blocks by cycle of birth, and the places of Python."""
    script = "def cycle():\n    kept.append(object())\n    leaky.leak_106()\nrun(cycle)\nrun(lambda: None)\nanswer()"
    child = track(script)

    checkpoint = child.checkpoint()
    rows = checkpoint.rows[(checkpoint.rows["bucket"] > 0) & (checkpoint.rows["domain"] == NATIVE)]
    (site,) = {int(row["site"]) for row in rows if row["live_bytes"] == 106 * row["live_blocks"]}
    leaked = rows[rows["site"] == site]
    blocks = {checkpoint.cycles_of_bucket(int(row["bucket"])): int(row["live_blocks"]) for row in leaked}
    python = [child.ledger.place(checkpoint, int(number)) for number in set(checkpoint.rows["site"])]

    assert sum(blocks.values()) == int(checkpoint.births[site]) == 200
    assert all(count == len(range(max(cycles[0], 1), min(cycles[-1], 200) + 1)) for cycles, count in blocks.items())
    assert any(place and place.function == "cycle" for place in python)
    assert checkpoint.is_complete
    assert checkpoint.sequence == 2


def test_checkpoints_and_marks_cost_no_memory(track: Track) -> None:
    """As many blocks are alive after nine hundred checkpoints as after six hundred."""
    script = """
cell = tracker.cycle
for _ in range(3):
    for _ in range(300):
        cell[0] += 1
        tracker.checkpoint()
    answer()
"""
    child = track(script)
    child.next_answer()
    before = child.checkpoint().live_blocks
    child.next_answer()

    # The numbers in hand at the moment of a count may differ by one.
    assert abs(child.checkpoint().live_blocks - before) / 300 < 0.02


def test_children_are_not_tracked_and_other_preloads_stay(track: Track, library: Path) -> None:
    """Only our own entry is taken out of the environment of the process that calls the hook."""
    other = "libc.so.6"
    script = "import subprocess\nanswer([os.environ.get('LD_PRELOAD'), tracker.reason])"

    assert track(script, LD_PRELOAD=other).answer == [other, None]
    assert track(script).answer == [None, None]


def test_without_preload_the_stand_in_says_why() -> None:
    """A program may call everything; nothing happens."""
    script = (
        "from soak.inside import tracker\n"
        "t = tracker.connect(); t.start(''); t.cycle[0] = 2; t.checkpoint(); t.site_of(1)\n"
        "print(t.active, t.reason)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)

    assert result.stdout == "False the tracker was not preloaded\n"


def test_a_library_in_a_folder_with_spaces_is_reached_by_a_link(library: Path, tmp_path: Path) -> None:
    """The loader splits its variable at spaces and colons."""
    folder = tmp_path / "a folder: with both"
    folder.mkdir()
    moved = Path(shutil.copy(library, folder))
    command = [sys.executable, "-c", "from soak.inside import tracker; print(tracker.connect().active)"]

    with preload.preloading(moved, os.environ) as environment:
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, cwd=ROOT)

    assert result.stdout == "True\n"


def test_a_shim_is_resolved_to_the_interpreter(tmp_path: Path) -> None:
    """A pyenv or conda shim is a shell script that ends in the interpreter."""
    shim = tmp_path / "python"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    shim.chmod(0o755)

    assert preload.real_interpreter(str(shim)) == sys.executable


def test_a_program_that_is_no_python_runs_as_before(library: Path) -> None:
    """The library needs nothing of Python."""
    with preload.preloading(library, os.environ) as environment:
        result = subprocess.run(["sort"], input="b\na\n", capture_output=True, text=True, env=environment, check=True)

    assert result.stdout == "a\nb\n"


def test_without_a_compiler_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Soak can still be installed; it says what it cannot measure."""
    monkeypatch.setenv("PATH", str(tmp_path))

    result: Any = build.build(tmp_path / "library.so")

    assert result == build.NotBuilt("no C compiler (cc) to build the tracker with")
    assert list(tmp_path.iterdir()) == []
