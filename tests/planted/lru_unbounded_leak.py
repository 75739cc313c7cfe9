"""A cache of results that never forgets one."""

from functools import lru_cache

EXPECTED = {"kind": "python-object"}


@lru_cache(maxsize=None)  # noqa: UP033  (3.8 has no cache)
def describe(number):
    return f"frame {number}"


def setup():
    return {"cycle": 1000}


def cycle(state):
    state["cycle"] += 1
    describe(state["cycle"])  # planted
