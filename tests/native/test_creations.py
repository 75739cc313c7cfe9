"""What a program creates outside itself: noted by the preload with its line, and taken out when it is removed."""

from __future__ import annotations

import threading
import time

import pytest
from tracked_children import PRELUDE, Track, Tracked, interpreters

from soak.native import layout
from soak.native.ledger import Creation

pytestmark = [pytest.mark.native, pytest.mark.integration]

PRIVATE = "0, 0o1600"
CREATED = {
    "open": ("libc.open(b'a1', os.O_CREAT | os.O_WRONLY, 0o600)", "a1"),
    "open64": ("libc.open64(b'a2', os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)", "a2"),
    "openat": ("libc.openat(folder, b'a3', os.O_CREAT | os.O_WRONLY, 0o600)", "in/a3"),
    "openat64": ("libc.openat64(-100, b'a4', os.O_CREAT | os.O_WRONLY, 0o600)", "a4"),
    "creat": ("libc.creat(b'a5', 0o600)", "a5"),
    "fopen": ("libc.fopen(b'a6', b'w')", "a6"),
    "fopen64": ("libc.fopen64(b'a7', b'ax')", "a7"),
    "mkstemp": ("libc.mkstemp(ctypes.create_string_buffer(b'm1XXXXXX'))", "m1*"),
    "mkostemps": ("libc.mkostemps(ctypes.create_string_buffer(b'm2XXXXXX.c'), 2, 0)", "m2*"),
    "mkdtemp": ("libc.mkdtemp(ctypes.create_string_buffer(b'm3XXXXXX'))", "m3*"),
    "mkdir": ("libc.mkdir(b'd1', 0o700)", "d1"),
    "mkdirat": ("libc.mkdirat(folder, b'd2', 0o700)", "in/d2"),
    "mkfifo": ("libc.mkfifo(b'f1', 0o600)", "f1"),
    "symlink": ("libc.symlink(b'nowhere', b's1')", "s1"),
    "link": ("libc.link(b'there', b'l1')", "l1"),
    "bind": ("socket.socket(socket.AF_UNIX).bind('b1')", "b1"),
    "shm_open": ("libc.shm_open(b'/%s-1' % own, os.O_CREAT | os.O_RDWR, 0o600)", "/dev/shm/*-1"),
    "sem_open": ("libc.sem_open(b'/%s-2' % own, os.O_CREAT, 0o600, 1)", "/dev/shm/sem.*-2"),
    "mq_open": ("libc.mq_open(b'/%s-3' % own, os.O_CREAT | os.O_RDWR, 0o600, small)", "/*-3"),
    "shmget": (f"segments.append(libc.shmget(0, 64, {PRIVATE[3:]}))", ""),
    "semget": (f"semaphores.append(libc.semget(0, 1, {PRIVATE[3:]}))", ""),
    "msgget": (f"queues.append(libc.msgget({PRIVATE}))", ""),
}
REMOVE = """
    for name in os.listdir("in"):
        (os.rmdir if name.startswith("d") else os.unlink)(name, dir_fd=folder)
    for name in os.listdir("."):
        if name not in ("in", "there"):
            (libc.rmdir if os.path.isdir(name) else libc.remove)(name.encode())
    libc.shm_unlink(b"/%s-1" % own), libc.sem_unlink(b"/%s-2" % own), libc.mq_unlink(b"/%s-3" % own)
    libc.shmctl(segments[0], 0, None), libc.semctl(semaphores[0], 0, 0), libc.msgctl(queues[0], 0, None)
"""
CALLS = """
import socket, tempfile
home = tempfile.TemporaryDirectory()
os.chdir(home.name)
os.mkdir("in")
folder = os.open("in", os.O_RDONLY)
open("there", "w").close()
own = b"soak-test-%d" % os.getpid()
libc = ctypes.CDLL(None, use_errno=True)
for name in ("fopen", "fopen64", "mkdtemp", "sem_open"):
    getattr(libc, name).restype = ctypes.c_void_p
small = (ctypes.c_long * 8)(0, 1, 8)
segments, semaphores, queues = [], [], []
"""


def taken(child: Tracked) -> tuple[Creation, ...]:
    found = child.ledger.take_creations()
    assert found.lost == 0
    return found.new


def matches(name: str, pattern: str) -> bool:
    start, _, end = pattern.partition("*")
    return name.endswith(pattern) if start == pattern else start in name and name.endswith(end)


@pytest.mark.parametrize("version", sorted({*list(interpreters())[:1], *list(interpreters())[-1:]}))
def test_every_function_that_creates_is_noted_with_its_line_until_it_is_removed(track: Track, version: str) -> None:
    calls = "".join(f"    {call}\n" for call, _ in CREATED.values())
    script = f"{CALLS}\ndef cycle():\n{calls}\ndef remove():{REMOVE}\nrun(cycle, 1)\nanswer()\nrun(remove, 1)\nanswer()"
    again = f"{CALLS}\ndef both():\n{calls}{REMOVE}\nrun(both, 1)\nanswer()"

    child, repaired = track(script, interpreters()[version]), track(again, interpreters()[version])

    first_line = PRELUDE.count("\n") + script[: script.index(calls)].count("\n") + 1
    found, checkpoint = taken(child), child.checkpoint()
    for line, (creation, (name, (_, path))) in enumerate(zip(found, CREATED.items(), strict=True), first_line):
        frames = child.ledger.stack(checkpoint, creation.site)
        assert (name, [f.line for f in frames if f.function == "cycle"]) == (name, [line])
        assert (name, creation.cycle, creation.is_forked) == (name, 1, False)
        assert matches(creation.name, path), (name, creation.name)
    assert taken(child) == ()
    child.next_answer()
    assert taken(repaired) == ()


def test_what_was_there_or_is_not_kept_is_not_noted(track: Track) -> None:
    """Before the first cycle; a file that is opened again; a failure, which keeps its errno; one without a name."""
    script = f"""{CALLS}
open("setup", "w").close()
def cycle():
    open("there", "w").close()
    kept.append([libc.mkdir(b"in", 0o700), ctypes.get_errno()])
    kept.append([libc.open(b"no/such", os.O_CREAT, 0o600), ctypes.get_errno()])
    kept.append([libc.shm_open(b"/a/b", os.O_CREAT | os.O_RDWR, 0o600), ctypes.get_errno()])
    tempfile.TemporaryFile().close()
    libc.memfd_create(b"name", 0)
run(cycle, 1)
answer(kept)
"""
    child = track(script)

    assert taken(child) == ()
    assert child.answer == [[-1, 17], [-1, 2], [-1, 22]]


def test_what_is_renamed_keeps_its_line_and_says_whether_it_replaces(track: Track) -> None:
    script = f"""{CALLS}
def cycle():
    open("new", "w").close()
    os.rename("new", "newer")
    open("other", "w").close()
    os.replace("other", "there")
    os.mkdir("moved")
def later():
    os.rename("moved", "elsewhere")
run(cycle, 1)
answer()
run(later, 1)
answer()
"""
    child = track(script)

    first = taken(child)
    stacks = [child.ledger.stack(child.checkpoint(), creation.site) for creation in first]
    lines = [frame.line or 0 for stack in stacks for frame in stack if frame.function == "cycle"]
    child.next_answer()
    second = taken(child)

    kinds = [(creation.kind, creation.name.rpartition("/")[2]) for creation in (*first, *second)]
    assert kinds == [
        (layout.CREATED_PATH, "newer"),
        (layout.CREATED_REPLACING, "there"),
        (layout.CREATED_PATH, "moved"),
        (layout.CREATED_MOVED, "elsewhere"),
    ]
    assert [line - lines[0] for line in lines] == [0, 2, 4]
    assert second[0].number == first[2].number


def test_more_than_fit_between_two_looks_are_counted_as_lost(track: Track) -> None:
    script = f"""{CALLS}
def cycle():
    for number in range(1030):
        os.mkdir("d%d" % number)
run(cycle, 1)
answer()
"""
    found = track(script).ledger.take_creations()

    assert (len(found.new), found.lost) == (layout.CREATIONS_LIMIT, 6)


def test_a_forked_child_is_noted_without_its_line(track: Track) -> None:
    script = f"""{CALLS}
def cycle():
    child = os.fork()
    if not child:
        os.mkdir("by-the-child")
        os.mkdir("and-removed")
        os.rmdir("and-removed")
        os._exit(0)
    os.waitpid(child, 0)
run(cycle, 1)
answer()
"""
    (found,) = taken(track(script))

    assert (found.name.rpartition("/")[2], found.is_forked, found.site) == ("by-the-child", True, 0)


@pytest.mark.long
def test_threads_that_create_and_remove_leave_exactly_what_they_kept(track: Track) -> None:
    """The parent takes entries over meanwhile, as at checkpoints."""
    script = f"""{CALLS}
import threading
def work(thread):
    for number in range(1500):
        os.mkdir("t%d-%d" % (thread, number))
        if number % 10:
            os.rmdir("t%d-%d" % (thread, number))
def cycle():
    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
    [one.start() for one in threads]
    [one.join() for one in threads]
answer()
run(cycle, 1)
answer()
"""
    child = track(script)
    going_on = threading.Thread(target=child.next_answer)
    going_on.start()
    found = []
    while going_on.is_alive():
        found += taken(child)
        time.sleep(0.001)
    found += taken(child)

    names = [creation.name.rpartition("/")[2] for creation in found]
    kept = [name for name in names if name.endswith("0")]
    assert sorted(kept) == sorted(f"t{thread}-{number}" for thread in range(4) for number in range(0, 1500, 10))
    assert len(set(names)) == len(names)
