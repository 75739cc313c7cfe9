"""A pool of buffers of 64 KiB that grows when more buffers are needed at once than before; at most 48 are needed."""

from __future__ import annotations

import random

EXPECT = {"verdict": "clean"}

RANDOM = random.Random(5)
FREE: list[bytearray] = []


def iteration() -> None:
    needed = min(48, int(RANDOM.expovariate(0.25)))
    taken = [FREE.pop() if FREE else bytearray(65_536) for _ in range(needed)]
    FREE.extend(taken)
