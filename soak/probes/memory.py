"""Read the memory of another process while it is stopped (Linux).

This process must be allowed to trace the other one: a child of its own, or, where the system allows it, any process of
the same user.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soak.inside.clock import RealTime
from soak.probes.mappings import Mapping, parse_maps

PIECE_BYTES = 1 << 20
"""How much is read at once. This much, and the results, fit into the processor's cache."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_DENSE_BYTES = 1 << 20
"""A mapping up to this size is read as a whole; of a larger one only the pages that are used."""
_PRESENT_OR_SWAPPED = np.uint64(0b11 << 62)
_BELOW_STACK_POINTER = 128
"""Bytes below the stack pointer that a function may use without moving it."""
_STILL_WITHIN_S = 0.2
_STOPPED_STATES = frozenset("TtZX")

CLOSED = -1
"""The number of no descriptor: the number of a closed one may soon be that of another file."""

Range = tuple[int, int]
"""The first address, and the first one after the end."""


class ProcessMemory:
    """One process's memory. Close it when done."""

    def __init__(self, pid: int) -> None:
        """Open it. Raises OSError when this process may not read it."""
        self.pid = pid
        self._folder = Path("/proc", str(pid))
        self._file = os.open(self._folder / "mem", os.O_RDONLY)
        try:
            self._pages = os.open(self._folder / "pagemap", os.O_RDONLY)
        except OSError:
            os.close(self._file)
            raise

    def close(self) -> None:
        """Close the files. From then on there is nothing to read."""
        for descriptor in {self._file, self._pages} - {CLOSED}:
            os.close(descriptor)
        self._file = self._pages = CLOSED

    def mappings(self) -> list[Mapping]:
        """Return what is mapped now, by address. Raises OSError when the process is gone."""
        return parse_maps((self._folder / "maps").read_text(encoding="utf-8", errors="replace"))

    def stack_pointers(self) -> list[int]:
        """Return the stack pointer of each thread that waits or is stopped. The memory below it is not in use."""
        found = []
        for task in os.listdir(self._folder / "task"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (self._folder / "task" / task / "syscall").read_text().split()
                found.append(int(fields[-2], 16))
        return found

    def read(self, start: int, words: int) -> NDArray[np.uint64]:
        """Return ``words`` 64-bit words from ``start`` on; fewer when the memory ends before, or cannot be read."""
        try:
            content = os.pread(self._file, words * 8, start)
        except (OSError, OverflowError):
            content = b""
        return np.frombuffer(content, np.uint64, len(content) // 8)

    def page_entries(self, start: int, end: int) -> NDArray[np.uint64]:
        """Return the entry of /proc/PID/pagemap for each page between two addresses, ``(pages,)``."""
        first_page = start // _PAGE_BYTES
        count = -(-end // _PAGE_BYTES) - first_page
        entries = b"" if self._pages == CLOSED else os.pread(self._pages, count * 8, first_page * 8)
        return np.frombuffer(entries, np.uint64)

    def pieces(self, ranges: Iterable[Range]) -> Iterator[tuple[int, NDArray[np.uint64]]]:
        """Yield the contents of the ranges in pieces of 1 MiB at most: address and words, ``(n,) uint64``.

        Pages that cannot be read (guards, a file that is shorter than its mapping) are left out, and they alone.
        """
        for start, end in ranges:
            for first, last in self._used(start, end):
                address = first
                while address < last:
                    wanted = min(last - address, PIECE_BYTES)
                    words = self.read(address, wanted // 8)
                    if len(words):
                        yield address, words
                    reached = address + words.nbytes
                    is_short = words.nbytes < wanted // 8 * 8
                    address = (reached // _PAGE_BYTES + 1) * _PAGE_BYTES if is_short else address + wanted

    def _used(self, start: int, end: int) -> Iterator[Range]:
        """Yield the parts of a range whose pages are used. To read the others would make the kernel map them."""
        if end - start <= _DENSE_BYTES:
            yield start, end
            return
        first_page = start // _PAGE_BYTES
        used = np.flatnonzero(self.page_entries(start, end) & _PRESENT_OR_SWAPPED)
        if not len(used):
            return
        breaks = np.flatnonzero(np.diff(used) > 1)
        firsts, lasts = used[np.r_[0, breaks + 1]], used[np.r_[breaks, len(used) - 1]]
        for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
            yield (
                max(start, (first_page + first) * _PAGE_BYTES),
                min(end, (first_page + last + 1) * _PAGE_BYTES),
            )


def read_each(memory: ProcessMemory, addresses: NDArray[np.uint64], words: int) -> NDArray[np.uint64]:
    """Return ``words`` 64-bit words from each of these addresses on, ``(n, words)``; zeros for what cannot be read.

    What is near to each other is read at once: there may be tens of thousands, and the process stands still.
    """
    found = np.zeros((len(addresses), words), np.uint64)
    order = np.argsort(addresses, kind="stable")
    inner = addresses[order]
    gaps, is_next_piece = np.diff(inner), np.diff(inner // np.uint64(PIECE_BYTES)) > 0
    breaks = np.flatnonzero((gaps > np.uint64(_PAGE_BYTES)) | (gaps % np.uint64(8) > 0) | is_next_piece) + 1
    for run in np.split(order, breaks) if len(order) else ():
        start = int(addresses[run[0]])
        places = ((addresses[run] - np.uint64(start)) >> np.uint64(3)).astype(np.intp)
        content = memory.read(start, int(places[-1]) + words)
        is_whole = places + words <= len(content)
        found[run[is_whole]] = content[places[is_whole, None] + np.arange(words)]
        for number in run[~is_whole].tolist():
            alone = memory.read(int(addresses[number]), words)
            found[number, : len(alone)] = alone
    return found


def writable_ranges(
    mappings: Iterable[Mapping], stack_pointers: Iterable[int], left_out: Iterable[Range], own_paths: re.Pattern[str]
) -> list[Range]:
    """Return the ranges in which a program may keep pointers: writable mappings, without unused parts of stacks.

    ``left_out``: ranges to leave out. ``own_paths``: matches files whose mappings do not belong to the program.
    """
    found = []
    pointers = sorted(stack_pointers)
    for mapping in mappings:
        device = mapping.path.startswith("/dev/") and not mapping.path.startswith(("/dev/shm/", "/dev/zero"))
        if not mapping.permissions.startswith("rw") or device or own_paths.search(mapping.path):
            continue
        # A stack grows down, so its used part begins at the stack pointer. A mapping of two stacks is read as a whole.
        within = [pointer for pointer in pointers if mapping.start <= pointer < mapping.end]
        start = (within[0] - _BELOW_STACK_POINTER) & ~7 if len(within) == 1 else mapping.start
        found.append((max(start, mapping.start), mapping.end))
    return _without(found, left_out)


def _without(ranges: Iterable[Range], left_out: Iterable[Range]) -> list[Range]:
    kept = list(ranges)
    for out_start, out_end in left_out:
        parts = []
        for start, end in kept:
            if out_end <= start or out_start >= end:
                parts.append((start, end))
                continue
            parts += [part for part in ((start, out_start), (out_end, end)) if part[0] < part[1]]
        kept = parts
    return kept


@contextlib.contextmanager
def held_still(pid: int) -> Iterator[bool]:
    """Stop all threads of a process in this block. Gives False when they did not stop in time, or it has ended."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield _wait_until_still(pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _wait_until_still(pid: int) -> bool:
    deadline_s = RealTime.monotonic() + _STILL_WITHIN_S
    tasks = Path("/proc", str(pid), "task")
    while RealTime.monotonic() < deadline_s:
        try:
            states = {
                (tasks / task / "stat").read_bytes().rpartition(b")")[2].split()[0].decode()
                for task in os.listdir(tasks)
            }
        except (OSError, IndexError):
            return False
        if states <= _STOPPED_STATES:
            return not states <= {"Z", "X"}
        RealTime.sleep(0.0005)
    return False
