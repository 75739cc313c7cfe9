"""Say a reference cycle in one line: ``Frame → .parent → Node → .children[0] → Frame``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

_CONTAINERS = ("dict", "list", "tuple", "set", "frozenset")


class RingNode(Protocol):
    """An object, and how it is reached from the one before."""

    @property
    def name(self) -> str:
        """An attribute, an index or a key."""

    @property
    def type(self) -> str:
        """Empty if some are left out."""


def describe_ring(ring: Sequence[RingNode]) -> str:
    """Return the line; containers are part of the way. ``ring``: the last is the object it begins with."""
    words, name = [ring[0].type or "..."], ""
    for link in ring[1:]:
        name += link.name
        if link is ring[-1] or link.type not in _CONTAINERS:
            words += [name, link.type or "..."]
            name = ""
    return " → ".join(words)
