"""An lru_cache of 20,000 answers of 300 B: it grows by 300 B per call for 20,000 calls, and then no more."""

import functools
import itertools

EXPECT = {"verdict": "clean"}

CALLS = itertools.count()


@functools.lru_cache(maxsize=20_000)
def answer(question: int) -> bytes:
    return bytes(bytearray(question % 2 + 267))


def iteration() -> None:
    answer(next(CALLS))
