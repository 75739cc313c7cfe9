"""Read a process from outside: memory, descriptors, threads, children, mappings.

A Protocol with three readers: one for Linux that reads /proc, a portable one on psutil (`soak.probes.portable`), and a
scripted one for tests.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from soak.measurements import Identity
from soak.probes.descendants import Descendant, read_descendants

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_FEW_THREADS = 32
"""Up to this many threads, the children of all threads are read every time: a file for each thread."""
_MANY_THREADS = 1024
"""Above this many threads, only the children of the main thread are read: a leak of threads must not make this slow."""
_DESCRIBED_FDS = 65_536
_MOST_TOLD_APART = 256
"""Of more threads or children it is not read which they are: reading one takes 20 µs."""
_CLOCK_SHIFT, _CLOCK_OF_A_PROCESS = 3, 2
"""What clock_getcpuclockid(3) of Linux makes of the number of a process."""
# num_threads is field 20 of /proc/PID/stat, starttime field 22; the index counts from the field after the name.
_STAT_THREADS, _STAT_STARTED = 17, 19


def living_thread(pid: int) -> int | None:
    """Return a thread of a process through which /proc shows its memory; None of a process that has let go of it.

    That is the first thread, unless it has ended before others. A process lets go of its memory before it is a zombie.
    """
    if _has_memory(pid):
        return pid
    with contextlib.suppress(OSError):
        return next((int(name) for name in os.listdir(f"/proc/{pid}/task") if _has_memory(name)), None)
    return None


def read_cpu_s(pid: int) -> float | None:
    """Return the processor time that all threads of a process have used so far, also those that have ended."""
    with contextlib.suppress(OSError):
        return time.clock_gettime((~pid << _CLOCK_SHIFT) | _CLOCK_OF_A_PROCESS)
    return None


def _has_memory(task: int | str) -> bool:
    with contextlib.suppress(OSError):
        return not Path(f"/proc/{task}/statm").read_bytes().startswith(b"0 ")
    return False


def _read(path: str) -> bytes:
    """Return what is in a file. A Path takes as long to be made as the file to be read, at each checkpoint."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        return file.read()


def _identity(number: str, path: str) -> set[Identity]:
    """Return whose ``stat`` this is; nothing if it has ended."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return {(int(number), int(_read(path).rpartition(b")")[2].split()[_STAT_STARTED]))}
    return set()


class OutsideReader(Protocol):
    """Reads one process. A reading maps the names of signals to their values; what cannot be read is absent."""

    def read_counts(self) -> dict[str, float]:
        """Read what is cheap (about 50 µs): rss, mapped, fds, threads, children. Empty when the process has ended."""

    def read_details(self) -> dict[str, float]:
        """Read pss, uss and swap, for which the kernel walks over all pages (about 1 ms), and children in any case."""

    def read_living(self) -> dict[str, frozenset[Identity]]:
        """Read which ``threads`` and which ``children`` it has (about 20 µs each); absent where they are too many."""

    def describe_fds(self) -> dict[str, int]:
        """Count the newest descriptors (65,536 at most) by what they point to: a path, ``socket``, ``pipe``."""

    def read_descendants(self) -> tuple[Descendant, ...]:
        """List the live processes that it started, itself or through others (about 100 µs each)."""


class LinuxReader:
    """Reads /proc/PID."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._folder = f"/proc/{pid}"
        self._fd_folder, self._task_folder = f"{self._folder}/fd", f"{self._folder}/task"
        self._children_of_other_threads = 0

    def read_counts(self) -> dict[str, float]:
        """See OutsideReader."""
        try:
            pages = _read(f"{self._folder}/statm").split()
            thread_count = int(_read(f"{self._folder}/stat").rpartition(b")")[2].split()[_STAT_THREADS])
        except (OSError, IndexError):
            return {}
        values: dict[str, float] = {
            "mapped": int(pages[0]) * _PAGE_BYTES,
            "rss": int(pages[1]) * _PAGE_BYTES,
            "threads": thread_count,
        }
        with contextlib.suppress(OSError):
            # From Linux 6.2 on the folder's size is the number of open descriptors; before that it is 0.
            values["fds"] = os.stat(self._fd_folder).st_size or len(os.listdir(self._fd_folder))
        values.update(self._count_children(complete=thread_count <= _FEW_THREADS))
        return values

    def read_details(self) -> dict[str, float]:
        """See OutsideReader."""
        values: dict[str, float] = {}
        with contextlib.suppress(OSError):
            kibibytes: Counter[str] = Counter()
            for line in _read(f"{self._folder}/smaps_rollup").decode("ascii").splitlines()[1:]:
                name, _, amount = line.partition(":")
                kibibytes[name] = int(amount.split()[0])
            values["pss"] = kibibytes["Pss"] * 1024
            values["uss"] = (kibibytes["Private_Clean"] + kibibytes["Private_Dirty"]) * 1024
            values["swap"] = kibibytes["Swap"] * 1024
        with contextlib.suppress(OSError):
            threads = os.stat(self._task_folder).st_nlink - 2
            values.update(self._count_children(complete=threads <= _MANY_THREADS))
        return values

    def _count_children(self, *, complete: bool) -> dict[str, float]:
        """Count children. Unless ``complete``: those of the main thread, and the last count of all other threads."""
        main = str(self._pid)
        counts = {}
        with contextlib.suppress(OSError):
            for thread in os.listdir(self._task_folder) if complete else [main]:
                # A thread may end meanwhile. Without CONFIG_PROC_CHILDREN, not even the main thread has this file.
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    counts[thread] = len(_read(f"{self._task_folder}/{thread}/children").split())
        if main not in counts:
            return {}
        if complete:
            self._children_of_other_threads = sum(counts.values()) - counts[main]
        return {"children": counts[main] + self._children_of_other_threads}

    def read_living(self) -> dict[str, frozenset[Identity]]:
        """See OutsideReader."""
        threads: set[Identity] = set()
        children: list[str] = []
        try:
            numbers = os.listdir(self._task_folder)
            if len(numbers) > _MOST_TOLD_APART:
                return {}
            for number in numbers:
                threads |= _identity(number, f"{self._task_folder}/{number}/stat")
            # Read last: without CONFIG_PROC_CHILDREN, not even the main thread has this file.
            children += _read(f"{self._task_folder}/{self._pid}/children").decode("ascii").split()
            for number in numbers:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    if number != str(self._pid):
                        children += _read(f"{self._task_folder}/{number}/children").decode("ascii").split()
        except OSError:
            return {"threads": frozenset(threads)} if threads else {}
        living = {"threads": frozenset(threads)}
        if len(children) <= _MOST_TOLD_APART:
            found = (_identity(number, f"/proc/{number}/stat") for number in children)
            living["children"] = frozenset().union(*found)
        return living

    def describe_fds(self) -> dict[str, int]:
        """See OutsideReader."""
        kinds: Counter[str] = Counter()
        with contextlib.suppress(OSError):
            # The newest ones (the highest numbers) show what leaks, however many there are.
            for number in sorted(os.listdir(self._fd_folder), key=int)[-_DESCRIBED_FDS:]:
                with contextlib.suppress(OSError):
                    # socket:[4711] and socket:[4712] are counted together, as "socket".
                    kinds[os.readlink(f"{self._fd_folder}/{number}").partition(":[")[0]] += 1
        return dict(kinds)

    def read_descendants(self) -> tuple[Descendant, ...]:
        """See OutsideReader."""
        return read_descendants(self._pid)


class ScriptedReader:
    """Returns prepared readings, one for each call; for tests."""

    def __init__(
        self,
        counts: Iterable[dict[str, float]],
        details: Iterable[dict[str, float]] = (),
        descendants: Iterable[tuple[Descendant, ...]] = (),
        living: Iterable[dict[str, frozenset[Identity]]] = (),
    ) -> None:
        self._counts: Iterator[dict[str, float]] = iter(counts)
        self._details: Iterator[dict[str, float]] = iter(details)
        self._descendants: Iterator[tuple[Descendant, ...]] = iter(descendants)
        self._living: Iterator[dict[str, frozenset[Identity]]] = iter(living)

    def read_counts(self) -> dict[str, float]:
        """See OutsideReader."""
        return next(self._counts, {})

    def read_details(self) -> dict[str, float]:
        """See OutsideReader."""
        return next(self._details, {})

    def read_living(self) -> dict[str, frozenset[Identity]]:
        """See OutsideReader."""
        return next(self._living, {})

    def describe_fds(self) -> dict[str, int]:
        """See OutsideReader."""
        return {}

    def read_descendants(self) -> tuple[Descendant, ...]:
        """See OutsideReader."""
        return next(self._descendants, ())


def open_reader(pid: int) -> OutsideReader:
    """Return the best reader on this system."""
    if sys.platform == "linux":
        return LinuxReader(pid)
    from soak.probes.portable import PsutilReader

    return PsutilReader(pid)
