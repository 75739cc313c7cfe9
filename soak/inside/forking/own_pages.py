"""Make a forked process's memory its own.

After a fork both processes share each page until one of them writes to it. Which pages of a process are its own tells
what its resident memory consists of; if that went on changing while it is measured, it would look like growth.
"""

from __future__ import annotations

import ctypes
import os

_POPULATE_WRITE = 23
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_ENTRY_BYTES, _PRESENT = 8, 1 << 63
_madvise = ctypes.CDLL(None).madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_LARGEST_BYTES = 256 << 20
"""Larger mappings are the tables of the tracker, which no audit looks into."""


def why_not() -> str:
    """Return why this kernel cannot do it, or an empty text."""
    here = ctypes.c_char(b"x")
    page = ctypes.addressof(here) & -_PAGE_BYTES
    return "" if _populate(page, _PAGE_BYTES) else "this kernel cannot give a forked process pages of its own"


def take() -> None:
    """Copy every present page of private memory that can be written to."""
    with open("/proc/self/maps", "rb") as listed:
        lines = listed.read().split(b"\n")
    with open("/proc/self/pagemap", "rb", 0) as entries:
        for line in lines:
            fields = line.split(None, 2)
            if len(fields) < 2 or not fields[1].startswith(b"rw") or not fields[1].endswith(b"p"):
                continue
            start, end = (int(bound, 16) for bound in fields[0].split(b"-"))
            if end - start <= _LARGEST_BYTES:
                _take_present(entries.fileno(), start, end)


def _take_present(entries: int, start: int, end: int) -> None:
    """Populate each run of pages between two addresses that are present."""
    size = (end - start) // _PAGE_BYTES * _ENTRY_BYTES
    words = memoryview(os.pread(entries, size, start // _PAGE_BYTES * _ENTRY_BYTES)).cast("Q")
    first = None
    for number, word in enumerate(words):
        if word & _PRESENT:
            first = number if first is None else first
        elif first is not None:
            _populate(start + first * _PAGE_BYTES, (number - first) * _PAGE_BYTES)
            first = None
    if first is not None:
        _populate(start + first * _PAGE_BYTES, (len(words) - first) * _PAGE_BYTES)


def _populate(start: int, size: int) -> bool:
    return int(_madvise(start, size, _POPULATE_WRITE)) == 0
