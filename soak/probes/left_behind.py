"""What a process has created outside itself: what each thing is, and whether it is still there.

The tracker records what the process creates (``soak.native.ledger``); here the system is asked for it, from outside.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from soak.native.layout import CREATED_MESSAGES, CREATED_QUEUE, CREATED_SEGMENT, CREATED_SEMAPHORES
from soak.native.ledger import Creation

LEFT_BEHIND = "left-behind"
"""The kind of these things among what stays open, which is also the kind of their causes."""

_SYSTEM_V = {
    CREATED_SEGMENT: ("shm", "System V shared-memory segment"),
    CREATED_SEMAPHORES: ("sem", "System V semaphore set"),
    CREATED_MESSAGES: ("msg", "System V message queue"),
}
_PERMISSIONS, _DESTROYED = 2, 0o1000
"""A segment that is removed stays until the last process has detached it; then it is marked so."""
_SHARED_MEMORY = "/dev/shm/"
_RUN_TIME = ("/run/", "/var/run/", "/var/lock/")
_TEMPORARY = ("/tmp/", "/var/tmp/", "/usr/tmp/")
_TEMPORARY_NAME = re.compile(r"tmp[a-z0-9_]{8}|.+\.te?mp$", re.DOTALL)
"""Names that the tempfile module gives, and those that say so themselves."""
_LOCK_NAME = re.compile(r"(.*[._-])?(lock|lck)$|\.#.|LCK\.\.", re.DOTALL)
_BYTECODE = "/__pycache__/"
_PID_NAME = re.compile(r".*\.pid$", re.DOTALL)


def type_of(creation: Creation, working_folder: str) -> str | None:
    """Say what a thing is; None for a file that the program may be meant to keep.

    Meant to be kept is every file or folder that is neither in a place for temporary things nor named like one; in and
    below ``working_folder`` only the name counts. docs/verdict.md has the rule.
    """
    if creation.kind == CREATED_QUEUE:
        return "message queue"
    if creation.kind in _SYSTEM_V:
        return _SYSTEM_V[creation.kind][1]
    path, last = creation.name, creation.name.rpartition("/")[2]
    if path.startswith(_SHARED_MEMORY):
        return "POSIX semaphore" if last.startswith("sem.") else "shared-memory segment"
    what = _file_type(path)
    if what in ("socket", "named pipe"):
        return what
    if _PID_NAME.match(last):
        return "pid file"
    if _LOCK_NAME.match(last):
        return f"lock {what}"
    if path.startswith(_RUN_TIME):
        return f"run-time {what}"
    return f"temporary {what}" if _is_temporary(path, last, working_folder) else None


def name_of(creation: Creation) -> str:
    """Return its path or name; of System V its number."""
    return f"id {creation.number}" if creation.kind in _SYSTEM_V else creation.name


def _is_temporary(path: str, last: str, working_folder: str) -> bool:
    if _BYTECODE in path:
        return False
    if _TEMPORARY_NAME.match(last):
        return True
    folders = (*_TEMPORARY, *_spellings(os.environ.get("TMPDIR") or "/tmp"))
    own = _spellings(working_folder)
    return path.startswith(folders) and (own[0] in folders or not path.startswith(own))


def _spellings(folder: str) -> tuple[str, str]:
    """Return a folder as it is written and as the system calls it, each with a slash at its end."""
    return f"{os.path.normpath(folder)}/", f"{os.path.realpath(folder)}/"


def _file_type(path: str) -> str:
    mode = 0
    with contextlib.suppress(OSError, ValueError):
        mode = os.lstat(path).st_mode
    if stat.S_ISSOCK(mode):
        return "socket"
    if stat.S_ISFIFO(mode):
        return "named pipe"
    return "folder" if stat.S_ISDIR(mode) else "file"


class Presence:
    """What is there at one moment; the tables of System V are read once."""

    def __init__(self) -> None:
        self._numbers: dict[str, Mapping[int, int]] = {}
        self._library = ctypes.CDLL(None, use_errno=True)

    def has(self, creation: Creation) -> bool:
        """Tell whether a thing is still there; of a file also whether it is the same one."""
        if creation.kind == CREATED_QUEUE:
            return self._has_queue(creation.name)
        if creation.kind in _SYSTEM_V:
            permissions = self._system_v(_SYSTEM_V[creation.kind][0]).get(creation.number)
            return permissions is not None and not permissions & _DESTROYED
        try:
            found = os.lstat(creation.name)
        except (OSError, ValueError):
            return False
        return (found.st_dev, found.st_ino) == (creation.device, creation.number)

    def _has_queue(self, name: str) -> bool:
        """Ask by opening it, because the file system of queues may not be mounted."""
        queue = self._library.mq_open(os.fsencode(name), os.O_RDONLY | os.O_CLOEXEC)
        if queue < 0:
            return ctypes.get_errno() != errno.ENOENT
        self._library.mq_close(queue)
        return True

    def _system_v(self, name: str) -> Mapping[int, int]:
        """Return the permissions of each, by its number."""
        if name not in self._numbers:
            lines: list[str] = []
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/sysvipc/{name}").read_text(encoding="ascii").splitlines()[1:]
            rows = [line.split() for line in lines]
            self._numbers[name] = {int(row[1]): int(row[_PERMISSIONS], 8) for row in rows}
        return self._numbers[name]
