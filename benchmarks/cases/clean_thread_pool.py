"""Eight threads that allocate, possibly each in an arena of its own; they start when the work first needs them."""

import concurrent.futures
import random

EXPECT = {"verdict": "clean"}

RANDOM = random.Random(3)
POOL = concurrent.futures.ThreadPoolExecutor(8)


def work(size: int) -> int:
    return sum(len(bytearray(size + part)) for part in range(20))


def iteration() -> None:
    list(POOL.map(work, [RANDOM.randrange(1_000, 60_000) for _ in range(4)]))
