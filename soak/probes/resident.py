"""Which memory of a process is resident: its mappings and their pages (Linux), read from outside.

For each reading the kernel walks over all pages of the process, and holds the lock of its mappings. This takes some
milliseconds, too long for every checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from soak.probes.mappings import Mapping, parse_smaps
from soak.probes.memory import ProcessMemory, Range

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_PRESENT, _EXCLUSIVE = np.uint64(1 << 63), np.uint64(1 << 56)
_HEAP_BYTES = 64 << 20
"""glibc places the heaps of its thread arenas at multiples of this."""
_HEAP_HEADER_WORDS = 4


@dataclass(frozen=True)
class Area(Mapping):
    """A mapping, and which part of it is resident."""

    rss_bytes: int
    pages: NDArray[np.bool_]
    """Which of its pages are resident, ``(pages,)``; empty when that was not read because all pages are of one kind."""
    is_own: bool = False
    """Whether all of it belongs to the tracker."""

    @property
    def is_anonymous(self) -> bool:
        """Whether it maps no file."""
        return not self.path or self.path.startswith("[")


@dataclass(frozen=True)
class Resident:
    """What was resident at one moment."""

    rss_bytes: int
    """RSS as the kernel counts it for the process: the figure that is judged."""
    areas: tuple[Area, ...]
    """By address."""
    thread_heaps: tuple[tuple[int, int], ...]
    """Start and end of each heap of malloc's thread arenas."""
    stack_pointers: tuple[int, ...]
    """Those of the threads that wait."""


def read_resident(memory: ProcessMemory, pid: int, own_ranges: Iterable[Range] = ()) -> Resident:
    """Read what is resident in a process that is stopped or waits. Raises OSError when it cannot be read.

    ``own_ranges``: the tracker's memory. Its pages are not read: it has reserved a gigabyte, most of it untouched.
    """
    folder = Path("/proc", str(pid))
    rss_bytes = int((folder / "statm").read_bytes().split()[1]) * PAGE_BYTES
    if not rss_bytes:
        raise ProcessLookupError(f"process {pid} has ended")
    listed = parse_smaps((folder / "smaps").read_text(encoding="utf-8", errors="replace"))
    own = _joined(own_ranges)
    areas = tuple(_area(mapping, mapped_rss_bytes, memory, own) for mapping, mapped_rss_bytes in listed)
    return Resident(rss_bytes, areas, thread_heaps(areas, memory), tuple(memory.stack_pointers()))


def _joined(ranges: Iterable[Range]) -> list[Range]:
    """Return ranges in order, adjacent ones joined, as the kernel lists them."""
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _area(mapping: Mapping, rss_bytes: int, memory: ProcessMemory, own: list[Range]) -> Area:
    area = Area(mapping.start, mapping.end, mapping.permissions, mapping.path, rss_bytes, np.zeros(0, np.bool_))
    if not area.is_anonymous or not area.rss_bytes or not area.permissions.endswith("p"):
        return area
    if any(start <= area.start and area.end <= end for start, end in own):
        return replace(area, is_own=True)
    entries = memory.page_entries(area.start, area.end)
    present = (entries & _PRESENT) != 0
    if int(present.sum()) * PAGE_BYTES > area.rss_bytes:
        # Where memory was only read, the kernel maps its page of zeros, which the RSS of no process includes.
        present &= (entries & _EXCLUSIVE) != 0
    return replace(area, pages=present)


def thread_heaps(areas: Iterable[Mapping], memory: ProcessMemory) -> tuple[tuple[int, int], ...]:
    """Return the heaps of malloc's thread arenas, found by their address and their header (``heap_info`` of glibc)."""
    found = []
    for area in areas:
        if area.path or not area.permissions.startswith("rw"):
            continue
        for start in range(-(-area.start // _HEAP_BYTES) * _HEAP_BYTES, area.end, _HEAP_BYTES):
            head = memory.read(start, _HEAP_HEADER_WORDS).tolist()
            if len(head) < _HEAP_HEADER_WORDS:
                continue
            arena, before, used, writable = head
            is_first = before == 0 and start < arena < start + PAGE_BYTES
            is_next = before % _HEAP_BYTES == 0 < before and arena != 0
            is_sized = 0 < used <= writable <= area.end - start and writable % PAGE_BYTES == 0
            if (is_first or is_next) and is_sized:
                found.append((start, start + writable))
    return tuple(found)
