"""What lives below a process: real processes, and command lines as multiprocessing writes them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from soak.probes.descendants import MOST_LISTED, Descendant, read_descendants, short_command
from soak.probes.portable import PsutilReader

PYTHON = "/opt/python/bin/python3"
SPAWNED = (
    f"{PYTHON} -c from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=6, pipe_handle=8) "
    "--multiprocessing-fork"
)
FORKSERVER = f"{PYTHON} -c from multiprocessing.forkserver import main; main(8, 9, ['__main__'], **{{}})"


@contextmanager
def a_program(text: str) -> Iterator[int]:
    """Run a program that says when it is ready; end it, and so its children, when its input closes."""
    with subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        yield program.pid


def settled(read: Callable[[], tuple[Descendant, ...]], expected: int) -> tuple[Descendant, ...]:
    """Read until there are as many as expected, for processes need a moment to begin."""
    until_s = time.monotonic() + 20
    while len(found := read()) != expected and time.monotonic() < until_s:
        time.sleep(0.02)
    return found


READY = "print('ready', flush=True); sys.stdin.read()"
FORKS = f"""
import os, signal, sys, threading
def start():
    if os.fork() == 0:
        if os.fork() == 0:
            signal.pause()
        signal.pause()
os.setpgid(0, 0)
threading.Thread(target=lambda: (start(), sys.stdin.read())).start()
gone = os.fork()
if gone == 0: os._exit(0)
os.waitid(os.P_PID, gone, os.WEXITED | os.WNOWAIT)
{READY}
os.killpg(0, signal.SIGKILL)
"""


@pytest.mark.parametrize("reader", [read_descendants, lambda pid: PsutilReader(pid).read_descendants()])
def test_children_of_every_thread_and_theirs_are_read_and_zombies_are_not(reader):
    with a_program(FORKS) as pid:
        found = settled(lambda: reader(pid), 2)

        assert [process.parent for process in found] == [pid, found[0].pid]
        assert [process.command for process in found] == [f"{Path(sys.executable).name}, forked"] * 2
        assert all(process.rss_bytes > 2**20 for process in found)
        assert reader(pid)[0].started == found[0].started


@pytest.mark.parametrize(
    ("method", "name"),
    [("fork", "forked"), ("spawn", "spawned by multiprocessing"), ("forkserver", "by multiprocessing's fork server")],
)
def test_workers_of_multiprocessing_are_named_and_its_helpers_are_left_out(tmp_path, method: str, name: str):
    text = f"import multiprocessing, sys\npool = multiprocessing.get_context({method!r}).Pool(2)\n"
    with a_program(f"{text}pool.map(abs, range(9))\n{READY}\npool.terminate()") as pid:
        found = settled(lambda: read_descendants(pid), 2)

        assert len(found) == 2
        assert all(process.command.endswith(name) for process in found)


def test_no_more_than_64_are_listed():
    count = MOST_LISTED + 6
    start = f"import os, signal, sys\nfor _ in range({count}):\n    if os.fork() == 0: signal.pause()\n"
    with a_program(f"import os\nos.setpgid(0, 0)\n{start}{READY}\nos.killpg(0, signal.SIGKILL)") as pid:
        assert len(read_descendants(pid)) == MOST_LISTED


def test_a_process_that_is_gone_has_none():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()

    assert read_descendants(process.pid) == ()


@pytest.mark.parametrize(
    ("line", "parents_line", "name"),
    [
        (f"{PYTHON} app.py", f"{PYTHON} app.py", "python3, forked"),
        (SPAWNED, f"{PYTHON} app.py", "python3, spawned by multiprocessing"),
        (FORKSERVER, FORKSERVER, "python3, started by multiprocessing's fork server"),
        ("/usr/bin/node server.js --port 80", f"{PYTHON} app.py", "node server.js --port 80"),
        ("node " + 100 * "x", "", "node " + 54 * "x" + "…"),
    ],
)
def test_a_process_has_a_short_name(line: str, parents_line: str, name: str):
    assert short_command(line, parents_line) == name
