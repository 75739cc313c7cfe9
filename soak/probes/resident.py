"""Which memory of a process is resident: its mappings with their pages (Linux), read from outside.

One reading costs the kernel a walk over the process's pages, under its lock of mappings: some milliseconds, not for
every checkpoint.
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
"""glibc lays the heaps of its thread arenas at multiples of this."""
_HEAP_HEADER_WORDS = 4


@dataclass(frozen=True)
class Area(Mapping):
    """A mapping with what is resident of it."""

    rss_bytes: int
    pages: NDArray[np.bool_]
    """Which of its pages are resident, ``(pages,)``; empty where that was not asked: it is all of one kind."""
    is_own: bool = False
    """Whether all of it is the tracker's."""

    @property
    def is_anonymous(self) -> bool:
        """Whether no file stands behind it."""
        return not self.path or self.path.startswith("[")


@dataclass(frozen=True)
class Resident:
    """What was resident at one moment."""

    rss_bytes: int
    """As the kernel counts it for the process: the figure that is judged."""
    areas: tuple[Area, ...]
    """By address."""
    thread_heaps: tuple[tuple[int, int], ...]
    """First address and first behind of each heap of malloc's thread arenas."""
    stack_pointers: tuple[int, ...]
    """Of the threads that wait."""


def read_resident(memory: ProcessMemory, pid: int, own_ranges: Iterable[Range] = ()) -> Resident:
    """Read what is resident in a process that does nothing meanwhile. Raises OSError when it may not be read.

    ``own_ranges``: the tracker's; of what it has reserved, a gigabyte mostly untouched, the pages are not asked for.
    """
    folder = Path("/proc", str(pid))
    rss_bytes = int((folder / "statm").read_bytes().split()[1]) * PAGE_BYTES
    if not rss_bytes:
        raise ProcessLookupError(f"process {pid} has ended")
    listed = parse_smaps((folder / "smaps").read_text(encoding="utf-8", errors="replace"))
    own = _joined(own_ranges)
    areas = tuple(_area(mapping, mapped_rss_bytes, memory, own) for mapping, mapped_rss_bytes in listed)
    return Resident(rss_bytes, areas, _thread_heaps(areas, memory), tuple(memory.stack_pointers()))


def _joined(ranges: Iterable[Range]) -> list[Range]:
    """Return ranges in order, those that adjoin as one: so the kernel lists them."""
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
        # The page of zeros, which stands wherever memory was only read, is in no process's count.
        present &= (entries & _EXCLUSIVE) != 0
    return replace(area, pages=present)


def _thread_heaps(areas: tuple[Area, ...], memory: ProcessMemory) -> tuple[tuple[int, int], ...]:
    """Return the heaps of malloc's thread arenas, told by their place and their head (``heap_info`` of glibc)."""
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
