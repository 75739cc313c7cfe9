"""Reads of another process's memory: all that can be read, whatever lies between."""

from __future__ import annotations

import ctypes
import mmap
import os

import numpy as np
import pytest

from soak.probes.memory import ProcessMemory

PAGE = mmap.PAGESIZE
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]


@pytest.mark.parametrize("holes", [(), (3,), (0, 1), (7,), (2, 4, 5)])
def test_a_page_that_cannot_be_read_hides_no_other(holes: tuple[int, ...]):
    """A pointer behind it would be missed, and what it leads to would seem to be lost."""
    start = LIBC.mmap(None, 8 * PAGE, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    for page in range(8):
        ctypes.memset(start + page * PAGE, page + 1, PAGE)
    for page in holes:
        assert LIBC.munmap(start + page * PAGE, PAGE) == 0
    memory = ProcessMemory(os.getpid())
    try:
        read = list(memory.pieces([(start, start + 8 * PAGE)]))
    finally:
        memory.close()
        for page in set(range(8)).difference(holes):
            LIBC.munmap(start + page * PAGE, PAGE)

    found = {
        (address + 8 * int(at) - start) // PAGE: int(words[at]) % 256
        for address, words in read
        for at in np.arange(0, len(words), PAGE // 8)
    }
    assert found == {page: page + 1 for page in range(8) if page not in holes}
    assert sum(words.nbytes for _, words in read) == (8 - len(holes)) * PAGE
