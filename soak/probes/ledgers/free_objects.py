"""Count the objects on CPython's free lists: their blocks are alive, but no program refers to them.

A free list has up to 2,000 tuples of each size, 80 lists or 80 dicts. A program that makes tuples from iterators adds
one with each: CPython makes a larger tuple, cuts it to its length, and frees it later as one of that length. A free
object has a reference count of 0 (CPython 3.8 to 3.13), or the address of the next one in its place (from 3.14 on).
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from soak.probes.memory import ProcessMemory
from soak.probes.python_types import PythonTypes

_BEHIND_GC_HEAD = 16
TUPLES, OBJECTS = ("tuple",), ("tuple", "list", "dict")
"""Names of types of which CPython keeps some free."""


def count_free(memory: ProcessMemory, addresses: NDArray[np.uint64], names: Collection[str] = TUPLES) -> int:
    """Return how many of the blocks at some addresses are free objects of types with these names."""
    types, is_kept, count = PythonTypes(memory, 0), {0: False}, 0
    for address in addresses.tolist():
        words = memory.read(address + _BEHIND_GC_HEAD, 2).tolist()
        if len(words) < 2 or not _has_no_references(words[0]):
            continue
        type_at = words[1]
        if type_at not in is_kept:
            is_kept[type_at] = type_at % 8 == 0 and types.name(type_at) in names
        count += is_kept[type_at]
    return count


def _has_no_references(word: int) -> bool:
    return word == 0 or (word >> 32 != 0 and word >> 48 == 0 and word % 8 == 0)
