"""What CPython leaves behind in its lists of free objects is overwritten, and that costs no memory."""

from __future__ import annotations

import ctypes
import gc
import sys
from array import array
from pathlib import Path

import numpy as np
import pytest

from soak.inside.counting.free_lists import FreeLists

_STATE_BYTES = 1 << 17


def state_of_cpython() -> set[int]:
    """Return the words of CPython's own state."""
    start = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        memory.seek(start)
        content = memory.read(_STATE_BYTES)
    return set(np.frombuffer(content[: len(content) // 8 * 8], np.uint64).tolist())


@pytest.mark.skipif(not (3, 11) <= sys.version_info < (3, 13), reason="the arrays are elsewhere in this version")
def test_the_arrays_of_free_objects_have_addresses_that_nobody_else_uses():
    lists = FreeLists()

    gc.collect()
    lists.overwrite()

    own = {id(one) for one in (*lists._dicts, *lists._lists)}
    assert len(own & state_of_cpython()) >= 0.9 * len(own)  # but for what was freed between these two calls


def test_to_overwrite_them_leaves_no_block_behind():
    lists, counts = FreeLists(), array("q", [0] * 4)  # a list of ints would itself grow
    for number in range(4):
        gc.collect()
        lists.overwrite()
        counts[number] = sys.getallocatedblocks()

    assert len(set(counts[1:])) == 1
