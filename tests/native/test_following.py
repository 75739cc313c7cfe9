"""Processes that a program starts: each goes on recording, and is found and read from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tracked_children import ROOT, interpreters

from soak.native.layout import PYTHON_OBJ, STATE_NO_PYTHON, STATE_PYTHON_DOMAINS, TablePlaces
from soak.native.preload import preloading
from soak.probes.descendants import read_descendants
from soak.probes.ledgers.announcements import Announcements
from soak.probes.ledgers.followed import Followed
from soak.probes.ledgers.packed import read_counted
from soak.probes.ledgers.tables import LiveTables, places_in
from soak.probes.memory import ProcessMemory
from soak.probes.resident import read_resident

pytestmark = [pytest.mark.integration, pytest.mark.native]

PRELUDE = """
import os, sys
sys.path.insert(0, {root!r})
from soak.inside import tracker as hook
tracker = hook.connect()
ledger = os.memfd_create("ledger")
tracker.start(f"/proc/{{os.getpid()}}/fd/{{ledger}}", {follow!r})
kept = []
class Token:
    __slots__ = ()
def keep(count):
    kept.extend([Token() for _ in range(count)])
def wait():
    print("waits", flush=True)
    sys.stdin.readline()
"""
FORKED = """
keep(3000)
child = os.fork()
if child == 0:
    keep(2000)
    wait()
    os._exit(0)
os.waitpid(child, 0)
"""
CAT = """
import subprocess
cat = subprocess.Popen(["cat"], stdin=-1, stdout=-1)
cat.stdin.write(b"echo\\n")
cat.stdin.flush()
cat.stdout.readline()
wait()
cat.communicate()
"""


class Program:
    """A program that is followed, up to where it waits."""

    def __init__(self, library: Path, python: str, script: str, *, follows: bool) -> None:
        self.announcements = Announcements()
        text = PRELUDE.format(root=str(ROOT), follow=self.announcements.path if follows else "") + script
        with preloading(library, os.environ) as environment:
            self.process = subprocess.Popen(
                [python, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
            assert self.process.stdout is not None
            assert self.process.stdout.readline() == "waits\n"

    def go_on(self) -> None:
        """Let it go on to where it waits again."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "waits\n"

    def places(self) -> dict[int, TablePlaces | None]:
        """Return where the tables of each process that the program has started are."""
        followed = Followed(self.announcements)
        return {one.pid: followed.places(one) for one in read_descendants(self.process.pid)}

    def tables(self) -> LiveTables:
        """Return those of the only process that it has started."""
        (places,) = self.places().values()
        assert places is not None
        return LiveTables(places)

    def end(self) -> None:
        self.process.communicate("\n")
        self.announcements.close()


Start = Callable[..., Program]


@pytest.fixture
def start(library: Path) -> Iterator[Start]:
    """Start a script in an interpreter; after the test it must end well."""
    programs: list[Program] = []

    def begin(script: str, python: str = sys.executable, *, follows: bool = True) -> Program:
        programs.append(Program(library, python, script, follows=follows))
        return programs[-1]

    yield begin
    for program in programs:
        program.end()
        assert program.process.returncode == 0


def tokens(tables: LiveTables) -> int:
    """Return how many objects of the function that keeps them are alive."""
    checkpoint = tables.read()
    assert checkpoint is not None
    assert checkpoint.is_complete
    found = 0
    for row in checkpoint.rows[checkpoint.rows["domain"] == PYTHON_OBJ]:
        place = tables.place(checkpoint, int(row["site"]))
        if place is not None and place.function in ("keep", "keep.<locals>.<listcomp>", "<listcomp>"):
            found += int(row["live_blocks"])
    return found


@pytest.mark.parametrize("version", interpreters())
def test_a_forked_child_goes_on_with_what_was_alive_and_adds_its_own(start: Start, version: str):
    program = start(FORKED, interpreters()[version])

    child = program.tables()
    parents = program.announcements.of(program.process.pid)
    assert parents is not None
    parent = LiveTables(parents)

    assert tokens(child) == pytest.approx(5000, abs=8)
    assert tokens(parent) == pytest.approx(3000, abs=8)
    child.close()
    parent.close()


PACKED = """
import time
keep(200_000)
tracker.checkpoint()
for _ in range(20):
    time.sleep(0.05)
    tracker.checkpoint()
child = os.fork()
if child == 0:
    del kept[:50_000]
    keep(2000)
    wait()
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_forked_child_has_the_blocks_that_its_parent_has_packed(start: Start):
    program = start(PACKED)
    child = program.tables()

    leaves = child._leaves()
    assert (read_counted(child._memory, leaves)["packed"] > 0).any()
    assert tokens(child) == pytest.approx(152_000, abs=8)
    assert child.saved_bytes > 0
    child.close()


IN_CHILD = """
if child == 0:
    wait()
    del kept[:50_000]
    wait()
    os._exit(0)
os.waitpid(child, 0)
"""


def test_what_a_forked_child_uses_again_of_packed_tables_is_no_growth(start: Start):
    program = start(PACKED.partition("if child")[0] + IN_CHILD)
    child = program.tables()
    child.read()
    before_bytes, packed_bytes = resident_bytes(child), child.saved_bytes

    program.go_on()
    child.read()
    used_bytes, left_bytes = resident_bytes(child), child.saved_bytes

    assert packed_bytes - left_bytes > 100_000
    assert used_bytes - before_bytes > 100_000
    assert used_bytes + left_bytes - before_bytes - packed_bytes == pytest.approx(0, abs=65_536)
    child.close()


def test_a_process_may_end_while_its_packed_tables_are_read(start: Start):
    program = start(PACKED)
    child = program.tables()
    child.read()
    saved_bytes = child.saved_bytes
    pieces = child._slots()
    next(pieces)

    os.kill(child.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while child.is_there():
        assert time.monotonic() < deadline
        time.sleep(0.01)

    assert all(len(words) for _, words in pieces)
    assert child.saved_bytes == saved_bytes
    assert child.read() is None
    child.close()


def resident_bytes(tables: LiveTables) -> int:
    """Return the resident memory of the tracker in a process."""
    memory = ProcessMemory(tables.pid)
    own = [(int(area["start"]), int(area["end"])) for area in tables._ranges()]
    areas = read_resident(memory, memory.pid, own).areas
    memory.close()
    return sum(area.rss_bytes for area in areas if area.is_own)


def test_the_child_of_a_child_is_found(start: Start):
    program = start("if os.fork() == 0:" + FORKED.replace("\n", "\n    ") + "os._exit(0)\nos.wait()")

    places = list(program.places().values())

    assert len(places) == 2
    assert all(place is not None for place in places)


def test_a_child_knows_the_line_that_forked_it(start: Start):
    program = start("def spawn():\n    return os.fork()\nif spawn() == 0:\n    wait()\n    os._exit(0)\nos.wait()")
    tables = program.tables()

    checkpoint = tables.read()

    assert checkpoint is not None
    place = tables.place(checkpoint, tables.places.forked_at)
    assert place is not None
    assert (place.function, place.line) == ("spawn", PRELUDE.count("\n") + 2)
    tables.close()


def test_another_program_of_python_is_followed_and_one_in_c_too(start: Start):
    script = """
import subprocess
code = "import sys; held = [object() for _ in range(4000)]; print('waits', flush=True); sys.stdin.readline()"
child = subprocess.Popen({command})
child.wait()
"""
    python = start(script.format(command="[sys.executable, '-c', code]")).tables()
    in_c = start(CAT).tables()

    assert python.read() is not None
    assert python.state & STATE_PYTHON_DOMAINS
    assert in_c.read() is not None
    assert in_c.state & STATE_NO_PYTHON
    python.close()
    in_c.close()


def test_nothing_is_followed_where_that_was_not_asked_for(start: Start):
    program = start(FORKED, follows=False)

    assert list(program.places().values()) == [None]
    assert program.announcements.of(program.process.pid) is None


def test_births_in_a_child_are_told_by_the_cycle_that_the_reader_sets(start: Start):
    program = start(FORKED.replace("    wait()", "    wait()\n    keep(700)\n    wait()"))
    (places,) = program.places().values()
    assert places is not None
    tables = LiveTables(places)
    tables.cycles_from = tables.born_with_it = 40
    before = tables.read()
    assert before is not None
    assert set(before.rows["bucket"].tolist()) == {0}

    tables.set_cycle(43)
    assert program.process.stdin is not None
    assert program.process.stdout is not None
    program.process.stdin.write("\n")
    program.process.stdin.flush()
    assert program.process.stdout.readline() == "waits\n"
    after = tables.read()

    assert after is not None
    assert int(after.rows["live_blocks"][after.rows["bucket"] == 3].sum()) >= 700
    tables.close()


def test_a_child_collects_its_garbage_when_the_reader_wants_it(start: Start):
    """Soon after the next allocation at a flagged site; without it the thousand cycles wait for a collection."""
    script = """
import gc
gc.set_threshold(100000)
class Ring:
    def __init__(self):
        self.own = self
def work():
    for _ in range(1000):
        Ring()
    kept.append(Ring())
child = os.fork()
if child == 0:
    work(); wait(); work(); wait(); os._exit(0)
os.waitpid(child, 0)
"""
    program = start(script)
    tables = program.tables()
    first = tables.read()
    assert first is not None
    sites = [site for site in set(first.rows["site"].tolist()) if _function(tables, first, site) == "work"]
    tables.request_flags(sites)
    tables.want_collection()

    assert program.process.stdin is not None
    assert program.process.stdout is not None
    program.process.stdin.write("\n")
    program.process.stdin.flush()
    assert program.process.stdout.readline() == "waits\n"
    second = tables.read()

    assert second is not None
    assert second.live_blocks < first.live_blocks + 1500
    tables.close()


def _function(tables: LiveTables, checkpoint, site: int) -> str | None:
    place = tables.place(checkpoint, site)
    return None if place is None else place.function


def test_a_child_of_vfork_is_not_taken_for_its_parent(start: Start):
    program = start(FORKED)
    parents = program.announcements.of(program.process.pid)
    assert parents is not None

    assert places_in(program.process.pid, parents.own_at) == parents
    assert places_in(os.getpid(), parents.own_at) is None


@pytest.mark.parametrize("forks", [300, pytest.param(10_000, marks=pytest.mark.long)])
def test_many_forks_leave_nothing(start: Start, forks: int):
    """Neither blocks nor leaves nor sites of the parent's tables grow with the children that come and go."""
    script = f"""
def fork():
    child = os.fork()
    if child == 0:
        keep(5)
        os._exit(0)
    os.waitpid(child, 0)
for _ in range(20): fork()
wait()
for _ in range({forks}): fork()
wait()
"""
    program = start(script)
    places = program.announcements.of(program.process.pid)
    assert places is not None
    tables = LiveTables(places)
    first = tables.read()
    assert program.process.stdin is not None
    assert program.process.stdout is not None
    program.process.stdin.write("\n")
    program.process.stdin.flush()
    assert program.process.stdout.readline() == "waits\n"
    second = tables.read()

    assert first is not None
    assert second is not None
    assert second.live_blocks - first.live_blocks < 20
    assert len(second.sites) - len(first.sites) < 60
    assert len(second.ranges) - len(first.ranges) <= 1
    tables.close()
