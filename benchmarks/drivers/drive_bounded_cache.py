"""A slow cycle that adds to a bounded cache, of a kind and a size that nothing outside tells."""

from __future__ import annotations

import functools
import random
import time
from collections import OrderedDict, deque
from collections.abc import Callable

Add = Callable[[int], object]


def setup(kind: str, size: int, entry_bytes: int, cycle_s: float, seed: int = 0) -> State:
    """``kind``: of `KINDS`. ``size``: its bound in entries. ``cycle_s``: how long a cycle sleeps."""
    return State(KINDS[kind](size, entry_bytes, random.Random(seed)), cycle_s)


def cycle(state: State) -> None:
    """Add an entry, and take the time of a slow cycle."""
    state.count += 1
    state.add(state.count)
    time.sleep(state.cycle_s)


class State:
    """The cache, and how many entries were added."""

    def __init__(self, add: Add, cycle_s: float) -> None:
        self.add, self.cycle_s, self.count = add, cycle_s, 0


def oldest_out(size: int, entry_bytes: int, _: random.Random) -> Add:
    """Give a dict that drops its oldest entry."""
    kept: dict[int, bytes] = {}

    def add(number: int) -> None:
        kept[number] = bytes(entry_bytes)
        if len(kept) > size:
            del kept[next(iter(kept))]

    return add


def least_used_out(size: int, entry_bytes: int, random: random.Random) -> Add:
    """Give an ordered dict; now and then an old entry is used again."""
    kept: OrderedDict[int, list[bytes]] = OrderedDict()

    def add(number: int) -> None:
        if random.random() < 0.3 and kept:
            kept.move_to_end(next(iter(kept)))
        kept[number] = [bytes(entry_bytes)]
        while len(kept) > size:
            kept.popitem(last=False)

    return add


def random_out(size: int, entry_bytes: int, random: random.Random) -> Add:
    """Give a list in which a new entry replaces any other once it is full."""
    kept: list[bytes] = []

    def add(_: int) -> None:
        if len(kept) < size:
            kept.append(bytes(entry_bytes))
        else:
            kept[random.randrange(size)] = bytes(entry_bytes)

    return add


def all_out(size: int, entry_bytes: int, _: random.Random) -> Add:
    """Give a set that is emptied when it is full, as a sawtooth."""
    kept: set[bytes] = set()

    def add(number: int) -> None:
        if len(kept) >= size:
            kept.clear()
        kept.add(number.to_bytes(8, "big") + bytes(entry_bytes))

    return add


def ring(size: int, entry_bytes: int, _: random.Random) -> Add:
    """Give a deque with a maxlen."""
    kept: deque[bytes] = deque(maxlen=size)
    return lambda _: kept.append(bytes(entry_bytes))


def lru_cache(size: int, entry_bytes: int, _: random.Random) -> Add:
    """Give a function behind functools.lru_cache."""
    return functools.lru_cache(size)(lambda _: bytes(entry_bytes))


def random_keys(size: int, entry_bytes: int, random: random.Random) -> Add:
    """Give a dict of as many keys as its size, which come at random: it fills ever more slowly."""
    kept: dict[int, bytes] = {}

    def add(_: int) -> None:
        key = random.randrange(size)
        if key not in kept:
            kept[key] = bytes(entry_bytes)

    return add


KINDS: dict[str, Callable[[int, int, random.Random], Add]] = {
    function.__name__: function
    for function in (oldest_out, least_used_out, random_out, all_out, ring, lru_cache, random_keys)
}
