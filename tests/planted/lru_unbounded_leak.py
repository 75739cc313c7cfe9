"""A cache of results that never forgets one."""

from functools import lru_cache

EXPECTED = {
    "kind": "python-object",
    "state": "held",
    "holder": "lru_unbounded_leak.describe, an lru_cache",
    "blocks": 1.0,
}


@lru_cache(maxsize=None)  # noqa: UP033  (3.8 has no cache)
def describe(number):
    return f"frame {number}"  # planted


def setup():
    return {"cycle": 1000}


def cycle(state):
    state["cycle"] += 1
    describe(state["cycle"])
