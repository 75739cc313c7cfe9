"""Copies that the tracker makes of a program for a reader: the program notices nothing, and what they hold is named."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from tracked_children import interpreters

from soak.native.layout import COPYING
from soak.probes.ledgers.shadow import Blocks
from soak.probes.ledgers.tables import CopyMade, LiveTables
from soak.running.scanning.copy_reading import CopyRead, UnreadableError, read_copy
from soak.running.scanning.watched import end_copy
from soak.running.watch.preloaded import PreloadedTracker

pytestmark = [pytest.mark.integration, pytest.mark.native]

KEEPING = """
import collections, sys, time

class Order:
    def __init__(self):
        self.body = bytes(700)

class Store:
    def __init__(self):
        self.orders = {}
    def add(self, number):
        self.orders[number] = Order()

class Registry:
    entries = []

def make():
    seen = []
    def note(number):
        seen.append(bytearray(800))
    return note

def default(number, memo=[]):
    memo.append(float(number) + 0.5)

def enter(number):
    Registry.entries.append(bytes(900))

def put(number):
    queue.append(bytes(1000))

def group(number):
    groups["all"].append(bytes(1100))

store, note, queue, groups = Store(), make(), collections.deque(), collections.defaultdict(list)
works = (store.add, note, default, enter, put, group)
number = 0
while True:
    number += 1
    for work in works:
        work(1000 + number)
    if number == 500:
        print("ready", flush=True)
    if number > 500:
        time.sleep(0.005)
"""
HOLDERS = {
    700: "module __main__.store.orders[...].body",
    800: "make.<locals>.note.seen[]",
    900: "Registry.entries[]",
    1000: "module __main__.queue[...]",
    1100: "module __main__.groups['all'][]",
}
"""By the size of a bytes object or a bytearray: the way to it."""
_GROWN_BY = 60
WATCHFUL = """
import os, signal, sys, time
seen = []
signal.signal(signal.SIGCHLD, lambda *_: seen.append("a signal"))
kept = []
def work():
    kept.append(bytes(300))
for number in range(1_000_000):
    work()
    if number == 500:
        print("ready", flush=True)
    try:
        os.waitpid(-1, os.WNOHANG)
        seen.append("a child")
    except ChildProcessError:
        pass
    if seen:
        print(*seen, flush=True)
        break
    time.sleep(0.002)
"""


MOVING = """
import ctypes, time
libc, word = ctypes.CDLL(None), ctypes.c_void_p
libc.malloc.restype = libc.realloc.restype = word
libc.realloc.argtypes = [word, ctypes.c_size_t]
size = 8 * 1000
table = word(libc.malloc(size))
for number in range(1000):
    word.from_address(table.value + 8 * number).value = libc.malloc(48)
print("ready", flush=True)
while True:
    size += 64
    table.value = libc.realloc(table.value, size)
    time.sleep(0.002)
"""
"""Nothing is allocated at the site of the blocks but, again and again, the table that points to them."""


def growing(tables: LiveTables) -> list[int]:
    """Return the sites that have more and more blocks."""
    first = blocks_by_site(tables)
    while True:
        time.sleep(0.01)
        now = blocks_by_site(tables)
        grown = now - np.pad(first, (0, len(now) - len(first)))
        if grown.max() >= _GROWN_BY:
            found: list[int] = np.flatnonzero(grown >= _GROWN_BY // 2).tolist()
            return found


def blocks_by_site(tables: LiveTables) -> NDArray[np.float64]:
    """Count the live blocks of each site, ``(sites,)``."""
    checkpoint = tables.read()
    assert checkpoint is not None
    sites = checkpoint.site_table.owners[checkpoint.rows["site"]]
    return np.bincount(sites, checkpoint.rows["live_blocks"], len(checkpoint.sites))


Sites = Callable[[LiveTables], list[int]]


def full(tables: LiveTables) -> list[int]:
    """Return the sites that have the blocks of MOVING."""
    found: list[int] = np.flatnonzero(blocks_by_site(tables) > 1000).tolist()
    return found


@pytest.fixture
def start(library: Path) -> Iterator[Callable[..., tuple[LiveTables, subprocess.Popen[str]]]]:
    """Start a program with the tracker, wait until it is ready, and have its sites with most blocks flagged."""
    begun: list[tuple[PreloadedTracker, subprocess.Popen[str]]] = []

    def begin(*command: str, sites: Sites = growing) -> tuple[LiveTables, subprocess.Popen[str]]:
        tracker = PreloadedTracker(library, os.environ)
        process = subprocess.Popen(command, env=tracker.environment, stdout=subprocess.PIPE, text=True)
        begun.append((tracker, process))
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        tables = tracker.tables(process.pid)
        assert tables is not None, tracker.reason
        tables.request_flags(sites(tables))
        return tables, process

    yield begin
    for tracker, process in begun:
        process.kill()
        process.communicate()
        tracker.close()


def copied(tables: LiveTables, reader: int) -> CopyMade:
    """Have a program copied, and wait for it."""
    wish = tables.want_copy(reader)
    while (made := tables.copy_made(wish)) is None:
        assert tables.is_there()
        time.sleep(0.001)
    return made


def of_an_early_cycle(blocks: Blocks, sites: NDArray[np.uint32], newest: int) -> Blocks:
    return replace(blocks, cycles=np.ones(len(blocks), np.uint64))


def read(tables: LiveTables, copy: int) -> CopyRead:
    with contextlib.closing(tables.of_copy(copy)) as own:
        return read_copy(own, growing(tables), 100, of_an_early_cycle)


@pytest.mark.parametrize(
    "version",
    [
        pytest.param(version, marks=[] if version in ("3.8", "3.11", "3.13") else pytest.mark.long)
        for version in interpreters()
    ],
)
def test_who_holds_objects_is_named_from_the_memory_alone(start, version: str):
    tables, process = start(interpreters()[version], "-c", KEEPING)
    ways: dict[int, str] = {}
    all_ways = set()
    for _ in range(3):  # as a watch does: a container that is just being made larger has no name
        copy = copied(tables, os.getpid()).pid
        assert copy is not None
        try:
            found = read(tables, copy)
        finally:
            end_copy(copy)
        for answer in found.answers.values():
            chain = answer.chain
            size = int(chain[-1].what.rpartition(" ")[2].replace(",", "")) if " of " in chain[-1].what else 0
            way = "".join("[]" if link.name[1:-1].isdigit() else link.name for link in chain)
            ways.setdefault(size, way)
            all_ways.add(way)

    assert {size: ways.get(size) for size in HOLDERS} == HOLDERS
    assert "default.__defaults__[0][]" in all_ways
    assert process.poll() is None
    assert {scan.held == scan.survivors for scan in found.sites.values() if scan.survivors > 400} == {True}


def test_what_a_table_holds_that_is_just_being_moved_does_not_seem_lost(start):
    tables, _ = start(sys.executable, "-c", MOVING, sites=full)
    sites = [site for site in full(tables) if tables.place(tables.read(), site).address is not None]
    for _ in range(3):
        copy = copied(tables, os.getpid()).pid
        assert copy is not None
        with contextlib.closing(tables.of_copy(copy)) as own:
            found = read_copy(own, sites, 100, of_an_early_cycle)
        end_copy(copy)

        assert {len(scan.lost) for scan in found.sites.values() if scan.survivors >= 1000} == {0}


def test_the_program_sees_neither_a_child_nor_a_signal(start):
    tables, process = start(sys.executable, "-c", WATCHFUL)
    for _ in range(3):
        made = copied(tables, os.getpid())
        assert made.pid is not None
        assert made.took_s >= made.busy_s >= 0
        end_copy(made.pid)
    fds = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
    copied_again = copied(tables, os.getpid()).pid
    assert copied_again is not None
    assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) == fds
    end_copy(copied_again)

    assert psutil.Process(process.pid).children() == []
    assert process.poll() is None


def test_a_copy_ends_with_its_reader_and_the_program_goes_on(start):
    tables, process = start(sys.executable, "-c", WATCHFUL)
    reader = subprocess.Popen(["sleep", "600"])
    copy = copied(tables, reader.pid).pid
    assert copy is not None
    assert psutil.pid_exists(copy)

    reader.send_signal(signal.SIGKILL)
    reader.wait()

    wait_until_it_has_ended(copy)
    before = copied(tables, os.getpid()).pid  # it goes on to allocate
    assert before is not None
    end_copy(before)
    assert process.poll() is None


def test_a_copy_ends_with_the_program(start):
    tables, process = start(sys.executable, "-c", WATCHFUL)
    copy = copied(tables, os.getpid()).pid
    assert copy is not None

    process.kill()
    process.wait()

    wait_until_it_has_ended(copy)


def wait_until_it_has_ended(pid: int) -> None:
    """Wait; one that its parent has not waited for yet has ended too."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.005)


def test_what_a_copy_held_that_ended_meanwhile_does_not_seem_lost(start):
    tables, _ = start(sys.executable, "-c", KEEPING)
    copy = copied(tables, os.getpid()).pid
    assert copy is not None

    def end_it(blocks: Blocks, sites: NDArray[np.uint32], newest: int) -> Blocks:
        end_copy(copy)
        wait_until_it_has_ended(copy)
        return of_an_early_cycle(blocks, sites, newest)

    with contextlib.closing(tables.of_copy(copy)) as own, pytest.raises(UnreadableError):
        read_copy(own, growing(tables), 100, end_it)


def test_a_program_that_filters_its_system_calls_is_not_copied(start):
    program = WATCHFUL.replace("kept = []", FILTERS, 1)
    tables, process = start(sys.executable, "-c", program)

    assert copied(tables, os.getpid()).pid is None
    assert process.poll() is None


FILTERS = """
import ctypes
libc = ctypes.CDLL(None)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
allow = (6).to_bytes(2, "little") + bytes(2) + (0x7FFF0000).to_bytes(4, "little")
program = Program(1, allow)
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, ctypes.byref(program)) == 0
kept = []
"""


def test_nothing_is_wanted_of_a_program_of_which_no_copy_was_asked_for(start):
    tables, _ = start(sys.executable, "-c", WATCHFUL)

    with Path(f"/proc/{tables.pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(tables.places.copying)
        words = np.frombuffer(memory.read(COPYING.itemsize), COPYING)[0]

    assert words.tolist() == (0,) * len(words)
