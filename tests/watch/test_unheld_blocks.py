"""Blocks that no program holds are found in a program that goes on: cached names and garbage, never what is held."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tracked_children import interpreters

from soak.probes.interpreter.look_ups import are_cached_names
from soak.probes.ledgers.tables import LiveTables
from soak.probes.memory import ProcessMemory
from soak.running.watch.preloaded import PreloadedTracker

pytestmark = [pytest.mark.integration, pytest.mark.native]

VERSIONS = [version for version in ("3.9", "3.11", "3.12", "3.13") if version in interpreters()]
"""In 3.9 equal names have one entry of the cache."""
COUNT, FREE = 100, 60
KEPT = {
    "kept": 12,
    "kept by its peer": 5,
    "kept, weakly known to itself": 2,
    "kept by a generator": 12,
    "kept after a list of garbage": 1,
    "kept tables": 1,
    "kept names": 1,
}
"""Each of so many is kept in another way, and has at least so many blocks that are held."""
PROGRAM = """
import gc, json, sys, weakref
gc.disable()
kept = []

class Connection:
    def __init__(self, number):
        self.read = self.receive
        self.peers = [("127.0.0.1", 40000 + number), {"number": float(number)}]
        self.send = lambda: self

    def receive(self):
        pass

class Watched:
    def __init__(self):
        self.own = weakref.ref(self)

class Slotted:
    __slots__ = ("other",)

def connect(number):
    return Connection(number)

def look_up():
    return json.loads('{"a": 1}', object_hook=hook)

def hook(found):
    return found

def held_by_generator():
    pair = connect(1)
    yield
    pair.read()

def popped():
    shrunk = []
    shrunk.append(shrunk)
    for _ in range(COUNT):
        shrunk.append(Slotted())
    for _ in range(COUNT):
        kept.append(shrunk.pop())

def make(kind):
    if kind == "garbage":
        for number in range(COUNT):
            connect(number)
    elif kind == "kept":
        kept.extend(connect(number) for number in range(COUNT))
    elif kind == "kept by its peer":
        for number in range(COUNT):
            kept.append(connect(number).peers)
    elif kind == "kept, weakly known to itself":
        kept.extend(Watched() for _ in range(COUNT))
    elif kind == "kept by a generator":
        for _ in range(COUNT):
            waiting = held_by_generator()
            next(waiting)
            kept.append(waiting)
    elif kind == "kept after a list of garbage":
        popped()
    elif kind == "garbage of old dicts":
        for number in range(FREE):
            connect(number)
    elif kind == "free tables":
        dicts = [{"number": number} for number in range(FREE)]
        dicts.clear()
    elif kind == "kept tables":
        kept.extend({"number": number} for number in range(COUNT))
    elif kind == "names":
        kept.extend(look_up() for _ in range(2 * COUNT))
    elif kind == "kept names":
        for number in range(COUNT):
            kept.append("name %d" % number)

COUNT, FREE = int(sys.argv[1]), 60
look_up()
if "garbage of old dicts" in sys.argv:
    dicts = [{} for _ in range(2 * FREE)]
    dicts.clear()
print("started", flush=True)
sys.stdin.readline()
connect(1)
for collects in sys.stdin:
    if "collect" in collects:
        gc.collect(0)  # a full collection would empty the free lists
    for kind in sys.argv[2:]:
        make(kind)
    print("made", flush=True)
"""

Unheld = Callable[..., tuple[int, int]]


@pytest.fixture
def unheld(library: Path, tmp_path: Path) -> Iterator[Unheld]:
    """Run a program of some kinds; return how many blocks are alive that it has made, and how many nothing holds."""
    begun: list[tuple[PreloadedTracker, subprocess.Popen[str]]] = []

    def run(version: str, *kinds: str, collects: bool = True) -> tuple[int, int]:
        (tmp_path / "program.py").write_text(PROGRAM)
        tracker = PreloadedTracker(library, os.environ)
        command = [interpreters()[version], "program.py", str(COUNT), *kinds]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, env=tracker.environment, cwd=tmp_path, stdin=pipe, stdout=pipe, text=True, bufsize=1
        )
        begun.append((tracker, process))
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        tables = tracker.tables(process.pid)
        assert isinstance(tables, LiveTables)
        process.stdin.write("\n")
        for cycle, asked in enumerate(("make", "collect" if collects else "make"), 1):
            tables.set_cycle(cycle)
            process.stdin.write(f"{asked}\n")
            assert process.stdout.readline() == "made\n"
            checkpoint = tables.read()
            assert checkpoint is not None
            made = checkpoint.rows[checkpoint.rows["bucket"] > 0]
            gone = tables.unheld(set(np.unique(made["site"]).tolist()))
        return int(made["live_blocks"].sum()), int(gone["live_blocks"][gone["bucket"] > 0].sum())

    yield run
    for tracker, process in begun:
        process.kill()
        process.communicate()
        tracker.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_garbage_that_waits_for_a_collection_is_held_by_nothing(version: str, unheld: Unheld):
    alive, waiting = unheld(version, "garbage")

    assert alive > 8 * COUNT
    assert waiting > 0.9 * alive


@pytest.mark.parametrize("version", VERSIONS)
def test_garbage_is_found_where_its_dicts_are_older_because_they_were_free_before(version: str, unheld: Unheld):
    alive, waiting = unheld(version, "garbage of old dicts")

    assert alive > 8 * FREE
    assert waiting > 0.9 * alive


@pytest.mark.parametrize("version", VERSIONS)
def test_tables_of_dicts_that_are_kept_for_the_next_are_held_by_nothing(version: str, unheld: Unheld):
    alive, waiting = unheld(version, "free tables")

    assert waiting >= 1.5 * FREE
    assert alive - waiting < FREE


@pytest.mark.parametrize("version", VERSIONS)
def test_garbage_that_is_never_collected_stays(version: str, unheld: Unheld):
    alive, waiting = unheld(version, "garbage", collects=False)

    assert alive > 16 * COUNT
    assert waiting < 0.05 * alive


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_kept_is_held(version: str, unheld: Unheld):
    alive, waiting = unheld(version, *KEPT)

    assert alive - waiting >= 2 * sum(KEPT.values()) * COUNT


@pytest.mark.parametrize("version", [version for version in VERSIONS if version != "3.9"])
def test_names_that_only_the_cache_of_look_ups_keeps_are_held_by_nothing(version: str, unheld: Unheld):
    alive, waiting = unheld(version, "names")

    assert alive > 4 * COUNT
    assert COUNT / 2 < waiting < alive - 4 * COUNT


def test_of_a_process_that_has_just_ended_no_name_is_known():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    memory = ProcessMemory(process.pid)
    process.communicate(b"\n")

    found = are_cached_names(memory, np.array([1 << 20, 1 << 21], np.uint64))

    memory.close()
    assert found.tolist() == [False, False]
