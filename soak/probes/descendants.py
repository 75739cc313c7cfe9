"""Read the live processes that a process started, and those that these started, from /proc."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOST_LISTED = 64
"""How many descendants are listed: reading one takes about 100 µs, and the measured process waits meanwhile."""

_MOST_READ = 256
"""How many are read, zombies too: a leak of zombies must not make this slow."""
_MOST_THREADS = 64
"""For how many threads of a process the children are read: the first and the newest."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_STATE, _STARTED, _RSS_PAGES = 0, 19, 21
"""Fields of /proc/PID/stat, counted from the field after the name."""
_GONE_STATES = ("Z", "X")
_LONGEST_COMMAND = 60
_RESOURCE_TRACKER, _FORKSERVER, _SPAWN = (
    f"multiprocessing.{module} import " for module in ("resource_tracker", "forkserver", "spawn")
)


@dataclass(frozen=True)
class Descendant:
    """A live process that another one started, itself or through others."""

    pid: int
    parent: int
    """The number of the process that started it."""
    started: float
    """When it began; with its number, this tells it from any other process."""
    command_line: str
    """Its arguments, separated by spaces."""
    command: str
    """A short name for it: the program, and how multiprocessing or a fork made it."""
    rss_bytes: int


def read_descendants(pid: int) -> tuple[Descendant, ...]:
    """List the live descendants of process ``pid``, parents before their children; 64 at most.

    Zombies are left out: they have no memory. So are the helpers of multiprocessing (its resource tracker, its fork
    server), which hold nothing of the program's; the workers of the fork server are listed.
    """
    found: list[Descendant] = []
    root = _command_line(pid)
    waiting = [(child, pid, root) for child in _children(pid)]
    for _ in range(_MOST_READ):
        if not waiting or len(found) == MOST_LISTED:
            break
        child, parent, parents_line = waiting.pop(0)
        process = _read(child, parent, parents_line)
        if process is None:
            continue
        if not _is_helper(process.command_line, parents_line):
            found.append(process)
        waiting += [(grandchild, child, process.command_line) for grandchild in _children(child)]
    return tuple(found)


def short_command(command_line: str, parents_line: str) -> str:
    """Name a process briefly: ``python, forked``, ``python, spawned by multiprocessing``, ``python server.py``."""
    program, _, arguments = command_line.partition(" ")
    program = program.rpartition("/")[2]
    if _SPAWN in command_line:
        return f"{program}, spawned by multiprocessing"
    if _FORKSERVER in command_line:
        return f"{program}, started by multiprocessing's fork server"
    if command_line == parents_line:
        return f"{program}, forked"
    whole = f"{program} {arguments}".strip()
    return whole if len(whole) <= _LONGEST_COMMAND else f"{whole[: _LONGEST_COMMAND - 1]}…"


def _is_helper(command_line: str, parents_line: str) -> bool:
    """Tell a helper of multiprocessing; the fork server's workers have its command line, and it as their parent."""
    if _RESOURCE_TRACKER in command_line:
        return True
    return _FORKSERVER in command_line and _FORKSERVER not in parents_line


def _read(pid: int, parent: int, parents_line: str) -> Descendant | None:
    """Read one process; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].decode("ascii").split()
        state, started, pages = fields[_STATE], int(fields[_STARTED]), int(fields[_RSS_PAGES])
    except (OSError, IndexError, ValueError):
        return None
    if state in _GONE_STATES:
        return None
    line = _command_line(pid)
    return Descendant(pid, parent, started, line, short_command(line, parents_line), pages * _PAGE_BYTES)


def _command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0")
        return arguments.replace(b"\0", b" ").decode("utf-8", errors="replace")
    return ""


def _children(pid: int) -> Iterator[int]:
    """Yield the children of every thread of a process."""
    threads: list[int] = []
    with contextlib.suppress(OSError):
        threads = sorted(map(int, os.listdir(f"/proc/{pid}/task")))
    for thread in (*threads[:1], *threads[1:][1 - _MOST_THREADS :]):
        with contextlib.suppress(OSError):
            yield from map(int, Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split())
