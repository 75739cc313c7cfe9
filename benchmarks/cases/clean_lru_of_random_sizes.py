"""An LRU cache of 3,000 buffers of 32 B to 32 KiB: its size varies, and the heap becomes fragmented."""

from __future__ import annotations

import collections
import random

EXPECT = {"verdict": "clean"}

RANDOM = random.Random(11)
CACHE: collections.OrderedDict[int, bytearray] = collections.OrderedDict()


def iteration() -> None:
    CACHE[RANDOM.getrandbits(40)] = bytearray(int(2 ** RANDOM.uniform(5, 15)))
    if len(CACHE) > 3_000:
        CACHE.popitem(last=False)
