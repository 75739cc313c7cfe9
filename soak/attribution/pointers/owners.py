"""Who owns the blocks that stay: of each the first block on every way to it, the dominator below the roots.

A jukebox that keeps a source bin keeps a hundred blocks for it, of dozens of call sites: elements, pads, caps, buffers.
One of them owns the others: without it no root leads to them. What many objects of one type lead to, and nothing else
does, belongs to them (soak.attribution.pointers.together). Where no root leads to any (objects that refer to each
other), the object that most others point to is taken for the owner: a bin has the pointers of all its elements.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from soak.attribution.pointers.dominators import Positions, find_dominators
from soak.attribution.pointers.together import give_to_kinds_that_keep_together

_Key = TypeVar("_Key")
_MOST_KINDS = 8
_FUNCTION = "function"
_NO_OWNERS = ("", "dict", "list", "tuple", "set", "cell", _FUNCTION)
"""Of objects that hold each other these belong to another one: a dict to the instance whose attributes it has."""
_FEWEST_MADE = 2
"""A single object does not tell where those of its kind are made."""
_MOST = 0.5
"""An owner owns a call site when more than this share of the site's bytes belongs to owners of its kind."""


@dataclass(frozen=True)
class Member:
    """What one block is: where it was allocated, and what object it holds; ``kind`` is empty for raw memory."""

    site: int
    kind: str
    size_bytes: int
    made_at: int = 0
    """The site of the Python object that wraps it, or of the stack that allocated it."""
    ref_count: int | None = None
    """Of an object of GLib."""


class MaybeGObject(NamedTuple):
    """What may be an object of GLib: the process tells which numbers are GTypes."""

    block: int
    gtype: int
    ref_count: int


@dataclass(frozen=True)
class Ownership:
    """Owners of one kind, and what each of them keeps alive."""

    site: int
    """Where the owners were allocated."""
    kind: str
    """Of which type they are."""
    per_cycle: float
    """How many a cycle leaves."""
    bytes_each: float
    """With all that it owns, on average."""
    owned_sites: frozenset[int]
    """The call sites of which most bytes belong to these owners."""
    made_at: int = 0
    """The site at which Python code has made most of them."""
    is_lost: bool = False
    """No root leads to them: they hold each other, or have a reference too many."""
    function_site: int | None = None
    """Where the Python function was made by which objects that no root leads to hold each other; None without one."""
    ref_count: int | None = None
    """The usual count of references, of objects of GLib."""
    memory_sites: tuple[int, ...] = ()
    """Where the last and the first block were allocated that every way to most of them goes through; empty without."""


def follow(is_root: NDArray[np.bool_], edges: Iterable[tuple[int, int]]) -> set[int]:
    """Return the blocks that are roots, and those to which edges lead from them."""
    following: defaultdict[int, list[int]] = defaultdict(list)
    for source, target in edges:
        following[source].append(target)
    waiting: list[int] = np.flatnonzero(is_root).tolist()
    reached = set(waiting)
    while waiting:
        further = [target for target in following[waiting.pop()] if target not in reached]
        reached.update(further)
        waiting += further
    return reached


def take_hubs_for_owners(owners: list[int], sources: Positions, targets: Positions, kinds: Sequence[str]) -> None:
    """Give each block that no root leads to an owner: an object of the kind that most others point to.

    ``owners``: as of `Dominators.owners`; changed. ``kinds``: the type of the object in each block, empty for none
    that may own others.
    """
    for _ in range(_MOST_KINDS):
        lost = np.array(owners) < 0
        inner = lost[sources] & lost[targets]
        pairs = np.unique(np.stack([sources[inner], targets[inner]], axis=1), axis=0)
        hubs = _hubs(kinds, lost, np.bincount(pairs[:, 1], minlength=len(lost)))
        if not hubs.any():
            break
        for block, owner in enumerate(find_dominators(sources[inner], targets[inner], hubs).owners()):
            owners[block] = owner if owner >= 0 else owners[block]
    for block, owner in enumerate(owners):
        owners[block] = block if owner < 0 else owner


def _hubs(kinds: Sequence[str], lost: NDArray[np.bool_], pointed: Positions) -> NDArray[np.bool_]:
    """Return the lost objects of the kind that on average most blocks point to."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for block in np.flatnonzero(lost & (pointed > 0)).tolist():
        if kinds[block]:
            found[kinds[block]].append(block)
    hubs = np.zeros(len(lost), np.bool_)
    if found:
        hubs[max(found.values(), key=lambda blocks: pointed[blocks].mean())] = True
    return hubs


@dataclass(frozen=True)
class Survivors:
    """Blocks of some past cycles that are alive, and what points to them; arrays as of `find_dominators`."""

    sources: Positions
    targets: Positions
    is_root: NDArray[np.bool_]
    sites: Sequence[int]
    stacks: Sequence[int]
    """The site of the stack that allocated each, where that was captured; else as ``sites``."""
    sizes: Sequence[int]
    """In bytes."""
    kinds: Sequence[str]
    """The type of the Python object in each block; empty if there is none."""
    cycles: int
    """The number of cycles in which they were allocated."""
    gobjects: Sequence[MaybeGObject]
    """Of each block the likeliest first."""

    def usual_gtypes(self, most: int) -> list[int]:
        """Return those numbers that may be GTypes which most blocks have."""
        return [gtype for gtype, _ in Counter(one.gtype for one in self.gobjects).most_common(most)]

    def owners(self, gtype_names: Mapping[int, str]) -> list[Ownership]:
        """Return who owns them. ``gtype_names``: the names of those GTypes that are some."""
        gobjects = self._known(gtype_names)
        kinds = self._all_kinds(gtype_names)
        wrapped = self._wrapped(kinds)
        made = [wrapped.get(block, stack) for block, stack in enumerate(self.stacks)]
        counts = [gobjects[block].ref_count if block in gobjects else None for block in range(len(kinds))]
        members = [Member(*member) for member in zip(self.sites, kinds, self.sizes, made, counts, strict=True)]
        is_held = self._is_held(members)
        may_own = ["" if kind in _NO_OWNERS else kind for kind in kinds]
        dominators = find_dominators(self.sources, self.targets, is_held)
        found = dominators.owners([bool(kind) for kind in may_own])
        lost = {block for block, owner in enumerate(found) if owner < 0}
        functions = [block for block in sorted(lost) if kinds[block] == _FUNCTION]
        memory = {
            block: (made[dominators.above[block]], made[first])
            for block, first in enumerate(dominators.owners())
            if first >= 0 and not kinds[first] and dominators.above[block] >= 0
        }
        give_to_kinds_that_keep_together(found, self.sources, self.targets, is_held, may_own, self.sizes)
        take_hubs_for_owners(found, self.sources, self.targets, may_own)
        return sum_up(found, members, functions, lost, self.cycles, memory)

    def kinds_by_site(self, gtype_names: Mapping[int, str]) -> dict[int, str]:
        """Return the type of GLib that most blocks of a call site are of."""
        found: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for block, kind in enumerate(self._all_kinds(gtype_names)):
            found[self.sites[block]][kind] += 1
        usual = {site: counts.most_common(1)[0] for site, counts in found.items()}
        return {site: kind for site, (kind, count) in usual.items() if kind and count > _MOST * found[site].total()}

    def gobjects_per_cycle(self, gtype_names: Mapping[int, str]) -> dict[str, float]:
        """Return how many objects of GLib a cycle leaves, by type, the most first."""
        counts = Counter(gtype_names[one.gtype] for one in self._known(gtype_names).values())
        return {name: count / self.cycles for name, count in counts.most_common()}

    def _all_kinds(self, gtype_names: Mapping[int, str]) -> list[str]:
        kinds = list(self.kinds)
        for block, known in self._known(gtype_names).items():
            kinds[block] = gtype_names[known.gtype]
        return kinds

    def _known(self, gtype_names: Mapping[int, str]) -> dict[int, MaybeGObject]:
        """Return the objects of GLib by block: the likeliest of each whose GType is one."""
        found: dict[int, MaybeGObject] = {}
        for one in self.gobjects:
            if one.gtype in gtype_names and not self.kinds[one.block]:
                found.setdefault(one.block, one)
        return found

    def _is_held(self, members: Sequence[Member]) -> NDArray[np.bool_]:
        """Tell to which blocks something outside points that points to most blocks of their kind.

        What was freed leaves pointers behind, in a block or a stack that uses not all of its words: to a few of them.
        Of a linked list such as a deque's blocks only the ends have pointers from outside: the rest follows from them.
        """
        kinds = [(member.site, member.kind, member.size_bytes if not member.kind else 0) for member in members]
        edges = zip(self.sources.tolist(), self.targets.tolist(), strict=True)
        alike = [(source, target) for source, target in edges if kinds[source] == kinds[target]]
        total, rooted = Counter(kinds), Counter(kinds[block] for block in follow(self.is_root, alike))
        held = {kind for kind, count in rooted.items() if count >= _MOST * total[kind]}
        return self.is_root & np.array([kind in held for kind in kinds], np.bool_)

    def _wrapped(self, kinds: Sequence[str]) -> dict[int, int]:
        """Return the objects of GLib that one of Python points to, its wrapper, with the site of that."""
        edges = zip(self.sources.tolist(), self.targets.tolist(), strict=True)
        return {b: self.sites[a] for a, b in edges if self.kinds[a] and kinds[b] and not self.kinds[b]}


def sum_up(
    owners: Sequence[int],
    members: Sequence[Member],
    functions: Sequence[int],
    lost: Container[int],
    cycles: int,
    memory: Mapping[int, tuple[int, int]],
) -> list[Ownership]:
    """Return the kinds of owners that own more than themselves, the one with most bytes first.

    ``functions``: the blocks that are Python functions and that no root leads to. ``lost``: all blocks that no root
    leads to. ``cycles``: in which the blocks were allocated. ``memory``: of blocks that every way leads to through
    raw memory, the sites of the last block on the way and of the first.
    """
    kept: Counter[tuple[int, str]] = Counter()
    of_site: defaultdict[int, Counter[tuple[int, str]]] = defaultdict(Counter)
    for block, owner in enumerate(owners):
        if members[owner].kind:
            key = (members[owner].site, members[owner].kind)
            kept[key] += members[block].size_bytes
            of_site[members[block].site][key] += members[block].size_bytes
        else:
            of_site[members[block].site][(-1, "")] += members[block].size_bytes
    heads: defaultdict[tuple[int, str], Counter[int]] = defaultdict(Counter)
    lost_heads: Counter[tuple[int, str]] = Counter()
    ref_counts: defaultdict[tuple[int, str], Counter[int]] = defaultdict(Counter)
    memory_of: defaultdict[tuple[int, str], Counter[tuple[int, ...]]] = defaultdict(Counter)
    for block in (block for block, owner in enumerate(owners) if block == owner):
        key = (members[block].site, members[block].kind)
        heads[key][members[block].made_at] += 1
        lost_heads[key] += block in lost
        if (ref_count := members[block].ref_count) is not None:
            ref_counts[key][ref_count] += 1
        if block in memory:
            memory_of[key][memory[block]] += 1
    made_at: defaultdict[tuple[int, str], Counter[int]] = defaultdict(Counter)
    for block in functions:
        made_at[(members[owners[block]].site, members[owners[block]].kind)][members[block].site] += 1
    found = []
    for key, total in kept.most_common():
        owned = frozenset(site for site, shares in of_site.items() if shares[key] > _MOST * shares.total())
        if owned - {key[0]}:
            count = heads[key].total()
            one = Ownership(
                *key,
                per_cycle=count / cycles,
                bytes_each=total / count,
                owned_sites=owned,
                made_at=_usual_but(key[0], heads[key]),
                is_lost=lost_heads[key] > _MOST * count,
                function_site=_usual(made_at[key], _MOST * count),
                ref_count=_usual(ref_counts[key], _MOST * count),
                memory_sites=_usual(memory_of[key], _MOST * count) or (),
            )
            found.append(one)
    return found


def _usual_but(site: int, made_at: Counter[int]) -> int:
    """Return where most were made, of those for which more is known than the call ``site``: not all have a stack.

    Where they are made in many places, or only one of many is known, that is the site itself.
    """
    known = Counter({at: count for at, count in made_at.items() if at != site})
    at, count = next(iter(known.most_common(1)), (site, 0))
    is_told = count > _MOST * known.total() and count >= min(_FEWEST_MADE, made_at.total())
    return at if is_told else site


def _usual(sites: Counter[_Key], fewest: float) -> _Key | None:
    """Return what most have; None if they are fewer than ``fewest``."""
    return next((site for site, count in sites.most_common(1) if count >= fewest), None)
