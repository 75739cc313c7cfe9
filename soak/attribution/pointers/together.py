"""Find memory that objects of one type keep together, though none of them keeps it alone.

For example messages that nobody reads, all of which point to the elements of one bin. No single message is on every way
to the elements, but every way goes through a message.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from soak.attribution.pointers.dominators import Positions

_MOST_KINDS = 8


def give_to_kinds_that_keep_together(
    owners: list[int],
    sources: Positions,
    targets: Positions,
    is_root: NDArray[np.bool_],
    kinds: Sequence[str],
    sizes: Sequence[int],
) -> None:
    """Make an object of a type the owner of blocks that are only reached through objects of this type.

    The type that keeps most bytes comes first.

    ``owners``: as of `Dominators.owners`; changed. ``kinds``: the type of the object in each block, empty for none that
    may own others.
    """
    following: defaultdict[int, list[int]] = defaultdict(list)
    for source, target in zip(sources.tolist(), targets.tolist(), strict=True):
        following[source].append(target)
    roots = np.flatnonzero(is_root).tolist()
    everything = _follow(roots, following)
    own: defaultdict[str, list[int]] = defaultdict(list)
    for block, owner in enumerate(owners):
        if block == owner and kinds[block]:
            own[kinds[block]].append(block)
    candidates = sorted((kind for kind in own if len(own[kind]) > 1), key=lambda kind: -len(own[kind]))[:_MOST_KINDS]
    kept: dict[str, set[int]] = {}
    for kind in candidates:
        alike = {block for block, its_kind in enumerate(kinds) if its_kind == kind}
        others = _follow([root for root in roots if root not in alike], following, alike)
        kept[kind] = everything.keys() - others.keys()
    given: set[int] = set()
    for kind in sorted(kept, key=lambda kind: -sum(sizes[block] for block in kept[kind])):
        if kept[kind].isdisjoint(given):
            _give(owners, kept[kind], [block for block in own[kind] if block in kept[kind]], following, kinds)
            given |= kept[kind]


def _give(
    owners: list[int],
    kept: set[int],
    heads: Sequence[int],
    following: Mapping[int, Sequence[int]],
    kinds: Sequence[str],
) -> None:
    kind = kinds[heads[0]]
    for block, head in _follow(heads, following).items():
        if block in kept and kinds[owners[block]] != kind:
            owners[block] = head


def _follow(
    begin: Sequence[int], following: Mapping[int, Sequence[int]], without: set[int] | None = None
) -> dict[int, int]:
    """Return the blocks to which pointers lead from some, and from which of those; not through those of ``without``."""
    found = {block: block for block in begin}
    waiting = list(begin)
    while waiting:
        block = waiting.pop()
        for target in following.get(block, ()):
            if target not in found and (without is None or target not in without):
                found[target] = found[block]
                waiting.append(target)
    return found
