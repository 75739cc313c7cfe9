"""Memory layouts for the arithmetic of the audit, and drivers that grow in one known way."""

from __future__ import annotations

import numpy as np

from soak.native.layout import MAPPING, NATIVE, PYMALLOC_ARENA, PYTHON_MEM, PYTHON_OBJ
from soak.probes.ledgers.shadow import Blocks, Mapped
from soak.probes.resident import PAGE_BYTES, Area, Resident

__all__ = ["MAPPING", "NATIVE", "PYMALLOC_ARENA", "PYTHON_MEM", "PYTHON_OBJ"]
PAGE = PAGE_BYTES


def area(start: int, pages: str, path: str = "", permissions: str = "rw-p", *, is_own: bool = False) -> Area:
    """Map one page for each character: ``#`` is resident, ``.`` is not."""
    resident = np.array([page == "#" for page in pages], np.bool_)
    asked = resident if resident.any() and (not path or path.startswith("[")) and not is_own else resident[:0]
    return Area(start, start + len(pages) * PAGE, permissions, path, int(resident.sum()) * PAGE, asked, is_own)


def memory(
    *areas: Area, thread_heaps: tuple[tuple[int, int], ...] = (), stack_pointers: tuple[int, ...] = (), beyond: int = 0
) -> Resident:
    """Put mappings together; ``beyond``: bytes that the kernel counts besides."""
    rss_bytes = sum(one.rss_bytes for one in areas) + beyond
    return Resident(rss_bytes, areas, thread_heaps, stack_pointers)


def blocks(*rows: tuple[int, int, int]) -> Blocks:
    """Give live blocks as ``(address, bytes, domain)``, by address."""
    addresses, sizes, domains = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    count = len(rows)
    return Blocks(
        np.array(addresses, np.uint64),
        np.array(sizes, np.uint64),
        np.ones(count, np.uint64),
        np.full(count, 7, np.uint32),
        np.array(domains, np.uint8),
    )


def mapped(*rows: tuple[int, int, int, int]) -> Mapped:
    """Give what the program mapped as ``(start, pages, site, domain)``, by address."""
    starts = np.array([start for start, *_ in rows], np.uint64)
    lengths = np.array([pages * PAGE for _, pages, *_ in rows], np.uint64)
    sites, domains = [row[2] for row in rows], [row[3] for row in rows]
    return Mapped(starts, starts + lengths, np.array(sites, np.uint32), np.array(domains, np.uint8))
