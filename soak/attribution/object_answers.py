"""What the measured process itself says of objects that stay, after its last cycle (see soak.inside.objects.answers).

An answer is of one site: the way from a root of Python to one of its objects, the cache on that way, or the ring of
objects that only each other hold. And of the process: what its garbage collections find.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from soak.analysis.sites.caches import Cache
from soak.attribution.expressions import as_function_names_it, without_arrows
from soak.attribution.keepers.bounds import Bound
from soak.attribution.pointers.reference_cycles import describe_ring
from soak.inside.objects.caches import NO_BOUND
from soak.results import ChainNode, Garbage, Place
from soak.units import format_count

_MODULE = "module "
_CONTAINERS = ("dict", "list", "set", "OrderedDict", "defaultdict", "deque")
_LAST_NAME = re.compile(r"([A-Za-z_]\w*)$")
_LENGTH = re.compile(r" of ([\d,]+)$")
_MOST_OVERFULL = 2
"""A number by which code bounds a container of this name is another one's where this one has far more entries."""
_FEWEST_ENTRIES = 2
"""What grows within a single entry is not bounded by the number of entries."""
_RECYCLED = ("list", "dict", "tuple", "float")
_UNCOLLECTABLE = "module gc"


@dataclass(frozen=True)
class Link:
    """An object on the way, as it is reached from the one before."""

    name: str
    """An attribute, an index or a key; of the first the variable; ``...`` where some are left out."""
    what: str
    type: str
    size_bytes: int
    site: int
    """At which it was allocated; 0 where that is not known."""


@dataclass(frozen=True)
class SiteAnswer:
    """What is said of one site's objects."""

    chain: tuple[Link, ...] = ()
    ring: tuple[Link, ...] = ()
    cache: Cache | None = None

    @property
    def is_uncollectable(self) -> bool:
        """Whether gc has found them to be garbage, and keeps them in gc.garbage."""
        return bool(self.chain) and self.chain[0].name == _UNCOLLECTABLE

    @property
    def sites(self) -> tuple[int, ...]:
        """The sites that it speaks of."""
        return tuple(link.site for link in (*self.chain, *self.ring) if link.site)


NO_ANSWER = SiteAnswer()


@dataclass(frozen=True)
class ObjectAnswers:
    """All that a process has said."""

    by_site: dict[int, SiteAnswer]
    """By site."""
    garbage: tuple[int, int, tuple[tuple[str, int], ...], tuple[Link, ...]] | None = None
    """Cycles run without collections, garbage objects found after them, how many of each type, a ring."""
    is_complete: bool = True
    """All objects were walked through; else it would have taken too long or too much memory."""
    gtype_names: dict[int, str] = field(default_factory=dict)
    """What the GTypes that it was asked about are called."""

    @property
    def garbage_sites(self) -> tuple[int, ...]:
        """The sites that what is said of garbage speaks of."""
        return tuple(link.site for link in self.garbage[3] if link.site) if self.garbage is not None else ()


NO_ANSWERS = ObjectAnswers({})


def read_object_answers(document: dict[str, Any], cycles: int) -> ObjectAnswers:
    """Return what stands in an answer that was given after ``cycles`` cycles.

    Raises KeyError, TypeError or ValueError when it is something else.
    """
    by_site: dict[int, SiteAnswer] = {}
    for site, nodes, cache, is_only_cache in document["chains"]:
        is_only_holder = bool(is_only_cache and document["is_complete"])
        seen = None if cache is None else _cache(cache, cycles, is_only_holder, bool(is_only_cache))
        by_site[site] = SiteAnswer(_links(nodes), cache=seen)
    for site, nodes in document["rings"]:
        by_site[site] = replace(by_site.get(site, SiteAnswer()), ring=_links(nodes))
    garbage = document["garbage"]
    if garbage is None:
        return ObjectAnswers(by_site, None, document["is_complete"], document.get("gtypes", {}))
    cycles, objects, types, nodes = garbage
    found = (cycles, objects, tuple((name, n) for name, n in types), _links(nodes))
    return ObjectAnswers(by_site, found, document["is_complete"], document.get("gtypes", {}))


def with_bounds_of_code(
    answers: ObjectAnswers, cycles: int, bound_of: Callable[[str, int], Bound | None]
) -> ObjectAnswers:
    """Return the answers with the containers of the program that its code bounds as caches.

    ``bound_of``: returns the bound of the container that a variable or an attribute is, as the code has it; also takes
    the site.
    """
    by_site = {}
    for site, answer in answers.by_site.items():
        cache = _bounded_by_code(site, answer.chain, cycles, bound_of) if answer.cache is None else None
        by_site[site] = answer if cache is None else replace(answer, cache=cache)
    return replace(answers, by_site=by_site)


def _bounded_by_code(
    site: int, links: Sequence[Link], cycles: int, bound_of: Callable[[str, int], Bound | None]
) -> Cache | None:
    """Return the largest container on a way, where the code bounds it."""
    expressions = itertools.accumulate(link.name for link in links)
    named = [
        (link, way.removeprefix(_MODULE), found[0])
        for link, way in zip(links, expressions, strict=True)
        if link.type in _CONTAINERS and (found := _LAST_NAME.findall(way))
    ]
    if not named:
        return None
    container, way, name = max(named, key=lambda each: each[0].size_bytes)
    bound, filled = bound_of(name, site), _LENGTH.findall(container.what)
    if bound is None or not filled:
        return None
    entries = int(filled[0].replace(",", ""))
    if entries < _FEWEST_ENTRIES:
        return None
    is_of_another = bound.capacity is not None and entries > _MOST_OVERFULL * bound.capacity
    return Cache(
        container.type,
        without_arrows(as_function_names_it(way)),
        None if is_of_another else bound.capacity,
        entries,
        cycles,
        is_only_seen=True,
        is_table=container is links[-1],
        is_bounded_by_code=True,
    )


def draw_nodes(links: Sequence[Link], place_of_site: Callable[[int], Place | None]) -> tuple[ChainNode, ...]:
    """Return the links as a report has them, with the lines that allocated them."""
    return tuple(
        ChainNode(
            link.name.removeprefix(_MODULE),
            link.what,
            link.type,
            link.size_bytes or None,
            place_of_site(link.site) if link.site else None,
        )
        for link in links
    )


def draw_chain(links: Sequence[Link], place_of_site: Callable[[int], Place | None]) -> tuple[ChainNode, ...]:
    """Return the way to what stays as a report has it; of holders that CPython recycles not who allocated them.

    Its free lists hand out a list that an import made and dropped long ago, and the tracker names that import. What
    stays in every cycle has used them up.
    """
    nodes = draw_nodes(links, place_of_site)
    holders = (replace(node, allocated_at=None) if node.type in _RECYCLED else node for node in nodes[:-1])
    return (*holders, *nodes[-1:])


def describe_garbage(
    object_answers: ObjectAnswers, most_at_once: int, place_of_site: Callable[[int], Place | None]
) -> Garbage | None:
    """Return what collections find, or None when nothing was asked or found. ``most_at_once``: at a checkpoint."""
    if object_answers.garbage is None or not object_answers.garbage[1]:
        return None
    cycles, objects, types, ring = object_answers.garbage
    return Garbage(most_at_once, cycles, objects, dict(types), draw_nodes(ring, place_of_site))


def garbage_messages(garbage: Garbage | None) -> tuple[str, ...]:
    """Return what collections find as a sentence for a person; nothing when they find nothing."""
    if garbage is None:
        return ()
    *others, last = [f"{format_count(number)} {name}" for name, number in garbage.types.items()]
    types = f"{', '.join(others)} and {last}" if others else last
    ring = f": {describe_ring(garbage.ring)}" if garbage.ring else ""
    found = f"Garbage collections find up to {format_count(garbage.most_at_once)} objects that refer to each other"
    cycles = "1 cycle" if garbage.cycles == 1 else f"{format_count(garbage.cycles)} cycles"
    return (f"{found}: a peak, not a leak. {cycles} without a collection left {types}{ring}.",)


def _links(nodes: Sequence[Sequence[Any]]) -> tuple[Link, ...]:
    return tuple(Link(*node) for node in nodes)


def _cache(said: Sequence[Any], cycles: int, is_only_holder: bool, is_only_seen: bool) -> Cache:
    kind, name, capacity, filled, is_table, gained, watched_cycles = said
    bound = None if capacity == NO_BOUND else capacity
    name = without_arrows(name)
    return Cache(kind, name, bound, filled, cycles, gained, watched_cycles, is_only_holder, is_only_seen, is_table)
