"""The counters that can only be read inside: malloc's heap in use, Python's blocks, what gc tracks."""

from __future__ import annotations

import ctypes
import gc
import sys

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


_MALLINFO_FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()


class _Mallinfo2(ctypes.Structure):
    """``struct mallinfo2`` of glibc >= 2.33, all ``size_t``; see mallinfo(3)."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _MALLINFO_FIELDS)


class _Mallinfo(ctypes.Structure):
    """The older ``struct mallinfo``: the same fields as int, which wrap around at 4 GiB."""

    _fields_ = tuple((name, ctypes.c_uint) for name in _MALLINFO_FIELDS)


def _find_mallinfo() -> Callable[[], Any] | None:
    library = ctypes.CDLL(None)
    for name, kind in (("mallinfo2", _Mallinfo2), ("mallinfo", _Mallinfo)):
        function: Any = getattr(library, name, None)
        if function is not None:
            function.argtypes = ()
            function.restype = kind
            return function  # type: ignore[no-any-return]
    return None


read_malloc = _find_mallinfo()
"""A function that returns glibc's malloc counters (``uordblks``, ``hblkhd``, ``fordblks`` in bytes), or None."""


_frozen_by_soak = 0
_MOST_FROZEN_AT_START = 1000
"""CPython 3.12 begins with some 375 objects frozen; a program that freezes what it has freezes thousands."""


def freeze_older_objects() -> None:
    """Let collections leave out all that is there now: a harness of many objects would make each of them slow."""
    global _frozen_by_soak
    gc.collect()
    gc.freeze()
    _frozen_by_soak = gc.get_freeze_count()


def soak_may_collect() -> bool:
    """Return whether a checkpoint may collect garbage: not for a component that runs with gc disabled or frozen."""
    return gc.isenabled() and gc.get_freeze_count() <= max(_frozen_by_soak, _MOST_FROZEN_AT_START)


clear_type_cache: Callable[[], object] = (
    getattr(sys, "_clear_internal_caches", None) or getattr(sys, "_clear_type_cache", None) or int
)
"""Empties the interpreter's cache of attribute look-ups (does nothing where there is no such function).

Its 4,096 entries each keep a name alive. Code that looks attributes up by freshly made strings, as C extensions do,
fills it for thousands of cycles, which looks like a leak of Python objects that slowly settles.
"""


def count_gc_objects() -> int:
    """Return how many objects gc tracks; it walks through them all, so it is not for every checkpoint.

    To be called right after a collection, when all objects are old: freezing and unfreezing them then changes
    nothing, and it allocates nothing, while pieces of a list of them would go on being counted as malloc's heap in
    use. A component that holds gc off has its objects listed all the same, for their ages are its own business.
    """
    if _frozen_by_soak or not soak_may_collect():
        return len(gc.get_objects())
    gc.freeze()
    try:
        return gc.get_freeze_count()
    finally:
        gc.unfreeze()


read_python_blocks = sys.getallocatedblocks
