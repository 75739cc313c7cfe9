"""After measuring: answer the parent's questions about objects that stay, the caches that hold them, and garbage.

The question, in the text area of the ring, is marshal of ``[(site, [(address, address of its type), ...]), ...]`` and a
list of numbers that may be GTypes. The site that grows most comes first. The answer is marshal of a dict:

- ``chains``: ``(site, nodes, cache, is_only_cache)``. ``nodes``: the way from a root to an object of the site, see
  `soak.inside.objects.holders`. ``cache``: the cache on that way, or None; as (kind, name, capacity, entries, whether
  the object is the cache itself, entries gained in the cycles run for this answer, number of these cycles).
  ``is_only_cache``: only bounded caches hold the objects.
- ``rings``: ``(site, nodes)``: objects that hold only each other, from one back to itself.
- ``garbage``: None, or what a collection found, see `soak.inside.objects.reference_cycles`.
- ``gtypes``: the names of those numbers that are GTypes.
- ``is_complete``: the walk reached all objects.

In these nodes the site that allocated the object replaces its address; 0 when it is not known.
"""

from __future__ import annotations

import marshal

from soak.inside import ring
from soak.inside.counting import counters
from soak.inside.objects.caches import Recogniser
from soak.inside.objects.gtypes import names_of
from soak.inside.objects.holders import Walk
from soak.inside.objects.reference_cycles import collect_garbage, find_objects, find_ring

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from soak.inside.objects.holders import Node
    from soak.inside.objects.imports import Imports

    Question = list[tuple[int, list[tuple[int, int]]]]

_CYCLES_AT_ONCE, _ENOUGH_ENTRIES, _MOST_WATCHED_CYCLES = 8, 8, 1024
_GARBAGE_CYCLES = 64
_UNCOLLECTABLE = "module gc"
"""The root of garbage that gc found and does not free: gc.garbage."""


def answer(
    area: ring.Ring,
    roots: list[tuple[str, Any]],
    run_cycles: Callable[[int], int],
    site_of: Callable[[int], int],
    imported: Imports | None = None,
) -> None:
    """Write the answer to the text area, and set WORD_ANSWERED.

    ``roots``: names and objects at which to begin. ``run_cycles``: takes a number, runs at most so many unmeasured
    cycles, and returns how many it ran. ``site_of``: returns the site of the object at an address. ``imported``:
    the modules that the cycles imported.
    """
    asked = area.words[ring.WORD_ASKED]
    question, asked_gtypes = marshal.loads(area.read_text()) if asked & ring.ASKED_OBJECTS else ([], [])
    found = _look_for(question, roots, run_cycles, site_of, imported)
    found["gtypes"] = names_of(asked_gtypes)
    if asked & ring.ASKED_GARBAGE and counters.soak_may_collect():
        found["garbage"] = collect_garbage(lambda: run_cycles(_GARBAGE_CYCLES), lambda nodes: _placed(nodes, site_of))
    content = marshal.dumps(found, 2)
    while len(content) > ring.TEXT_BYTES:
        (found["chains"] or found["rings"]).pop()
        content = marshal.dumps(found, 2)
    area.write_text(content)
    area.words[ring.WORD_ANSWERED] = 1


def _look_for(
    question: Question,
    roots: list[tuple[str, Any]],
    run_cycles: Callable[[int], int],
    site_of: Callable[[int], int],
    imported: Imports | None,
) -> dict[str, Any]:
    found, holding = _find_chains(question, roots, site_of, imported)
    # From here on soak holds only the caches, so the cycles find all other objects as they left them.
    gained = _watch_filling(holding, run_cycles, imported)
    found["chains"] = [
        (site, nodes, cache and cache + gained[site], only) for site, nodes, cache, only in found["chains"]
    ]
    return found


def _watch_filling(
    holding: dict[int, Any], run_cycles: Callable[[int], int], imported: Imports | None = None
) -> dict[int, tuple[int, int]]:
    """Run cycles until each cache is full or has gained some entries; return by site the gain and the cycles."""
    recogniser = Recogniser(imported)
    recogniser.hidden_lists()
    before = {site: recogniser.entries_of(cache) for site, cache in holding.items()}
    gained = dict.fromkeys(holding, (0, 0))
    cycles = 0
    while any(entries < _ENOUGH_ENTRIES for entries, _ in gained.values()) and cycles < _MOST_WATCHED_CYCLES:
        done = run_cycles(_CYCLES_AT_ONCE)
        cycles += done
        for site, cache in holding.items():
            if gained[site][0] < _ENOUGH_ENTRIES:
                gained[site] = recogniser.entries_of(cache) - before[site], cycles
        if done < _CYCLES_AT_ONCE or all(map(recogniser.is_full, holding.values())):
            break
    return gained


def _find_chains(
    question: Question, roots: list[tuple[str, Any]], site_of: Callable[[int], int], imported: Imports | None = None
) -> tuple[dict[str, Any], dict[int, Any]]:
    """Return what was found about the objects of each site, and by site the cache that holds them."""
    walk = Walk({address: kind for _, samples in question for address, kind in samples}, imported)
    if question:
        walk.go(roots)
    positions = {id(target): position for target, position in walk.arrived}
    # What stays may be the table of a cache; then the parent asked about the cache itself.
    direct = {id(target) for target, at in walk.arrived[: walk.direct] if not walk.is_bounded_cache(at)}
    chains, rings, holding = [], [], {}
    for site, samples in question:
        here = [address for address, _ in samples if address in positions]
        if not here:
            continue
        reached = [address for address in here if address in direct]
        target = reached[walk.most_alike([positions[address] for address in reached])] if reached else None
        if target is None:
            # Of many caches with a bound, as each instance may have, those that are full hold no growth.
            target = next((address for address in here[::-1] if walk.has_room(positions[address])), here[-1])
        cache = walk.cache_of(positions[target])
        if cache is not None:
            holding[site] = cache[0]
        nodes = walk.describe(positions[target])
        only_cache, is_table = not direct.intersection(here), walk.is_bounded_cache(positions[target])
        only_cache &= not _one_module_holds_most(walk, [positions[address] for address in here])
        chains.append((site, _placed(nodes, site_of), cache and (*cache[1], is_table), only_cache))
        if nodes[0][0] == _UNCOLLECTABLE:
            rings.append((site, _placed(find_ring(walk.object_at(positions[target])), site_of)))
    if not counters.soak_may_collect():
        rings += _rings_of(question, positions, site_of)
    return {"chains": chains, "rings": rings, "garbage": None, "is_complete": walk.is_complete}, holding


def _one_module_holds_most(walk: Walk, positions: list[int]) -> bool:
    """Whether more than half of a site's objects are in one module: that grows, whether or not more are imported."""
    modules = [id(module) for module in map(walk.module_of, positions) if module is not None]
    return any(2 * modules.count(module) > len(positions) for module in set(modules))


def _rings_of(
    question: Question, reached: dict[int, int], site_of: Callable[[int], int]
) -> list[tuple[int, list[Node]]]:
    """Return a ring for each site of which no object was reached: with gc disabled, they may hold only each other."""
    unreached = [(site, dict(samples)) for site, samples in question if not any(a in reached for a, _ in samples)]
    objects = find_objects({address: kind for _, samples in unreached for address, kind in samples.items()})
    rings = []
    for site, samples in unreached:
        nodes = next((found for found in map(find_ring, map(objects.get, samples)) if found), None)
        if nodes is not None:
            rings.append((site, _placed(nodes, site_of)))
    return rings


def _placed(nodes: list[Node], site_of: Callable[[int], int]) -> list[Node]:
    return [(*node[:4], site_of(node[4]) if node[4] else 0) for node in nodes]
