"""What seems to hold memory, and does not: the digits of an int, and the lists of the system's own libraries."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from soak.attribution.holders import Memory
from soak.attribution.pointers.reachability import Pointers
from soak.native.layout import PYTHON_OBJ
from soak.probes.ledgers.shadow import Blocks
from soak.probes.mappings import Mapping
from soak.results import MemoryKind, MemoryStep
from soak.running.scanning.scanner import MemoryScan

INT, TUPLE = 0x7100, 0x7200


@pytest.mark.parametrize(
    ("kind", "size", "before", "offset", "is_digits"),
    [
        (INT, 32, 2, 24, True),
        (INT, 32, 16, 24, True),
        (TUPLE, 32, 2, 24, False),
        (INT, 40, 2, 24, False),
        (INT, 32, 9, 24, False),
        (INT, 32, 2, 16, False),
    ],
)
def test_the_digits_of_an_int_are_no_pointer(kind: int, size: int, before: int, offset: int, is_digits: bool):
    """A tuple of two has its first element there, after the same word."""
    one = np.ones(1, np.uint64)
    blocks = Blocks(4096 * one, size * one, one, one.astype(np.uint32), PYTHON_OBJ * one.astype(np.uint8))
    pointers = Pointers((4096 + offset) * one, np.zeros(1, np.intp), 0 * one, before * one, one)
    types = SimpleNamespace(is_type=lambda _: True, name={INT: "int", TUPLE: "tuple"}.get)
    memory = SimpleNamespace(read=lambda address, words: np.full(words, kind if address == 4104 else 0, np.uint64))
    scan = SimpleNamespace(blocks=blocks, types=types, memory=memory)

    assert MemoryScan._is_digits_of_int(scan, pointers).tolist() == [is_digits]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "name", "step"),
    [
        ("/lib/libc.so.6", None, MemoryStep(MemoryKind.UNKNOWN)),
        ("/lib/libc.so.6", "environ", MemoryStep(MemoryKind.STATIC, "environ", "/lib/libc.so.6")),
        ("/app/fast.so", None, MemoryStep(MemoryKind.STATIC, None, "/app/fast.so")),
        ("/lib/libgobject-2.0.so.0.7400.6", "g_param_spec_types", MemoryStep(MemoryKind.UNKNOWN)),
        ("/lib/libglib-2.0.so.0", "kept", MemoryStep(MemoryKind.STATIC, "kept", "/lib/libglib-2.0.so.0")),
    ],
)
def test_unnamed_data_of_the_c_library_and_tables_of_types_hold_nothing(path: str, name: str | None, step: MemoryStep):
    """Malloc's own lists lie in it. A type of GLib owns what its class has, and no object."""
    symbols = SimpleNamespace(variable=lambda *_: name, is_within=lambda *_: True)
    mappings = (Mapping(start=4096, end=8192, permissions="rw-p", path=path),)

    assert Memory(mappings, (), symbols).step_at(5000) == step  # type: ignore[arg-type]
