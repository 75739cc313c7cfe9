"""Of each block the last other block on every way to it from a root: its dominator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.intp]
_ROOT = 0


@dataclass(frozen=True)
class Dominators:
    """Of each block the last other block on every way to it."""

    order: Sequence[int]
    """The blocks that a root leads to, each after its dominator."""
    above: Sequence[int]
    """The dominator of each block, ``(blocks,)``; -1 where roots lead to it in more than one way, or none does."""

    def owners(self, may_own: Sequence[bool] | None = None) -> list[int]:
        """Return for each block the first block on every way to it from a root, -1 where no root leads to it.

        If two ways to a block have no block in common, it owns itself. ``may_own``: which blocks are preferred: the
        first of those on every way; the very first where none of them is.
        """
        owners = [-1] * len(self.above)
        for block in self.order:
            owner = block if self.above[block] < 0 else owners[self.above[block]]
            if may_own is not None and may_own[block] and not may_own[owner]:
                owner = block
            owners[block] = owner
        return owners


def find_dominators(sources: Positions, targets: Positions, is_root: NDArray[np.bool_]) -> Dominators:
    """Return what dominates each block.

    ``sources``, ``targets``: which block points to which, ``(pointers,)``. ``is_root``: whether something outside
    points to a block, ``(blocks,)``.
    """
    following: list[list[int]] = [[] for _ in range(len(is_root) + 1)]
    following[_ROOT] = [int(block) + 1 for block in np.flatnonzero(is_root)]
    for source, target in zip(sources.tolist(), targets.tolist(), strict=True):
        following[source + 1].append(target + 1)
    order, parents = _preorder(following)
    above = [-1] * len(is_root)
    for node, dominator in zip(order[1:], _dominators(following, order, parents)[1:], strict=True):
        above[node - 1] = order[dominator] - 1  # -1 for the root
    return Dominators([node - 1 for node in order[1:]], above)


def _preorder(following: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """Return the nodes that the root leads to, depth first, and the position in that order of the one before each."""
    order, parents, seen = [_ROOT], [0], [False] * len(following)
    seen[_ROOT] = True
    waiting = [(0, iter(following[_ROOT]))]
    while waiting:
        position, rest = waiting[-1]
        for target in rest:
            if not seen[target]:
                seen[target] = True
                waiting.append((len(order), iter(following[target])))
                order.append(target)
                parents.append(position)
                break
        else:
            waiting.pop()
    return order, parents


def _dominators(following: Sequence[Sequence[int]], order: Sequence[int], parents: Sequence[int]) -> list[int]:
    """Return the immediate dominator of each node, all as positions in ``order`` (Georgiadis 2005: SEMI-NCA).

    The time grows nearly with the number of pointers, also in graphs of many cycles, such as elements that point to
    their bin and to each other.
    """
    before = _turned_round(following, order)
    semi, label, above = list(range(len(order))), list(range(len(order))), list(parents)

    def least(node: int, first_linked: int) -> int:
        """Return the node with the smallest semidominator on the way up to the nodes that are not linked yet."""
        path = []
        while above[node] >= first_linked:
            path.append(node)
            node = above[node]
        for below in reversed(path):
            above[below] = above[node]
            if semi[label[node]] < semi[label[below]]:
                label[below] = label[node]
            node = below
        return label[node]

    for node in range(len(order) - 1, 0, -1):
        semi[node] = min(parents[node], *(semi[least(other, node + 1)] for other in before[node]))
    found = list(parents)
    for node in range(1, len(order)):
        while found[node] > semi[node]:
            found[node] = found[found[node]]
    return found


def _turned_round(following: Sequence[Sequence[int]], order: Sequence[int]) -> list[list[int]]:
    """Return the nodes that point to each one, all as positions in ``order``."""
    number = [-1] * len(following)
    for position, node in enumerate(order):
        number[node] = position
    before: list[list[int]] = [[] for _ in order]
    for position, node in enumerate(order):
        for target in following[node]:
            before[number[target]].append(position)
    return before
