"""Planted leaks: each is exactly what it says, counted by what would find it. In a process of its own each time."""

from __future__ import annotations

import pytest
from inside_builder import ask_python

from soak.inside.injection import MAKERS
from soak.request import INJECTED_KINDS

COUNT = """
import gc, json, os, sys, tracemalloc
from soak.inside import injection
from soak.inside.counting import counters

def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name + ":"))

COUNTERS = {
    "heap": lambda: counters.read_malloc().uordblks + counters.read_malloc().hblkhd,
    "blocks": counters.read_python_blocks,
    "gc_objects": counters.count_gc_objects,
    "fds": lambda: len(os.listdir("/proc/self/fd")),
    "threads": lambda: len(os.listdir("/proc/self/task")),
    "mapped_kib": lambda: status("VmSize"),
    "resident_kib": lambda: status("VmRSS"),
    "traced": lambda: tracemalloc.get_traced_memory()[0],
}
kind, size, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
leak = injection.make_leak(kind, size)
collecting = gc.isenabled()
gc.disable()
def plant():
    for _ in range(times):
        leak()
plant()  # warm
grown = {}
for name in sys.argv[4:]:
    read = COUNTERS[name]
    if name == "traced":
        tracemalloc.start()  # last: it takes heap for each block itself
    differences = []
    for _ in range(5 if name == "heap" else 3):
        before = read(); plant(); after = read()
        differences.append(after - before)
    # After two rounds the numbers themselves take as many blocks before as after. Of the heap the median of three,
    # because the last block that fits into a hole of it may be 16 bytes larger than the others.
    counted = sorted(differences[2:])
    grown[name] = counted[len(counted) // 2]
collected = gc.collect()
sys.stdout.write(json.dumps({**grown, "collecting": collecting, "collected": collected}))
sys.stdout.flush()
os._exit(0)
"""


def grown_by(kind: str, size: int, times: int, *counters: str) -> dict[str, float]:
    """Plant ``times`` leaks and return what each counter grew by, per leak."""
    counted = ask_python(COUNT, kind, str(size), str(times), *counters)
    return {name: counted[name] / times for name in counters}


def test_every_kind_that_can_be_asked_for_can_be_planted():
    assert set(MAKERS) == {*INJECTED_KINDS, "control"}  # which is soak's own


@pytest.mark.parametrize(("requested", "allocated"), [(1, 32), (24, 32), (25, 48), (97, 112), (104, 112), (105, 128)])
def test_native_takes_what_malloc_gives_for_its_size(requested: int, allocated: int):
    """106 B is not 128 B: the heap counter sees the chunk; Python sees nothing."""
    assert grown_by("native", requested, 1000, "heap", "blocks") == {"heap": allocated, "blocks": 0}


def test_native_of_106_bytes_takes_128():
    assert grown_by("native", 106, 1000, "heap") == {"heap": 128}


def test_native_touches_its_memory():
    """It becomes resident, as in a real leak: 128 MB in 1000 blocks, within one page each."""
    assert grown_by("native", 128 * 1024 - 64, 1000, "resident_kib")["resident_kib"] == pytest.approx(128, abs=5)


@pytest.mark.parametrize("kind", ["object", "lost-reference"])
@pytest.mark.parametrize("size", [16, 34, 106, 512])
def test_an_object_is_one_block_of_its_size(kind: str, size: int):
    """It is held by a list made beforehand, or by nothing: only the object grows, not malloc's heap."""
    assert grown_by(kind, size, 500, "blocks", "heap", "traced") == {"blocks": 1, "heap": 0, "traced": size}


@pytest.mark.parametrize("size", [1, 33])
def test_an_object_of_a_size_that_no_bytes_have_is_the_smallest_there_is(size: int):
    assert grown_by("object", size, 500, "blocks", "traced") == {"blocks": 1, "traced": 16}


def test_an_object_is_held_beyond_the_slots_made_beforehand():
    """After 131,072 of them a second list is begun; none is dropped."""
    assert grown_by("object", 40, 140_000, "blocks")["blocks"] == pytest.approx(1, abs=1e-4)


def test_a_cycle_stays_because_collection_is_off_and_goes_when_it_runs():
    """A list, its items and a payload: three blocks of the size asked for, one of them seen by gc."""
    counted = ask_python(COUNT, "cycle", "200", "500", "blocks", "gc_objects", "traced")

    assert counted["collecting"] is False
    assert (counted["blocks"], counted["gc_objects"], counted["traced"]) == (1500, 500, 500 * 200)
    assert counted["collected"] >= 2000


def test_a_lost_reference_is_beyond_collection():
    assert ask_python(COUNT, "lost-reference", "106", "500", "blocks")["collected"] == 0


@pytest.mark.parametrize("count", [1, 3])
def test_descriptors_are_counted_not_measured(count: int):
    assert grown_by("fd", count, 50, "fds", "threads") == {"fds": count, "threads": 0}


@pytest.mark.parametrize("count", [1, 3])
def test_threads_are_counted_not_measured(count: int):
    """They wait for ever, and do not keep the process from ending."""
    assert grown_by("thread", count, 20, "threads", "fds") == {"threads": count, "fds": 0}


def test_a_mapping_is_mapped_and_touched():
    grown = grown_by("mmap", 65536, 100, "mapped_kib", "resident_kib", "blocks")

    assert (grown["mapped_kib"], grown["blocks"]) == (64, 0)
    assert grown["resident_kib"] == pytest.approx(64, abs=2)


@pytest.mark.parametrize("kind", sorted(set(MAKERS) - {"cycle"}))
def test_only_a_cycle_turns_collection_off(kind: str):
    code = "import gc, json; from soak.inside.injection import make_leak; import sys; make_leak(sys.argv[1], 1)"

    assert ask_python(f"{code}; print(json.dumps(gc.isenabled()))", kind) is True


def test_planting_imports_nothing_that_a_bare_process_lacks():
    """The measured process imports no module but ctypes, beside those that read its counters."""
    code = (
        "import json, sys; import ctypes; from soak.inside.counting import counters; before = set(sys.modules);"
        "from soak.inside import injection;"
        "[injection.make_leak(kind, 50) for kind in injection.MAKERS];"
        "print(json.dumps(sorted(set(sys.modules) - before - {'soak.inside.injection'})))"
    )

    assert set(ask_python(code)) <= {"__future__", "_thread", "gc"}
