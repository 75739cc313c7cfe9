"""Which causes have one holder: a list that keeps parsed messages keeps what many call sites allocate: one leak."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from soak.attribution.expressions import as_function_names_it
from soak.attribution.native.names import INTERPRETER_MODULES
from soak.inside.objects.names import UNNAMED
from soak.results import Cause, ChainNode, MemoryKind, Owner, Place

INSIDE = "inside "
"""Begins the expression of what C code holds, which source code cannot write."""
_CLASS = "type"
_INDEX = re.compile(r"\[-?\d+\]")
_Key = tuple[object, ...]


@dataclass(frozen=True)
class CauseGroup:
    """Causes that one holder keeps, in the order in which they were given; most often one alone."""

    causes: tuple[Cause, ...]
    head: Cause
    """The cause whose holder is the group's."""

    @property
    def is_alone(self) -> bool:
        """Whether it is one cause alone."""
        return len(self.causes) == 1

    @property
    def confirmed(self) -> bool:
        """Whether one of them is proven."""
        return any(cause.confirmed for cause in self.causes)

    @property
    def owner(self) -> Owner | None:
        """The object that the memory of all of them is part of; None where there is none."""
        return None if self.is_alone else next((cause.owner for cause in self.causes if cause.owner is not None), None)

    @property
    def bytes_per_iteration(self) -> float | None:
        """What all of them grow by; None where no size is known."""
        rates = [cause.bytes_per_iteration for cause in self.causes if cause.bytes_per_iteration is not None]
        return sum(rates) if rates else None


def group_causes(causes: Sequence[Cause]) -> tuple[CauseGroup, ...]:
    """Return the causes in groups of one holder, in the order of the first of each.

    The holder is the container that takes most memory on the way to the objects, a cache, a reference cycle, the object
    that owns them, or a static variable. What the objects of another cause hold, or what is lost with them, belongs to
    that cause.
    """
    keys = _with_owners(causes, _with_shortest_chains([_own_key(cause) for cause in causes]))
    owners = [
        _owner(number, causes) if key is None else _of_owner(number, causes, keys) for number, key in enumerate(keys)
    ]
    groups: dict[_Key, list[int]] = {}
    heads: dict[_Key, int] = {}
    for number in range(len(causes)):
        head = _follow(number, owners)
        key = keys[head] or (head,)
        groups.setdefault(key, []).append(number)
        heads.setdefault(key, head)
    return tuple(
        CauseGroup(tuple(causes[number] for number in numbers), causes[heads[key]]) for key, numbers in groups.items()
    )


def chain_steps(chain: Sequence[ChainNode]) -> list[tuple[str, ChainNode]]:
    """Return each node with the expression that leads to it, ``my_script.seen[7]``; a module is no step by itself.

    What C code holds has no expression: ``inside my_script.view``, and from there on ``inside my_script.view: [0]``.
    What a local variable leads to is named as the function's own code names it: ``self.inbox of consume``.
    """
    expression, steps = "", []
    for number, node in enumerate(chain):
        if node.name == UNNAMED:
            expression = expression if expression.startswith(INSIDE) else INSIDE + expression
        elif number and chain[number - 1].name == UNNAMED:
            expression += f": {node.name}"
        else:
            expression += node.name
        if number or node.type != "module":
            steps.append((as_function_names_it(expression), node))
    return steps


def largest_holder(chain: Sequence[ChainNode]) -> tuple[str, ChainNode] | None:
    """Return the holder that takes most memory by itself, the container that grows; None for an empty way.

    Where the way leads to a container that only a module holds, that is the container itself. A class is large, but it
    does not grow: it is the holder where nothing else is.
    """
    steps = chain_steps(chain)
    held = [step for step in steps if step[1] is not chain[-1]]
    holders = [step for step in held if step[1].type != _CLASS] or held
    return max(holders, key=lambda step: step[1].size_bytes or 0, default=steps[0] if steps else None)


def holder_of(cause: Cause) -> tuple[str, ChainNode] | None:
    """Return who holds what a cause grows by: an attribute that is made anew, or whose table is moved, is that itself.

    One of the items of a container is not: the others may grow as well.
    """
    found = largest_holder(cause.chain)
    if found is None or cause.blocks_per_iteration:
        return found
    itself = chain_steps(cause.chain)[-1]
    is_attribute = itself[1].name.startswith(".")
    return itself if is_attribute and (itself[1].size_bytes or 0) > (found[1].size_bytes or 0) else found


def outline(nodes: Sequence[ChainNode]) -> tuple[tuple[str, str], ...]:
    """Return the names and types on a way, those of different items of one container alike."""
    return tuple((_INDEX.sub("[]", node.name), node.type) for node in nodes if node.name)


def _own_key(cause: Cause) -> _Key | None:
    """Return what its holder is known by; None where it has none, or stays for another reason."""
    if cause.state != "held" or cause.kind == "lost-reference":
        return None
    if cause.ring:
        return ("ring", frozenset(outline(cause.ring)))
    if cause.holder is not None:
        return ("cache", cause.holder.kind, cause.holder.name)
    found = holder_of(cause)
    if found is not None:
        nodes = cause.chain[: [node is found[1] for node in cause.chain].index(True) + 1]
        return ("chain", *outline(nodes))
    root = cause.memory_path[0] if cause.memory_path else None
    if root is not None and root.kind == MemoryKind.STATIC and root.name and not _is_of_objects(cause):
        return ("static", root.module, root.name)
    return None


def _of_owner(number: int, causes: Sequence[Cause], keys: Sequence[_Key | None]) -> int:
    """Return the cause that the object is which owns what this one allocates; itself if none is."""
    owner = causes[number].owner
    if owner is None:
        return number
    same = (at for at, cause in enumerate(causes) if cause.fingerprint == owner.fingerprint)
    return next((at for at in same if keys[at] == keys[number]), number)


def _with_owners(causes: Sequence[Cause], keys: Sequence[_Key | None]) -> list[_Key | None]:
    """Return the keys; of what is part of an object that of this object, or where that has none its type and place."""
    by_fingerprint = {cause.fingerprint: key for cause, key in zip(causes, keys, strict=True) if key is not None}

    def of_owner(cause: Cause, key: _Key | None) -> _Key | None:
        owner = cause.owner
        if owner is None or cause.kind == "lost-reference" or (key is not None and key[0] != "static"):
            return key
        key_of_owner = by_fingerprint.get(owner.fingerprint or "")
        is_told = key_of_owner is not None and key_of_owner[0] != "static"
        return key_of_owner if is_told else ("owner", owner.type, owner.allocated_at)

    return [of_owner(cause, key) for cause, key in zip(causes, keys, strict=True)]


def _with_shortest_chains(keys: Sequence[_Key | None]) -> list[_Key | None]:
    """Return the keys with each way in the place of those that lead further: of nested containers the outermost."""
    chains = sorted({key for key in keys if key is not None and key[0] == "chain"}, key=len)

    def shortest(key: _Key | None) -> _Key | None:
        return next((chain for chain in chains if key is not None and key[: len(chain)] == chain), key)

    return [shortest(key) for key in keys]


def _owner(number: int, causes: Sequence[Cause]) -> int:
    """Return the cause whose objects hold those of this one, or are lost and with them these; itself if none is."""
    cause = causes[number]
    if cause.kind == "lost-reference":
        return number
    for step in reversed(cause.memory_path):
        for other, owner in enumerate(causes):
            if other != number and owner.state == cause.state and _is_allocated_by(step.allocated_at, owner):
                return other
    return number


def _follow(number: int, owners: Sequence[int]) -> int:
    """Return the last owner; of two that own each other the first."""
    seen = [number]
    while owners[seen[-1]] not in seen:
        seen.append(owners[seen[-1]])
    return min(seen[seen.index(owners[seen[-1]]) :])


def _is_allocated_by(place: Place | None, cause: Cause) -> bool:
    return place is not None and place in (cause.where, cause.python_where)


def _is_of_objects(cause: Cause) -> bool:
    """Whether the way leads through the interpreter or its objects: such a root holds everything."""
    module = (cause.memory_path[0].module or "").rpartition("/")[2]
    leads_through_objects = any(step.type for step in cause.memory_path)
    return cause.kind != "native" or leads_through_objects or module.startswith(INTERPRETER_MODULES)
