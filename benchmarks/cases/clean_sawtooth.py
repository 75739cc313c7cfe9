"""A buffer that fills to 14 MB in 1,400 calls and is then emptied, repeatedly."""

from __future__ import annotations

EXPECT = {"verdict": "clean"}

BATCH: list[bytearray] = []


def iteration() -> None:
    BATCH.append(bytearray(10_000))
    if len(BATCH) == 1_400:
        BATCH.clear()
