"""What is read of the tracker's tables from outside: exact counts of a program that stands still."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tracked_children import interpreters

from soak.attribution.native.symbols import Symbols
from soak.native.layout import (
    NATIVE,
    PYTHON_OBJ,
    STACK_SITE,
    STATE_NATIVE,
    STATE_PYTHON_DOMAINS,
    STATE_PYTHON_LINES,
    TABLES,
)
from soak.native.ledger import Checkpoint
from soak.probes.ledgers.tables import LiveTables, parse_places
from soak.running.watch.preloaded import PreloadedTracker

pytestmark = [pytest.mark.integration, pytest.mark.native]

Start = Callable[..., tuple[LiveTables, subprocess.Popen[str]]]

HOLDING = """
import time
class Token:
    __slots__ = ("number",)
    def __init__(self, number):
        self.number = number
def fill():
    return [Token(n) for n in range(5000)]
held = fill()
print("held", flush=True)
time.sleep(60)
"""


MAKING = """
import time
class Box:
    def __init__(self):
        self.data = bytearray(1000)
kept = [Box() for _ in range(1000)]
print("held", flush=True)
while True:
    kept.append(Box())
    time.sleep(0.001)
"""


@pytest.fixture
def start(library: Path) -> Iterator[Start]:
    """Start a command with the tracker, and wait until it says that it has allocated everything."""
    begun: list[tuple[PreloadedTracker, subprocess.Popen[str]]] = []

    def begin(*command: str) -> tuple[LiveTables, subprocess.Popen[str]]:
        tracker = PreloadedTracker(library, os.environ)
        process = subprocess.Popen(command, env=tracker.environment, stdout=subprocess.PIPE, text=True)
        begun.append((tracker, process))
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        tables = tracker.tables(process.pid)
        assert tables is not None, tracker.reason
        return tables, process

    yield begin
    for tracker, process in begun:
        process.kill()
        process.communicate()
        tracker.close()


def live_at(tables: LiveTables, checkpoint: Checkpoint, function: str, domain: int) -> tuple[int, int]:
    """Add up the live blocks and bytes of all sites in a function."""
    symbols = Symbols(Path(f"/proc/{tables.pid}/maps").read_text(encoding="utf-8"))
    blocks = size = 0
    for row in checkpoint.rows[checkpoint.rows["domain"] == domain]:
        place = tables.place(checkpoint, int(row["site"]))
        assert place is not None or row["site"] == 1
        if place is None:
            continue
        named = symbols.locate(place.address).function if place.address is not None else place.function
        if named == function:
            blocks, size = blocks + int(row["live_blocks"]), size + int(row["live_bytes"])
    return blocks, size


@pytest.mark.parametrize(("count", "size"), [(1000, 48), (3, 700_000), (1, 5 << 20)])
def test_every_block_of_a_call_site_is_counted_with_the_bytes_asked_for(start: Start, watched: Path, count, size):
    tables, _ = start(str(watched), "hold", str(count), str(size))

    checkpoint = tables.read()

    assert checkpoint is not None
    assert checkpoint.is_complete
    assert live_at(tables, checkpoint, "take_header", NATIVE) == (count, count * size)
    assert tables.state & STATE_NATIVE


@pytest.mark.parametrize("version", interpreters())
def test_a_python_that_knows_nothing_of_soak_has_lines(start: Start, version: str):
    tables, _ = start(interpreters()[version], "-c", HOLDING)

    checkpoint = tables.read()

    assert checkpoint is not None
    assert tables.state & STATE_PYTHON_DOMAINS
    assert tables.state & STATE_PYTHON_LINES
    functions = ("fill", "<listcomp>", "Token.__init__", "__init__", "fill.<locals>.<listcomp>")
    blocks = sum(live_at(tables, checkpoint, function, PYTHON_OBJ)[0] for function in functions)
    assert blocks >= 5000
    assert blocks < 12_000  # a token and perhaps an integer each


@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_a_stack_through_init_has_frames_of_the_program_alone(start: Start, version: str):
    """From 3.12 on CPython has a frame of its own between a class and its ``__init__``."""
    if version not in interpreters():
        pytest.skip(f"there is no CPython {version}")
    tables, _ = start(interpreters()[version], "-c", MAKING)
    checkpoint = tables.read()
    assert checkpoint is not None
    numbers = np.unique(checkpoint.rows["site"]).tolist()
    places = {number: tables.place(checkpoint, number) for number in numbers}
    tables.request_flags([site for site, place in places.items() if place is not None and place.line == 5])
    deadline_s = time.monotonic() + 60
    stacks: list[int] = []
    while not stacks and time.monotonic() < deadline_s:
        time.sleep(0.01)
        checkpoint = tables.read()
        assert checkpoint is not None
        stacks = np.flatnonzero(checkpoint.sites["kind"] == STACK_SITE).tolist()

    assert stacks
    assert {frame.file for stack in stacks for frame in tables.stack(checkpoint, stack)} <= {None, "<string>"}
    assert "__init__" not in tables.python_files(checkpoint)


def test_flagged_sites_get_their_stacks_without_anybody_inside(start: Start, watched: Path):
    tables, process = start(str(watched), "hold", "10", "48")
    places = tables.read()
    assert places is not None
    site = int(places.rows["site"][np.argmax(places.rows["live_blocks"])])

    tables.request_flags([site])
    flagged = tables.read()

    assert flagged is not None
    assert [int(number) for number in np.flatnonzero(flagged.sites["flags"] & 1)] == [site]
    assert process.poll() is None


def test_a_process_that_has_ended_has_no_tables_any_more(start: Start, watched: Path):
    tables, process = start(str(watched), "hold", "10", "48")
    assert tables.is_there()
    process.send_signal(signal.SIGKILL)
    process.wait()

    assert not tables.is_there()
    assert tables.read() is None


@pytest.mark.parametrize("content", [b"", b"soaktabl", bytes(TABLES.itemsize), b"x" * TABLES.itemsize])
def test_what_no_library_wrote_gives_no_places(content: bytes):
    assert parse_places(content) is None
