"""Who opened a descriptor, or started a thread or a process: noted by the preload, and read from the ledger's file."""

from __future__ import annotations

import platform

import pytest
from tracked_children import PRELUDE, Track, Tracked, interpreters

from soak.native.ledger import Frame, Opening

pytestmark = [pytest.mark.native, pytest.mark.integration]

SEES_VFORK = platform.machine() == "x86_64"
DESCRIPTORS = {
    "open": "libc.open(b'/dev/null', 0)",
    "open64": "libc.open64(b'/dev/null', 0)",
    "openat": "libc.openat(-100, b'/dev/null', 0)",
    "openat64": "libc.openat64(-100, b'/dev/null', 0)",
    "__open_2": "libc.__open_2(b'/dev/null', 0)",
    "creat": "libc.creat(b'made', 0o600)",
    "open with a mode": "libc.open(b'made too', os.O_CREAT | os.O_WRONLY, 0o640)",
    "mkstemp": "libc.mkstemp(ctypes.create_string_buffer(b'XXXXXX'))",
    "memfd_create": "libc.memfd_create(b'name', 0)",
    "dup": "libc.dup(0)",
    "dup2": "libc.dup2(0, 200)",
    "dup3": "libc.dup3(0, 201, 0)",
    "fcntl": "libc.fcntl(0, 0, 210)",
    "socket": "libc.socket(1, 1, 0)",
    "socketpair": "[libc.socketpair(1, 1, 0, two), two[0], two[1]][1:]",
    "pipe": "[libc.pipe(two), two[0], two[1]][1:]",
    "pipe2": "[libc.pipe2(two, 0), two[0], two[1]][1:]",
    "accept": "accepted(libc.accept, None, None)",
    "accept4": "accepted(libc.accept4, None, None, 0)",
    "epoll_create1": "libc.epoll_create1(0)",
    "eventfd": "libc.eventfd(0, 0)",
    "timerfd_create": "libc.timerfd_create(1, 0)",
    "inotify_init1": "libc.inotify_init1(0)",
    "signalfd": "libc.signalfd(-1, ctypes.create_string_buffer(128), 0)",
    "fopen": "libc.fileno(ctypes.c_void_p(libc.fopen(b'/dev/null', b'r')))",
    "tmpfile": "libc.fileno(ctypes.c_void_p(libc.tmpfile()))",
    "popen": "libc.fileno(ctypes.c_void_p(libc.popen(b'true', b'r')))",
    "opendir": "libc.dirfd(ctypes.c_void_p(libc.opendir(b'/')))",
}
CALLS = """
import socket, tempfile
temporary = tempfile.TemporaryDirectory(); os.chdir(temporary.name)
libc = ctypes.CDLL(None)
for name in ("fopen", "tmpfile", "popen", "opendir"):
    getattr(libc, name).restype = ctypes.c_void_p
two = (ctypes.c_int * 2)()
servers = []

def accepted(function, *arguments):
    server = socket.socket(socket.AF_UNIX)
    server.bind("socket-%d" % len(servers))
    server.listen(1)
    client = socket.socket(socket.AF_UNIX)
    client.connect(server.getsockname())
    servers.append((server, client))
    return function(server.fileno(), *arguments)
"""


def read(child: Tracked) -> tuple[dict[int, Opening], dict[int, Opening], dict[int, list[Frame]]]:
    """Return the openings of descriptors and of tasks, and the Python frames of each site."""
    checkpoint = child.checkpoint()
    descriptors, tasks = child.ledger.openings()
    sites = {opening.site for opening in (*descriptors.values(), *tasks.values())}
    frames = {site: [frame for frame in child.ledger.stack(checkpoint, site) if frame.function] for site in sites}
    return descriptors, tasks, frames


@pytest.mark.parametrize("version", interpreters())
def test_every_function_that_opens_a_descriptor_is_noted_with_its_line(track: Track, version: str) -> None:
    """Of each its descriptor, the cycle and the line of Python that called."""
    calls = "".join(f"    found[{name!r}] = {call}\n" for name, call in DESCRIPTORS.items())
    script = f"{CALLS}\nfound = {{}}\ndef cycle():\n{calls}run(cycle, 1)\nanswer(found)"

    child = track(script, interpreters()[version])

    descriptors, _, frames = read(child)
    first_line = PRELUDE.count("\n") + script[: script.index("    found[")].count("\n") + 1
    for line, (name, opened) in enumerate(child.answer.items(), first_line):
        for number in opened if isinstance(opened, list) else [opened]:
            assert number > 0, name
            assert descriptors[number].cycle == 1, name
            in_cycle = [frame.line for frame in frames[descriptors[number].site] if frame.function == "cycle"]
            assert (name, in_cycle) == (name, [line])


def test_what_is_opened_before_the_first_cycle_is_not_noted(track: Track) -> None:
    """Imports and setup open hundreds of files; none of them leaks in a cycle."""
    child = track(f"{CALLS}\nlibc.dup(0)\ntracker.checkpoint()\nanswer()")

    descriptors, tasks, _ = read(child)
    assert (descriptors, tasks) == ({}, {})


def test_the_modes_and_arguments_of_variadic_functions_arrive(track: Track) -> None:
    """A mode only where a file is made; a lock's structure by fcntl."""
    script = f"""{CALLS}
os.umask(0)
libc.open(b"with", os.O_CREAT | os.O_WRONLY, 0o641)
libc.openat(-100, b"at", os.O_CREAT | os.O_WRONLY, 0o604)
import fcntl
with open("with", "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    flags = fcntl.fcntl(file, fcntl.F_GETFD)
answer([os.stat("with").st_mode & 0o777, os.stat("at").st_mode & 0o777, flags])
"""
    assert track(script).answer == [0o641, 0o604, 1]


def test_a_failure_keeps_its_errno_and_is_not_noted(track: Track) -> None:
    """The caller must see why the call failed."""
    script = """
libc = ctypes.CDLL(None, use_errno=True)
def cycle():
    kept.append([libc.open(b"/no such", 0), ctypes.get_errno()])
run(cycle, 1)
answer(kept)
"""
    child = track(script)

    assert child.answer == [[-1, 2]]
    descriptors, tasks, _ = read(child)
    assert (descriptors, tasks) == ({}, {})


@pytest.mark.parametrize("version", interpreters())
def test_threads_and_processes_are_noted_by_the_kernels_number(track: Track, version: str) -> None:
    """By pthread_create, fork, posix_spawn, and the vfork or fork of subprocess."""
    script = """
import subprocess, threading
closing = threading.Event()
def cycle():
    thread = threading.Thread(target=closing.wait); thread.start(); kept.append(thread.native_id)
    forked = os.fork() or os._exit(0); kept.append(forked)
    kept.append(os.posix_spawn("/bin/true", ["true"], {}))
    kept.append(subprocess.Popen(["/bin/true"]).pid)
    kept.append(subprocess.Popen(["/bin/true"], start_new_session=True, cwd="/").pid)
run(cycle, 3)
closing.set()
answer(kept)
"""
    child = track(script, interpreters()[version], PYTHONWARNINGS="ignore")

    _, tasks, frames = read(child)
    first_line = PRELUDE.count("\n") + script[: script.index("    thread =")].count("\n") + 1
    for place, number in enumerate(child.answer):
        if number not in tasks and place % 5 >= 3 and not SEES_VFORK:
            continue
        in_cycle = [frame.line for frame in frames[tasks[number].site] if frame.function == "cycle"]
        assert (tasks[number].cycle, in_cycle) == (1 + place // 5, [first_line + place % 5])


def test_vfork_gives_both_ends_their_way_back(track: Track, spawner: str) -> None:
    """The child runs on its parent's stack, calls and returns there; then the parent continues its own call."""
    script = f"""
code = ctypes.CDLL({spawner!r})
answers = []
def cycle():
    answers.append([code.status_of_vforked(status) for status in (0, 7, 42)])
run(cycle, 300)
answer([answers[0], len(set(map(tuple, answers)))])
"""
    assert track(script).answer == [[0, 7, 42], 1]


def test_what_a_child_opens_before_exec_is_not_its_parents(track: Track, spawner: str) -> None:
    """A child of vfork writes into its parent's memory: its descriptors must not stand in the table."""
    script = f"""
code = ctypes.CDLL({spawner!r})
mine = os.dup(0)
def cycle():
    code.opens_in_vforked()
    if os.fork() == 0:
        os.dup(0)
        os._exit(0)
run(cycle, 3)
answer(mine)
"""
    descriptors, tasks, _ = read(track(script))

    assert descriptors == {}
    assert len(tasks) == (6 if SEES_VFORK else 3)


def test_more_threads_than_there_are_places_for_all_run(track: Track) -> None:
    """Hundreds that start at once from several threads: each gets its own routine and argument."""
    script = """
import threading
seen = []
def starts(base):
    threads = [threading.Thread(target=seen.append, args=(base + i,)) for i in range(100)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
def cycle():
    starters = [threading.Thread(target=starts, args=(1000 * i,)) for i in range(8)]
    [thread.start() for thread in starters]
    [thread.join() for thread in starters]
run(cycle, 2)
answer(sorted(seen) == sorted(2 * [1000 * i + j for i in range(8) for j in range(100)]))
"""
    assert track(script).answer is True


def test_stacks_that_are_many_leave_the_last_ones_their_line(track: Track) -> None:
    """The stacks of one line are limited to 256; what is opened there after that still has the line."""
    script = """
import itertools
ways = itertools.product((0, 1), repeat=9)
def cycle():
    for way in ways:
        body = "os.dup(0)"
        for turn in way:
            body = ("(lambda: %s)()" if turn else "[%s for _ in (1,)][0]") % body
        kept.append(eval(body))
    kept.append(last())
def last():
    return os.dup(0)
run(cycle, 1)
answer(kept[-1])
"""
    child = track(script)

    descriptors, _, frames = read(child)
    assert [frame.function for frame in frames[descriptors[child.answer].site]][:2] == ["last", "cycle"]
    assert len(descriptors) == 513
