"""The limits that a leak reaches: descriptors, threads, address space, memory."""

from __future__ import annotations

import contextlib
import mmap
from pathlib import Path

from soak.probes.machine import memory_bytes

_CONTROL_GROUP = Path("/sys/fs/cgroup")
_RECLAIMABLE = ("active_file", "inactive_file")
"""Cached pages of files: the control group counts them as used and gives them up when memory is asked for."""
_LINES = {"Max open files": "fds", "Max processes": "threads", "Max address space": "mapped"}


def read_limits(pid: int) -> dict[str, float]:
    """Return the soft limits of a process by signal, without those that are not set.

    ``fds``, ``threads`` and ``children`` are counts; ``mapped`` and ``rss`` are bytes. ``rss`` is the memory of the
    machine or the limit of the control group, whichever is smaller.
    """
    limits: dict[str, float] = {"rss": float(memory_bytes()[0])}
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines():
            for title, signal in _LINES.items():
                if line.startswith(title):
                    soft = line.removeprefix(title).split()[0]
                    if soft != "unlimited":
                        limits[signal] = float(soft)
    for file in ("/proc/sys/kernel/threads-max", "/proc/sys/kernel/pid_max", "/sys/fs/cgroup/pids.max"):
        _lower(limits, "threads", file)
    _lower(limits, "rss", "/sys/fs/cgroup/memory.max")
    if "threads" in limits:
        limits["children"] = limits["threads"]
    return limits


def read_free_memory_bytes() -> float:
    """Return how much memory can still be taken: of the machine or of the control group, whichever has less."""
    free = float(memory_bytes()[1])
    with contextlib.suppress(OSError, ValueError):
        limit, used = (float((_CONTROL_GROUP / f"memory.{name}").read_text("ascii")) for name in ("max", "current"))
        for line in (_CONTROL_GROUP / "memory.stat").read_text("ascii").splitlines():
            name, size = line.split()
            used -= float(size) if name in _RECLAIMABLE else 0.0
        free = min(free, max(limit - used, 0.0))
    return free


def read_hidden_limits() -> dict[str, float]:
    """Return, by signal, limits of the kernel on something else that the signal depends on; unknown ones are absent.

    A user may have a number of inotify instances, each of which is a descriptor. A process may have a number of
    mappings, each of which is a page or more. The error at such a limit is the same as at the limit of descriptors or
    of address space.
    """
    limits: dict[str, float] = {}
    _lower(limits, "fds", "/proc/sys/fs/inotify/max_user_instances")
    _lower(limits, "mapped", "/proc/sys/vm/max_map_count")
    if "mapped" in limits:
        limits["mapped"] *= mmap.PAGESIZE
    return limits


def _lower(limits: dict[str, float], signal: str, file: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        limits[signal] = min(limits.get(signal, float("inf")), float(Path(file).read_text(encoding="ascii")))
