"""Reference cycles: the way from an object back to itself, and the garbage that a collection finds."""

from __future__ import annotations

import gc
from collections import deque

from soak.inside.clock import TimeLimit
from soak.inside.counting.real_gc import RealGc
from soak.inside.objects.holders import describe_way

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from soak.inside.objects.holders import Node

    Garbage = tuple[int, int, list[tuple[str, int]], list[Node]]
    """Number of cycles, number of objects, number of each type (most first), the nodes of one ring."""

LONGEST_S = 0.2
_MOST_OBJECTS = 20_000
_MOST_TRIED = 50
_MOST_TYPES = 6
_CONTAINERS = (dict, list, tuple, set, frozenset)


def find_ring(target: Any) -> list[Node]:
    """Return the nodes of the shortest way from an object back to itself; [] when there is none."""
    limit = TimeLimit(LONGEST_S)
    before: dict[int, tuple[Any, int]] = {}  # by address: the object, and the address of its holder
    waiting = deque([target])
    while waiting and len(before) < _MOST_OBJECTS and not limit.is_over():
        holder = waiting.popleft()
        for referent in RealGc.get_referents(holder):
            if referent is target:
                return describe_way("", _turned(_way_to(holder, target, before)))
            if id(referent) not in before and RealGc.is_tracked(referent) and not issubclass(type(referent), type):
                before[id(referent)] = (referent, id(holder))
                waiting.append(referent)
    return []


def find_objects(wanted: dict[int, int]) -> dict[int, Any]:
    """Return, by address, the wanted objects that gc lists. ``wanted``: their addresses, and those of their types."""
    return {
        id(found): found
        for found in RealGc.get_objects()
        if id(found) in wanted and id(type(found)) == wanted[id(found)]
    }


def collect_garbage(run_cycles: Callable[[], int], placed: Callable[[list[Node]], list[Node]]) -> Garbage:
    """Run some cycles without collections, collect, and return what the collection found. Restore the state of gc.

    ``placed``: is called with the nodes of the ring while its objects still exist.
    """
    was_enabled, flags, before = RealGc.isenabled(), RealGc.get_debug(), len(gc.garbage)
    RealGc.collect()
    RealGc.disable()
    try:
        cycles = run_cycles()
        RealGc.set_debug(gc.DEBUG_SAVEALL)
        RealGc.collect()
    finally:
        RealGc.set_debug(flags)
        found = gc.garbage[before:]
        del gc.garbage[before:]
        if was_enabled:
            RealGc.enable()
    said = cycles, len(found), _count_types(found), placed(_first_ring(found))
    del found
    RealGc.collect()
    return said


def _count_types(found: list[Any]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for garbage in found:
        name = type(garbage).__name__
        counts[name] = counts.get(name, 0) + 1
    return sorted(counts.items(), key=lambda item: -item[1])[:_MOST_TYPES]


def _first_ring(found: list[Any]) -> list[Node]:
    """Return a ring that begins at an object with a class of its own if there is one, otherwise any ring."""
    named = [garbage for garbage in found if type(garbage) not in _CONTAINERS][:_MOST_TRIED]
    limit = TimeLimit(LONGEST_S)
    for garbage in [*named, *found[:_MOST_TRIED]]:
        ring = find_ring(garbage)
        if ring or limit.is_over():
            return ring
    return []


def _way_to(holder: Any, target: Any, before: dict[int, tuple[Any, int]]) -> list[Any]:
    way = [target]
    while holder is not target:
        way.append(holder)
        address = before[id(holder)][1]
        holder = target if address == id(target) else before[address][0]
    way.append(target)
    return way[::-1]


def _turned(way: list[Any]) -> list[Any]:
    """Return the same ring; let it begin at an object with a class of its own if there is one."""
    ring = way[:-1]
    start = next((n for n, held in enumerate(ring) if _is_named(held)), 0)
    return [*ring[start:], *ring[: start + 1]]


def _is_named(held: Any) -> bool:
    return type(held) not in _CONTAINERS and type(held).__name__ not in ("cell", "function", "method")
