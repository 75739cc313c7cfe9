"""Who holds the objects of this very process that came and stayed, by objgraph: for checks without a tracker.

objgraph follows references backwards through gc's own lists. So it names the holder of what gc tracks, containers and
instances, and knows nothing of bytes, numbers and arrays: of those a fresh process tells, where the tracker is.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

import objgraph

from soak.attribution.object_answers import Link
from soak.inside.clock import TimeLimit
from soak.inside.objects.holders import describe_way

_FEWEST = 8
"""A type is asked about when at least this many of its objects have stayed."""
_MOST_TYPES = 3
_MOST_STEPS = 12
_LONGEST_S = 1.0
"""Each step back looks through all objects that there are."""


def newest_of_growing_types(cycles: int) -> list[Any]:
    """Return an object of each type of which most stayed, at most three; those that gc.freeze() has set aside are old.

    A type grows when ``cycles`` cycles left at least one object of it per hundred cycles.
    """
    gc.collect()
    stayed = objgraph.typestats(shortnames=False)
    growing = [name for name, number in stayed.items() if number >= max(_FEWEST, cycles / 100)]
    growing.sort(key=lambda name: -stayed[name])
    found = []
    for name in growing[:_MOST_TYPES]:
        of_type = objgraph.by_type(name)
        found.append(of_type[len(of_type) // 2])
    return found


def find_way(objects: Sequence[Any], function: Callable[[], Any]) -> tuple[Link, ...]:
    """Return the way to the first of the objects that something holds, from a module or from the function itself.

    Empty when no way is found within a second. Nothing may be frozen: gc finds no referrers among frozen objects.
    """
    owner = getattr(function, "__self__", None)
    names = {id(function): getattr(function, "__qualname__", type(function).__name__)}
    if owner is not None:
        names[id(owner)] = type(owner).__name__
    limit = TimeLimit(_LONGEST_S)

    def is_root_or_late(candidate: object) -> bool:
        is_root = id(candidate) in names or objgraph.is_proper_module(candidate)
        return is_root or limit.is_over()

    for held in objects:
        way = objgraph.find_backref_chain(held, is_root_or_late, _MOST_STEPS, extra_ignore=[id(objects)])
        root = way[0]
        if len(way) > 1 and (id(root) in names or objgraph.is_proper_module(root)):
            name = names.get(id(root)) or f"module {root.__name__}"
            return tuple(Link(*node[:4], 0) for node in describe_way(name, way))
    return ()
