"""The counters that can only be read inside: heap in use by malloc, blocks of Python, objects that gc tracks."""

from __future__ import annotations

import ctypes
import sys

from soak.inside.counting.real_gc import RealGc

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


_MALLINFO_FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()


class _Mallinfo2(ctypes.Structure):
    """``struct mallinfo2`` of glibc >= 2.33, all ``size_t``; see mallinfo(3)."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _MALLINFO_FIELDS)


class _Mallinfo(ctypes.Structure):
    """The older ``struct mallinfo``: the same fields as int, which wrap at 4 GiB."""

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


_frozen_at_start = RealGc.get_freeze_count()
"""The number of objects that were frozen before: CPython 3.12 freezes some hundred of its own at its start."""
_newer: list[object] | None = None
"""Made by `freeze_older_objects` after it froze all others: gc looks into it until somebody freezes objects again."""


def freeze_older_objects() -> None:
    """Exclude all objects that exist now from collections: many objects of a harness would make each one slow."""
    global _newer
    RealGc.collect()
    RealGc.freeze()
    _newer = [object()]


def soak_may_collect() -> bool:
    """Return whether a checkpoint may collect garbage. Not when the component has disabled gc, or frozen objects.

    To count frozen objects takes 2 ms for those of pytest, and each checkpoint asks.
    """
    if not RealGc.isenabled():
        return False
    if _newer is None:
        return RealGc.get_freeze_count() <= _frozen_at_start
    return any(holder is _newer for holder in RealGc.get_referrers(_newer[0]))


def is_nothing_frozen() -> bool:
    """Return whether no object of the program is frozen, by the component or by `freeze_older_objects`."""
    return _newer is None and RealGc.get_freeze_count() <= _frozen_at_start


clear_type_cache: Callable[[], object] = (
    getattr(sys, "_clear_internal_caches", None) or getattr(sys, "_clear_type_cache", None) or int
)
"""Empties the interpreter's cache of attribute look-ups; does nothing if there is no such function.

Each of its 4,096 entries keeps a name alive. C extensions that look up attributes by new strings fill it over
thousands of cycles. That looks like growth of Python objects that settles slowly.
"""


def count_gc_objects() -> int | None:
    """Return how many objects gc tracks. This walks through all objects, so it is too slow for every checkpoint.

    Call it right after a collection, when all objects are old. To freeze and unfreeze them then changes nothing and
    allocates nothing, whereas malloc keeps parts of a list of them as heap in use. When the component has disabled gc,
    they are listed all the same, because freezing would change their generation. None if the interpreter keeps some
    objects frozen: they would be unfrozen as well.
    """
    if _newer is not None or not soak_may_collect():
        return len(RealGc.get_objects())
    if _frozen_at_start:
        return None
    RealGc.freeze()
    try:
        return RealGc.get_freeze_count()
    finally:
        RealGc.unfreeze()


read_python_blocks = sys.getallocatedblocks
