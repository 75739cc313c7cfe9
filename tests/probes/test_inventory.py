"""What a process has open, by kind and name, in real child processes that hold one of each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from soak.probes.inventory import Inventory, OpenItem, describe_new, read_inventory

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="there is no /proc here"),
]

HOLDER = """
import ctypes, os, select, socket, subprocess, sys, tempfile, threading
folder, libc, kept, waiting = sys.argv[1], ctypes.CDLL(None), [], threading.Event()
def bound(family, kind, address):
    made = socket.socket(family, kind)
    made.bind(address)
    kept.append(made)
    return made
print("ready", flush=True)
sys.stdin.readline()
os.chdir(folder)
kept.append(open("file", "w"))
kept.append(open("gone", "w")); os.remove("gone")
kept.append(os.open(folder, os.O_RDONLY))
kept.append(os.open("/dev/zero", os.O_RDONLY))
os.mkfifo("fifo"); kept.append(os.open("fifo", os.O_RDWR))
kept.append(libc.memfd_create(b"in memory", 0))
kept.append(select.epoll())
kept.append(libc.eventfd(0, 0))
os.pipe()
server = bound(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)); server.listen(1)
client = socket.create_connection(server.getsockname()); kept.append(client)
bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
bound(socket.AF_UNIX, socket.SOCK_STREAM, os.path.join(folder, "socket")).listen(1)
kept.append(socket.socket())
kept.append(subprocess.Popen(["sleep", "60"]))
kept.append(subprocess.Popen(["true"]))
os.waitid(os.P_PID, kept[-1].pid, os.WEXITED | os.WNOWAIT)
thread = threading.Thread(target=waiting.wait, name="the one that waits", daemon=True); thread.start()
print(server.getsockname()[1], client.getsockname()[1], thread.native_id, flush=True)
sys.stdin.readline()
kept[-2].kill()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.communicate("\n")


def opened(process: subprocess.Popen[str]) -> list[int]:
    """Let the holder open everything, and return the numbers that it tells."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return [int(number) for number in process.stdout.readline().split()]


def test_each_thing_is_told_by_what_it_is_and_its_name(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    """Files by their path, sockets by protocol and addresses, processes by their command."""
    before = read_inventory(holder.pid)

    server, client, thread = opened(holder)
    found = describe_new(holder.pid, before, (), {thread: "the one that waits"})

    assert sorted((item.type, item.name) for item in found if item.kind == "file-descriptor") == sorted(
        [
            ("file", f"{tmp_path}/file"),
            ("deleted file", f"{tmp_path}/gone"),
            ("folder", str(tmp_path)),
            ("device", "/dev/zero"),
            ("named pipe", f"{tmp_path}/fifo"),
            ("memory file", "in memory"),
            ("epoll", ""),
            ("eventfd", ""),
            ("pipe", ""),
            ("pipe", ""),
            ("tcp socket", f"listening on 127.0.0.1:{server}"),
            ("tcp socket", f"127.0.0.1:{client} → 127.0.0.1:{server}"),
            *((item.type, item.name) for item in found if item.type == "udp socket"),
            ("unix socket", f"{tmp_path}/socket"),
            ("socket", ""),
        ]
    )
    assert [item.name.rpartition(":")[0] for item in found if item.type == "udp socket"] == ["127.0.0.1"]
    assert [(item.type, item.name) for item in found if item.kind == "child-process"] == [
        ("process", "sleep 60"),
        ("zombie process", "true"),
    ]
    assert [item for item in found if item.kind == "thread"] == [
        OpenItem("thread", thread, "thread", "the one that waits")
    ]


def test_what_was_there_before_is_left_out_unless_it_was_opened_again(holder: subprocess.Popen[str]) -> None:
    """The same number with the same target may be another opening; the tracker can say so."""
    opened(holder)
    before = read_inventory(holder.pid)
    number = max(before.descriptors)

    assert describe_new(holder.pid, before) == ()
    assert [item.number for item in describe_new(holder.pid, before, [number])] == [number]


def test_a_number_that_points_to_something_else_is_new(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    """Closed, and its number given to the next."""
    opened(holder)
    now = read_inventory(holder.pid)
    (number,) = [number for number, link in now.descriptors.items() if link == f"{tmp_path}/file"]
    before = Inventory({**now.descriptors, number: "/etc/hosts"}, now.threads, now.children)

    assert [item.name for item in describe_new(holder.pid, before)] == [f"{tmp_path}/file"]


def test_of_very_many_the_newest_are_listed(holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest show what leaks; the time for a list is limited."""
    opened(holder)
    everything = read_inventory(holder.pid)

    monkeypatch.setattr("soak.probes.inventory.MOST_LISTED", 3)

    assert sorted(read_inventory(holder.pid).descriptors) == sorted(everything.descriptors)[-3:]


def test_a_thread_without_a_name_of_pythons_has_the_kernels(holder: subprocess.Popen[str]) -> None:
    """What the system calls it: the program's name, where nobody gave it another."""
    before = read_inventory(holder.pid)
    opened(holder)

    (thread,) = [item for item in describe_new(holder.pid, before) if item.kind == "thread"]
    assert thread.name


def test_a_process_that_is_gone_has_nothing_open() -> None:
    """It may end between two looks."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    assert read_inventory(process.pid) == Inventory()
    assert describe_new(process.pid, Inventory()) == ()
