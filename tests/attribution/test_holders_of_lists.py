"""A linked list is held at its first node: a pointer that was left behind leads to any of them. On made-up memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from soak.native.layout import NATIVE, PYTHON_OBJ
from soak.probes.ledgers.shadow import Blocks
from soak.running.scanning.scan.holders import HolderSearch, Targets
from soak.running.scanning.scan.seen_memory import TooLongError

SITE, STACK, NODES, OTHER = 7, 100, (0x1000, 0x2000, 0x3000), 0x9000
SIZE_BYTES, HOLDER, LEFT_BEHIND = 48, 0xA000, 0xB000


def search(links: dict[int, int], *, domain: int = NATIVE) -> HolderSearch:
    """Search in three blocks of one site, each with a pointer to another, and one of another site."""
    starts = np.array([*NODES, OTHER], np.uint64)
    sites = np.array([SITE, SITE + STACK, SITE, SITE + 1], np.uint32)  # the second has a stack of its own
    blocks = Blocks(
        starts, np.full(4, SIZE_BYTES, np.uint64), np.ones(4, np.uint64), sites, np.full(4, domain, np.uint8)
    )
    pointers = {0: [HOLDER], 1: [NODES[0] + 40], 2: [NODES[1] + 40, LEFT_BEHIND], 3: [LEFT_BEHIND]}

    def read(address: int, words: int) -> Any:
        return np.array([*[0] * (words - 1), links.get(address, 0)], np.uint64)

    def pointers_to(asked: Any, _ranges: Any) -> dict[int, Any]:
        return {int(block): np.array(pointers[int(block)], np.uint64) for block in asked}

    seen: Any = SimpleNamespace(
        blocks=blocks, memory=SimpleNamespace(read=read), pointers_to=pointers_to, site_of=lambda sites: sites % STACK
    )
    nothing: Any = None
    return HolderSearch(seen, nothing, nothing, nothing)


@pytest.mark.parametrize(
    ("links", "domain", "words"),
    [
        ({NODES[0]: NODES[1], NODES[1]: NODES[2]}, NATIVE, [HOLDER]),
        ({NODES[0]: NODES[1], NODES[1]: NODES[2]}, PYTHON_OBJ, [NODES[1] + 40, LEFT_BEHIND]),
        ({}, NATIVE, [NODES[1] + 40, LEFT_BEHIND]),
        ({NODES[0]: NODES[2], NODES[1]: NODES[2]}, NATIVE, [NODES[1] + 40, LEFT_BEHIND]),
        (dict(zip(NODES, (NODES[1], NODES[2], NODES[0]), strict=True)), NATIVE, [NODES[1] + 40, LEFT_BEHIND]),
    ],
    ids=["a list", "objects of Python", "no list", "two lead to it", "a ring"],
)
def test_a_list_is_held_by_what_points_to_its_first_node(links: dict[int, int], domain: int, words: list[int]):
    found = search(links, domain=domain)._pointers_to([2, 3], None)

    assert {block: here.tolist() for block, here in found.items()} == {2: words, 3: [LEFT_BEHIND]}


def test_holders_that_take_too_long_to_find_leave_those_that_were_found():
    found = search({})
    seen: Any = found._seen
    seen.mappings, seen.gtypes_in = [], lambda _block: ()
    seen.is_on_stack = seen.is_static = lambda words: np.zeros(len(words), np.bool_)
    seen.pointers_to = raise_too_long
    roots = np.array([OTHER + 8, 0, 0, 0], np.uint64)
    found._targets = Targets(seen.blocks, np.array([SITE, SITE, SITE, SITE + 1], np.uint32), np.ones(4, np.bool_))
    found._reached = SimpleNamespace(reached=roots != 0, roots=roots, before=np.full(4, -1))  # type: ignore[assignment]

    holders = found.find(np.array([SITE], np.uint32), 0.0)

    assert [(holder.address, holder.site) for holder in holders[SITE]] == [(OTHER + 8, SITE + 1)]


def raise_too_long(*_: Any) -> None:
    raise TooLongError("it takes longer than 5 s to read")
