"""What the allocators make of a request: glibc's malloc and CPython's pymalloc, on a 64-bit machine."""

from __future__ import annotations

CHUNK_GRAIN, CHUNK_HEADER, SMALLEST_CHUNK = 16, 8, 32
PYMALLOC_GRAIN, PYMALLOC_LARGEST = 16, 512
_SURELY_IN_THE_HEAP = 128 * 1024
"""Larger blocks may have a mapping of their own, and take whole pages."""


def chunk_bytes(requested: int) -> int:
    """Return the size of the chunk that malloc takes for a request: 128 for 105 to 120."""
    return max(SMALLEST_CHUNK, -(-(requested + CHUNK_HEADER) // CHUNK_GRAIN) * CHUNK_GRAIN)


def allocated_bytes(requested: int, *, is_python: bool) -> int | None:
    """Return what a request takes; None if that cannot be told from its size.

    ``is_python``: made through Python's own allocators, which leave to malloc what is larger than 512 bytes.
    """
    if is_python and 0 < requested <= PYMALLOC_LARGEST:
        return -(-requested // PYMALLOC_GRAIN) * PYMALLOC_GRAIN
    return chunk_bytes(requested) if requested < _SURELY_IN_THE_HEAP else None
