"""What is left behind: which things count, by their place and name, and whether they are still there."""

from __future__ import annotations

import ctypes
import os
import socket
import tempfile
from pathlib import Path

import pytest

from soak.native.layout import CREATED_MESSAGES, CREATED_PATH, CREATED_QUEUE, CREATED_SEGMENT, CREATED_SEMAPHORES
from soak.native.ledger import Creation
from soak.probes.left_behind import Presence, name_of, type_of


def created(name: str = "", kind: int = CREATED_PATH, *, number: int = 0, device: int = 0) -> Creation:
    return Creation(kind, name, number, device, 7, 1, is_forked=False)


def of_file(path: Path) -> Creation:
    found = path.lstat()
    return created(str(path), number=found.st_ino, device=found.st_dev)


@pytest.mark.parametrize(
    ("path", "type_"),
    [
        ("/dev/shm/psm_1a2b", "shared-memory segment"),
        ("/dev/shm/sem.mine", "POSIX semaphore"),
        ("/run/app/state", "run-time file"),
        ("/run/lock/app", "run-time file"),
        ("/tmp/anything.dat", "temporary file"),
        ("/var/tmp/anything.dat", "temporary file"),
        ("/scratch/anything.dat", "temporary file"),
        ("/home/me/tmpa1b2c3d4", "temporary file"),
        ("/home/me/tmpa1b2c3d4.csv", "temporary file"),
        ("/tmp/mine/out.tmp", "temporary file"),
        ("/tmp/mine/jobs/7.lock", "lock file"),
        ("/home/me/.lock", "lock file"),
        ("/home/me/.#notes.txt", "lock file"),
        ("/home/me/app.pid", "pid file"),
        ("/tmp/mine/out-7.csv", None),
        ("/home/me/out-7.csv", None),
        ("/home/me/tmp/out-7.csv", None),
        ("/home/me/clock", None),
        ("/home/me/temperature", None),
        ("/tmp/venv/lib/__pycache__/a.cpython-311.pyc", None),
    ],
)
def test_what_counts_is_told_from_what_a_program_may_keep(
    monkeypatch: pytest.MonkeyPatch, path: str, type_: str | None
) -> None:
    """By the place for temporary things, and by names that say so; in the working folder by names alone."""
    monkeypatch.setenv("TMPDIR", "/scratch")

    assert type_of(created(path), "/tmp/mine") == type_


def test_a_working_folder_that_is_the_temporary_one_is_no_excuse() -> None:
    assert type_of(created("/tmp/out.dat"), "/tmp") == "temporary file"


def test_a_folder_may_be_reached_by_two_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may use a symbolic link, and the system the folder itself."""
    temporary, working = tmp_path / "temporary", tmp_path / "temporary" / "working"
    working.mkdir(parents=True)
    (tmp_path / "link").symlink_to(temporary)
    monkeypatch.setenv("TMPDIR", f"{tmp_path}/link/")

    for root in (temporary, tmp_path / "link"):
        assert type_of(created(f"{root}/a"), f"{tmp_path}/link/working") == "temporary file"
        assert type_of(created(f"{root}/working/a"), f"{tmp_path}/link/working") is None


def test_folders_sockets_and_pipes_are_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "app.lock").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as one:
        one.bind(f"{short}/socket")
        assert type_of(created(f"{short}/socket"), short) == "socket"
    names = ("folder", "app.lock", "fifo")
    assert [type_of(created(str(tmp_path / name)), "/elsewhere") for name in names] == [
        "temporary folder",
        "lock folder",
        "named pipe",
    ]


def test_a_file_is_there_while_it_is_the_same_one(tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.touch()
    one, kept = of_file(path), tmp_path / "kept"

    assert Presence().has(one)
    path.rename(kept)  # so that its inode is not given to the next one
    assert not Presence().has(one)
    path.touch()
    assert not Presence().has(one)


@pytest.mark.parametrize(
    ("kind", "type_", "create", "remove"),
    [
        (CREATED_SEGMENT, "System V shared-memory segment", ("shmget", 0, 64, 0o1600), ("shmctl", 0, None)),
        (CREATED_SEMAPHORES, "System V semaphore set", ("semget", 0, 1, 0o1600), ("semctl", 0, 0)),
        (CREATED_MESSAGES, "System V message queue", ("msgget", 0, 0o1600), ("msgctl", 0, None)),
    ],
)
def test_what_the_kernel_keeps_for_system_v_is_found_by_its_number(
    kind: int, type_: str, create: tuple[str, int, int], remove: tuple[str, int, int]
) -> None:
    libc = ctypes.CDLL(None)
    number = getattr(libc, create[0])(*create[1:])
    assert number >= 0
    one = created(kind=kind, number=number)
    try:
        assert (type_of(one, "/"), name_of(one)) == (type_, f"id {number}")
        assert Presence().has(one)
        assert not Presence().has(created(kind=kind, number=number + 32_768))
    finally:
        getattr(libc, remove[0])(number, *remove[1:])
    assert not Presence().has(one)


def test_a_segment_that_waits_for_its_last_process_is_removed() -> None:
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    number = libc.shmget(0, 64, 0o1600)
    address = ctypes.c_void_p(libc.shmat(number, None, 0))
    try:
        libc.shmctl(number, 0, None)
        assert not Presence().has(created(kind=CREATED_SEGMENT, number=number))
    finally:
        libc.shmdt(address)


def test_a_message_queue_is_found_by_its_name() -> None:
    libc, name = ctypes.CDLL(None, use_errno=True), f"/soak-test-{os.getpid()}"
    small = (ctypes.c_long * 8)(0, 1, 8)
    queue = libc.mq_open(name.encode(), os.O_CREAT | os.O_RDWR, 0o600, small)
    assert queue >= 0, os.strerror(ctypes.get_errno())
    libc.mq_close(queue)
    one = created(name, CREATED_QUEUE)
    try:
        assert (type_of(one, "/"), name_of(one)) == ("message queue", name)
        assert Presence().has(one)
    finally:
        libc.mq_unlink(name.encode())
    assert not Presence().has(one)
