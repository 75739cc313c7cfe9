"""Readings from outside, of a process that does exactly what the test says."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from soak.measurements import SIGNALS
from soak.probes import outside
from soak.probes.limits import read_hidden_limits, read_limits
from soak.probes.outside import LinuxReader, ScriptedReader, open_reader
from soak.probes.portable import PsutilReader

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

OBEDIENT = """
import mmap, os, socket, subprocess, sys, threading, _thread
kept = []
lock = _thread.allocate_lock(); lock.acquire()
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


class Obedient:
    """A process that runs one line of Python at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def do(self, line: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


@contextmanager
def an_obedient_process() -> Iterator[Obedient]:
    with subprocess.Popen(
        [sys.executable, "-c", OBEDIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        obedient = Obedient(process)
        obedient.do("pass")
        yield obedient
        process.kill()


@pytest.fixture
def obedient() -> Iterator[Obedient]:
    with an_obedient_process() as process:
        yield process


def test_descriptors_are_counted_exactly(obedient: Obedient):
    reader = LinuxReader(obedient.pid)
    before = reader.read_counts()["fds"]

    obedient.do("kept += [os.dup(0) for _ in range(17)]")
    risen = reader.read_counts()["fds"]
    obedient.do("[os.close(kept.pop()) for _ in range(12)]")

    assert risen - before == 17
    assert reader.read_counts()["fds"] - before == 5


def test_threads_are_counted_exactly(obedient: Obedient):
    reader = LinuxReader(obedient.pid)
    assert reader.read_counts()["threads"] == 1

    obedient.do("[_thread.start_new_thread(lock.acquire, ()) for _ in range(9)]")

    assert reader.read_counts()["threads"] == 10


def test_children_are_counted_exactly(obedient: Obedient):
    """This includes processes that ended and were not waited for: a zombie keeps its place."""
    reader = LinuxReader(obedient.pid)
    assert reader.read_counts()["children"] == 0

    obedient.do("kept = [subprocess.Popen(['true']) for _ in range(3)]")
    unwaited = reader.read_counts()["children"]
    obedient.do("[child.wait() for child in kept]")

    assert unwaited == 3
    assert reader.read_counts()["children"] == 0


def test_children_of_other_threads_are_counted(obedient: Obedient):
    """Linux lists them with the thread that made them; with many threads they are recounted from time to time."""
    reader = LinuxReader(obedient.pid)
    obedient.do(
        "done = threading.Event(); "
        "go = lambda: (kept.append(subprocess.Popen(['true'])), done.set(), lock.acquire()); "
        "threading.Thread(target=go, daemon=True).start(); done.wait()"
    )
    assert reader.read_counts()["children"] == 1

    obedient.do("[_thread.start_new_thread(lock.acquire, ()) for _ in range(60)]")

    assert reader.read_counts()["children"] == 1
    obedient.do("kept.pop().wait()")
    assert reader.read_details()["children"] == 0
    assert reader.read_counts()["children"] == 0


def test_mapped_and_resident_memory_are_told_apart(obedient: Obedient):
    """8 MiB mapped are mapped at once and resident when they are written."""
    reader = LinuxReader(obedient.pid)
    before = reader.read_counts()

    obedient.do("area = mmap.mmap(-1, 2**23)")
    mapped = reader.read_counts()
    obedient.do("area[:] = bytes(1) * 2**23")
    written = reader.read_counts()

    assert mapped["mapped"] - before["mapped"] == pytest.approx(2**23, abs=2**18)
    assert mapped["rss"] - before["rss"] == pytest.approx(0, abs=2**19)
    assert written["rss"] - mapped["rss"] >= 2**23 - 2**18


def test_details_divide_resident_memory(obedient: Obedient):
    """Unique below proportional below resident; nothing is swapped out of a process this young."""
    reader = LinuxReader(obedient.pid)

    details, counts = reader.read_details(), reader.read_counts()

    assert set(details) == {"pss", "uss", "swap", "children"}
    assert 0 < details["uss"] <= details["pss"] <= counts["rss"] * 1.1
    assert details["swap"] == 0


def test_descriptors_are_described_by_what_they_point_to(obedient: Obedient):
    """Files by path; sockets and pipes together, for each has a number of its own."""
    reader = LinuxReader(obedient.pid)
    before = reader.describe_fds()

    obedient.do("kept = [os.open('/dev/null', os.O_RDONLY) for _ in range(4)] + [socket.socket() for _ in range(3)]")

    after = reader.describe_fds()
    assert after.get("/dev/null", 0) - before.get("/dev/null", 0) == 4
    assert after["socket"] - before.get("socket", 0) == 3
    assert before["pipe"] >= 2


def test_of_very_many_descriptors_the_newest_are_described(obedient: Obedient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outside, "_DESCRIBED_FDS", 256)
    obedient.do("kept = [os.dup(0) for _ in range(100)] + [os.open('/dev/null', os.O_RDONLY) for _ in range(256)]")

    assert LinuxReader(obedient.pid).describe_fds() == {"/dev/null": 256}


def test_every_reading_has_a_signal():
    reader = LinuxReader(os.getpid())

    assert set(reader.read_counts()) == {"rss", "mapped", "threads", "fds", "children"}
    assert {*reader.read_counts(), *reader.read_details()} <= set(SIGNALS)


def test_a_process_that_is_gone_gives_nothing_and_raises_nothing():
    with an_obedient_process() as process:
        pid = process.pid

    for reader in (LinuxReader(pid), LinuxReader(2**22 - 1)):
        assert reader.read_counts() == {}
        assert reader.read_details() == {}
        assert reader.describe_fds() == {}


def test_both_readers_agree(obedient: Obedient):
    """The portable one, for systems without /proc, reads the same of a process that stands still."""
    obedient.do("kept = [os.dup(0) for _ in range(5)]")
    linux, portable = LinuxReader(obedient.pid).read_counts(), PsutilReader(obedient.pid).read_counts()

    assert portable == linux
    assert PsutilReader(obedient.pid).read_details().keys() >= {"pss", "uss", "swap"}


def test_the_portable_reader_survives_the_end_of_its_process():
    with an_obedient_process() as process:
        reader = PsutilReader(process.pid)

    assert reader.read_counts() == {}
    assert reader.read_details() == {}
    assert reader.describe_fds() == {}


def test_this_machine_is_read_through_proc():
    assert isinstance(open_reader(os.getpid()), LinuxReader)


def test_the_scripted_reader_gives_what_it_was_given_and_then_nothing():
    """It is for tests; it reads no process."""
    reader = ScriptedReader([{"rss": 1.0}, {"rss": 2.0}], details=[{"pss": 3.0}])

    assert [reader.read_counts() for _ in range(3)] == [{"rss": 1.0}, {"rss": 2.0}, {}]
    assert [reader.read_details() for _ in range(2)] == [{"pss": 3.0}, {}]
    assert reader.describe_fds() == {}


def test_limits_are_those_of_the_process(obedient: Obedient):
    """Soft limits, by the signal that runs into them; changed by the process itself, they are read anew."""
    obedient.do("import resource")
    obedient.do("resource.setrlimit(resource.RLIMIT_NOFILE, (77, 99))")
    obedient.do("resource.setrlimit(resource.RLIMIT_AS, (2**40, resource.RLIM_INFINITY))")

    limits = read_limits(obedient.pid)

    assert limits["fds"] == 77
    assert limits["mapped"] == 2**40
    assert 0 < limits["rss"] <= psutil.virtual_memory().total
    assert limits["children"] == limits["threads"] <= int(Path("/proc/sys/kernel/pid_max").read_text())


def test_a_limit_that_is_not_set_is_absent(obedient: Obedient):
    assert "mapped" not in read_limits(obedient.pid)


def test_the_kernels_other_rooms_are_those_of_the_machine():
    rooms = read_hidden_limits()

    assert rooms["fds"] == int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    assert rooms["mapped"] == mmap.PAGESIZE * int(Path("/proc/sys/vm/max_map_count").read_text())


def test_the_limits_of_a_process_that_is_gone_are_the_machines():
    with an_obedient_process() as process:
        pid = process.pid

    assert set(read_limits(pid)) == {"rss", "threads", "children"}


def test_threads_and_children_are_told_apart(obedient: Obedient):
    """Those of other threads as well, and zombies."""
    reader = LinuxReader(obedient.pid)
    obedient.do(
        "done = threading.Event(); "
        "go = lambda: (kept.append(subprocess.Popen(['sleep', '60'])), done.set(), lock.acquire()); "
        "threading.Thread(target=go, daemon=True).start(); done.wait()"
    )
    before = reader.read_living()

    obedient.do("kept.append(subprocess.Popen(['true'])); _thread.start_new_thread(lock.acquire, ())")
    after = reader.read_living()
    obedient.do("[(child.kill(), child.wait()) for child in kept]")

    assert [len(before[name]) for name in ("threads", "children")] == [2, 1]
    assert [len(after[name] - before[name]) for name in ("threads", "children")] == [1, 1]
    assert all(before[name] < after[name] for name in before)
    assert reader.read_living()["children"] == frozenset()


def test_too_many_to_be_read_are_not_told_apart(obedient: Obedient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outside, "_MOST_TOLD_APART", 2)
    reader = LinuxReader(obedient.pid)
    obedient.do("kept += [subprocess.Popen(['true']) for _ in range(3)]")
    assert set(reader.read_living()) == {"threads"}

    obedient.do("[_thread.start_new_thread(lock.acquire, ()) for _ in range(2)]")

    assert reader.read_living() == {}


def test_of_a_process_that_has_ended_nobody_lives():
    with an_obedient_process() as process:
        reader = LinuxReader(process.pid)
    assert reader.read_living() == {}
