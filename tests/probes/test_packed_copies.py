"""A packed copy of a leaf is read as it was written; what has come in its place is refused, or has no blocks."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from soak.native.layout import LEAF_SLOTS, PACKED
from soak.probes.ledgers.packed import ShadowError, unpacked

COPY, KINDS, CODES = 0x10000, (7, 9), (0, 1, 1)


def copy_of(*, count: int = 3, kinds: int = 2, code_bytes: int = 1, codes: tuple[int, ...] = CODES) -> bytes:
    """Return the copy of a leaf whose first three slots are in use."""
    head = np.zeros(1, PACKED)
    head["used"][0, 0] = 0b111
    head["form"][0] = (count, kinds, code_bytes)
    return head.tobytes() + np.array(KINDS, np.uint64).tobytes() + bytes(codes).ljust(8, b"\0")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (copy_of(), [7, 9, 9]),
        (bytes(len(copy_of())), [0, 0, 0]),
        (copy_of(code_bytes=0), [0, 0, 0]),
        (copy_of(code_bytes=3), [0, 0, 0]),
        (copy_of(codes=(0, 1, 200)), [0, 0, 0]),
        (copy_of(count=1 << 31), [0, 0, 0]),
        (copy_of()[:16], [0, 0, 0]),
    ],
    ids=["whole", "zeros", "no code", "no such code", "a code of no word", "too many", "cut"],
)
def test_only_a_whole_copy_has_blocks(content: bytes, words: list[int]):
    """A running program may have given it up. Of one that stands still it would be wrong to leave blocks out."""

    def read(address: int, count: int) -> np.ndarray:
        part = content[address - COPY :][: 8 * count]
        return np.frombuffer(part[: len(part) // 8 * 8], np.uint64)

    memory, slots = SimpleNamespace(read=read), np.zeros(LEAF_SLOTS, np.uint64)
    found = unpacked(memory, slots, COPY, may_be_gone=True)  # type: ignore[arg-type]

    assert found[:3].tolist() == words
    assert not found[3:].any()
    with nullcontext() if any(words) else pytest.raises(ShadowError):
        assert unpacked(memory, slots, COPY)[:3].tolist() == words  # type: ignore[arg-type]
