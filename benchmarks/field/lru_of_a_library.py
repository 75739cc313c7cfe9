"""Clean: three caches of 1,000 behind functions of a library fill by an entry a call. 15 ms a call."""

import functools
import itertools
import time

EXPECT = {"verdicts": ["SETTLING", "CLEAN", "INCONCLUSIVE"]}
numbers = itertools.count()


def cached(function):
    inner = functools.lru_cache(1000)(function)

    def wrapper(*arguments):  # as libraries do: the cache is a cell of a closure
        return inner(*arguments)

    return wrapper


@cached
def expand(number):
    return {"terms": [(number, other) for other in range(5)]}


@cached
def simplify(number):
    return tuple(expand(number)["terms"])


@cached
def name(number):
    return f"x_{number}"


def cycle():
    number = next(numbers)
    simplify(number)
    name(number)
    time.sleep(0.015)
