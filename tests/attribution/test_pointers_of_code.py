"""Which words of a code object hold something, on one of this process; and reading many places at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from types import CodeType, SimpleNamespace

import numpy as np
import pytest

from soak.attribution.pointers.of_code import in_bytecode
from soak.attribution.pointers.reachability import Pointers
from soak.probes.memory import ProcessMemory, read_each
from soak.probes.python_types import PythonTypes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def memory() -> Iterator[ProcessMemory]:
    with closing(ProcessMemory(os.getpid())) as memory:
        yield memory


def a_function() -> list[int]:
    return [len(str(number)) for number in range(3)]


def pointers(*sources: int) -> Pointers:
    """Return pointers from these places to one block."""
    nothing = np.zeros(len(sources), np.uint64)
    return Pointers(np.array(sources, np.uint64), np.zeros(len(sources), np.intp), nothing, nothing, nothing)


@pytest.mark.parametrize("is_static", [True, False], ids=["a type of C", "a word of another kind"])
def test_only_what_stands_behind_the_fields_of_a_code_object_holds_nothing(memory: ProcessMemory, is_static: bool):
    code, other, fields = id(a_function.__code__), id([1, 2]), CodeType.__basicsize__

    found = in_bytecode(
        pointers(code + fields, code + fields + 16, code + fields - 8, code + 24, other + fields),
        np.array([code, code, code, code, other], np.uint64),
        memory,
        PythonTypes(memory, id(type)),
        lambda words: np.full(len(words), is_static),
    )

    assert found.tolist() == [is_static, is_static, False, False, False]


def test_without_pointers_in_objects_nothing_is_read():
    none = in_bytecode(pointers(), np.zeros(0, np.uint64), None, None, lambda words: words > 0)  # type: ignore[arg-type]

    assert not len(none)


def test_places_near_to_each_other_are_read_at_once_and_what_is_unreadable_is_zero():
    """The first 64 words of a made-up memory can be read, and some words far away."""
    asked = []

    def read(start: int, words: int) -> np.ndarray:
        asked.append((start, words))
        first = start // 8
        last = min(first + words, 64) if first < 64 else first + words if first >= 1 << 20 else first
        return np.arange(first, last, dtype=np.uint64)

    memory = SimpleNamespace(read=read)
    addresses = np.array([1 << 24, 16, 0, 62 * 8, 100 * 8], np.uint64)

    found = read_each(memory, addresses, 3)  # type: ignore[arg-type]

    assert found.tolist() == [[1 << 21, (1 << 21) + 1, (1 << 21) + 2], [2, 3, 4], [0, 1, 2], [62, 63, 0], [0, 0, 0]]
    assert asked[0] == (0, 103)  # one for all that are near, and one more for each that was not whole
    assert len(asked) == 4
    assert read_each(memory, np.zeros(0, np.uint64), 3).shape == (0, 3)  # type: ignore[arg-type]
