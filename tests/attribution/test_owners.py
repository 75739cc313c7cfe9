"""Who owns what stays: the dominators of small graphs, known by hand and by removing blocks one by one."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from soak.attribution.pointers.dominators import find_dominators
from soak.attribution.pointers.owners import (
    MaybeGObject,
    Member,
    Ownership,
    Survivors,
    sum_up,
    take_hubs_for_owners,
)

Edges = Iterable[tuple[int, int]]


def arrays(edges: Edges) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.array(list(edges), np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def owners_of(count: int, edges: Edges, roots: Iterable[int]) -> list[int]:
    is_root = np.zeros(count, np.bool_)
    is_root[list(roots)] = True
    return find_dominators(*arrays(edges), is_root).owners()


@pytest.mark.parametrize(
    ("edges", "roots", "owners"),
    [
        ([(0, 1), (1, 2)], [0], [0, 0, 0]),
        ([(0, 1), (1, 2), (2, 0)], [0], [0, 0, 0]),
        ([(0, 2), (1, 2)], [0, 1], [0, 1, 2]),
        ([(0, 1), (1, 2)], [0, 2], [0, 0, 2]),
        ([(0, 1), (0, 2), (1, 3), (2, 3)], [0], [0, 0, 0, 0]),
        ([(0, 1), (1, 0)], [], [-1, -1]),
        ([(0, 1), (2, 3), (3, 2)], [0], [0, 0, -1, -1]),
        ([], [], []),
    ],
    ids=["chain", "ring", "shared", "held twice", "diamond", "no root", "beside", "nothing"],
)
def test_the_owner_is_the_first_block_on_every_way(edges: Edges, roots: list[int], owners: list[int]):
    assert owners_of(len(owners), edges, roots) == owners


def reached(count: int, edges: Edges, roots: Iterable[int], without: int) -> set[int]:
    """Return what is reached from the roots when one block is not there."""
    waiting, seen = [root for root in roots if root != without], set()
    while waiting:
        block = waiting.pop()
        if block not in seen:
            seen.add(block)
            waiting += [target for source, target in edges if source == block and target != without]
    return seen


def test_without_its_owner_a_block_is_not_reached():
    """And no block that owns itself is kept by another one alone."""
    for seed in range(200):
        check_owners_of_a_random_graph(seed)


def check_owners_of_a_random_graph(seed: int) -> None:
    chance = random.Random(seed)
    count = chance.randrange(2, 14)
    edges = [(chance.randrange(count), chance.randrange(count)) for _ in range(chance.randrange(3 * count))]
    roots = chance.sample(range(count), chance.randrange(count))

    owners = owners_of(count, edges, roots)

    everything = reached(count, edges, roots, without=-1)
    assert {block for block, owner in enumerate(owners) if owner >= 0} == everything, seed
    for block in everything:
        keepers = {one for one in everything if block not in reached(count, edges, roots, without=one)}
        own = owners[block]
        assert own in keepers, seed
        assert owners[own] == own, seed
        assert keepers - {block} == set() if own == block else own != block, seed


def test_of_objects_that_hold_each_other_the_one_most_point_to_is_the_owner():
    """Two bins of two elements each, raw memory of an element that both know; beside them another ring."""
    edges = [(0, 1), (0, 2), (1, 0), (2, 0), (2, 3), (4, 5), (4, 6), (5, 4), (6, 4), (6, 3), (6, 7), (8, 9), (9, 8)]
    kinds = ["bin", "element", "element", "", "bin", "element", "element", "", "", "ring"]
    owners = owners_of(10, edges, [])

    take_hubs_for_owners(owners, *arrays(edges), kinds)

    assert owners == [0, 0, 0, 3, 4, 4, 4, 4, 9, 9]


@pytest.mark.parametrize(
    ("kinds", "owners"),
    [
        (["", "", "Song", "Song"], [0, 0, 2, 2]),
        (["", "", "", ""], [0, 0, 0, 0]),
        (["Song", "", "Song", ""], [0, 0, 0, 0]),
    ],
    ids=["an object below raw memory", "only raw memory", "an object at first"],
)
def test_the_first_object_on_every_way_is_preferred_to_raw_memory(kinds: list[str], owners: list[int]):
    is_root = np.array([True, False, False, False])

    found = find_dominators(*arrays([(0, 1), (1, 2), (2, 3)]), is_root).owners([bool(kind) for kind in kinds])

    assert found == owners


def test_kinds_of_owners_are_summed_up():
    """Two bins own an element each, made where bins are made too, and a buffer; a label belongs to nobody's kind."""
    members = [
        *(Member(1, "GstBin", 100, 7), Member(1, "GstPad", 20, 8), Member(2, "", 4000), Member(9, "function", 144)),
        *(Member(1, "GstBin", 100, 7), Member(1, "GstPad", 20, 8), Member(2, "", 6000), Member(9, "function", 144)),
        Member(3, "", 5),
    ]
    owners = [0, 0, 0, 0, 4, 4, 4, 4, 8]

    (owned,) = sum_up(owners, members, [3, 7], range(8), cycles=4, memory={})

    assert owned == Ownership(1, "GstBin", 0.5, 5264.0, frozenset({1, 2, 9}), made_at=7, is_lost=True, function_site=9)
    assert sum_up(owners, members, [], (), cycles=4, memory={0: (5, 6), 4: (5, 6)}) == [
        replace(owned, is_lost=False, function_site=None, memory_sites=(5, 6))
    ]


def test_an_object_that_owns_nothing_else_is_not_told():
    assert sum_up([0, 1], [Member(1, "list", 56), Member(1, "list", 56)], [], (), 2, {}) == []


def survivors(edges: Edges, roots: Iterable[int], kinds: list[str]) -> Survivors:
    """Give blocks of one site for each kind, ten of each in a row, as they survive."""
    is_root = np.zeros(len(kinds), np.bool_)
    is_root[list(roots)] = True
    sites = [sorted(set(kinds)).index(kind) for kind in kinds]
    return Survivors(*arrays(edges), is_root, sites, sites, [100] * len(kinds), kinds, cycles=10, gobjects=())


@pytest.mark.parametrize("is_linked", [True, False])
def test_a_linked_list_of_which_only_an_end_is_held_holds_the_rest(is_linked: bool):
    """As a deque's blocks are. Where they are not linked, a pointer to one of ten is one that was left behind."""
    edges = [(block, block + 10) for block in range(10)] + [(10 + block, 20 + block) for block in range(10)]
    if is_linked:
        edges += [(block, block + 1) for block in range(9)]

    found = survivors(edges, [0], [""] * 10 + ["Frame"] * 10 + ["ndarray"] * 10).owners({})

    # The first block of the list owns all; it is no object, so the objects below it are told, and the list beside.
    told = [(owned.kind, owned.is_lost, owned.memory_sites) for owned in found]
    assert told == [("Frame", False, (0, 0)) if is_linked else ("Frame", True, ())]


MESSAGES_OF_BINS = [(20 + pair, pair // 2) for pair in range(20)] + [(block, 10 + block) for block in range(10)]
"""Ten bins (0 to 9) have a pad each (10 to 19), and two messages each (20 to 39) lead to a bin."""
KINDS_OF_BINS = ["GstBin"] * 10 + ["GstPad"] * 10 + ["GstMessage"] * 20


@pytest.mark.parametrize(
    ("further_roots", "told"),
    [([], ["GstMessage"]), (range(10, 20), ["GstMessage"]), (range(10), ["GstBin"])],
    ids=["only messages lead to bins", "something else leads to their pads", "something else leads to bins"],
)
def test_what_objects_of_one_type_lead_to_together_belongs_to_them(further_roots: Iterable[int], told: list[str]):
    """No single message is on every way to a bin, for two lead to it; a message is on every way."""
    found = survivors(MESSAGES_OF_BINS, [*range(20, 40), *further_roots], KINDS_OF_BINS).owners({})

    assert [owned.kind for owned in found] == told
    kept_with_bins = {sorted(set(KINDS_OF_BINS)).index(kind) for kind in ("GstBin", "GstMessage", "GstPad")}
    if not further_roots:
        assert found[0].owned_sites == kept_with_bins
        assert (found[0].per_cycle, found[0].bytes_each) == (2.0, 200.0)


def test_objects_of_glib_are_counted_by_type_and_have_the_usual_count_of_references():
    """Ten bins and the pads that point to them, of ten cycles; a number that is no GType counts for nothing."""
    bins, pads = 700, 800
    edges = [(10 + block, block) for block in range(10)] + [(block, 10 + block) for block in range(10)]
    told = [MaybeGObject(block, bins if block < 10 else pads, 3 if block in (4, 10) else 1) for block in range(20)]
    told += [MaybeGObject(20, 12345, 1), MaybeGObject(0, pads, 9)]
    sites = [0] * 10 + [1] * 10 + [2]
    found = replace(survivors(edges, [], [""] * 21), gobjects=told, sites=sites, stacks=sites)
    names = {bins: "GstBin", pads: "GstPad"}

    assert found.gobjects_per_cycle(names) == {"GstBin": 1.0, "GstPad": 1.0}
    assert found.gobjects_per_cycle({}) == {}
    assert [(owned.kind, owned.ref_count, owned.is_lost) for owned in found.owners(names)] == [("GstBin", 1, True)]


def test_an_owner_was_made_where_most_stacks_say_though_most_have_none():
    made_at = [1, 1, 1, 7, 7, 8]
    members = [each for at in made_at for each in (Member(1, "GstBin", 100, at), Member(2, "", 4000))]

    (owned,) = sum_up([0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10], members, [], (), cycles=6, memory={})

    assert owned.made_at == 7


@pytest.mark.parametrize("made_at", [[1, 1, 1, 7], [1, 7, 7, 8, 8], [1, 1, 1, 1]], ids=["one", "two lines", "none"])
def test_where_owners_were_made_is_not_told_by_one_of_many_or_by_different_ones(made_at: list[int]):
    members = [each for at in made_at for each in (Member(1, "GstMessage", 100, at), Member(2, "", 4000))]
    owners = [owner for number in range(len(made_at)) for owner in (2 * number, 2 * number)]

    (owned,) = sum_up(owners, members, [], (), cycles=len(made_at), memory={})

    assert owned.made_at == 1
