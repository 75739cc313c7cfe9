"""What the allocators make of a request."""

from __future__ import annotations

import ctypes
import sys

import pytest

from soak.attribution.rounding import allocated_bytes, chunk_bytes


@pytest.mark.parametrize(("requested", "chunk"), [(0, 32), (24, 32), (25, 48), (104, 112), (106, 128), (120, 128)])
def test_malloc_gives_chunks_in_steps_of_sixteen(requested, chunk):
    assert chunk_bytes(requested) == chunk


@pytest.mark.skipif(sys.platform != "linux", reason="malloc_usable_size is glibc's")
def test_chunks_are_those_that_malloc_gives():
    """A chunk is its usable size plus a header of eight bytes."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = libc.malloc_usable_size.restype = ctypes.c_size_t
    libc.malloc.argtypes = libc.malloc_usable_size.argtypes = libc.free.argtypes = (ctypes.c_size_t,)
    given = {}
    for requested in range(1, 2_000, 37):
        block = libc.malloc(requested)
        given[requested] = libc.malloc_usable_size(block) + 8
        libc.free(block)

    # A free chunk whose rest would be too small for another is given whole.
    assert all(0 <= size - chunk_bytes(requested) <= 16 for requested, size in given.items())


@pytest.mark.parametrize(
    ("requested", "is_python", "allocated"),
    [
        (106, False, 128),
        (106, True, 112),
        (512, True, 512),
        (513, True, 528),
        (128 * 1024, False, None),
        (128 * 1024, True, None),
    ],
)
def test_python_rounds_small_requests_itself_and_leaves_large_ones_to_malloc(requested, is_python, allocated):
    """The size of a mapping does not follow from the request."""
    assert allocated_bytes(requested, is_python=is_python) == allocated
