"""Ways from an object back to itself, and what a collection finds."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from soak.attribution.object_answers import Link
from soak.attribution.pointers.reference_cycles import describe_ring
from soak.inside.objects import reference_cycles


class Frame:
    parent: object
    pixels: object


class Node:
    def __init__(self, children: object) -> None:
        self.children = children


@pytest.fixture(autouse=True)
def _collections_are_left_as_they_were() -> Iterator[None]:
    gc.collect()
    before = (gc.isenabled(), gc.get_debug(), len(gc.garbage))
    yield
    assert (gc.isenabled(), gc.get_debug(), len(gc.garbage)) == before


def line_of(target: object) -> str:
    return describe_ring([Link(*node) for node in reference_cycles.find_ring(target)])


def make_ring() -> Frame:
    frame = Frame()
    frame.parent = Node([0, frame])
    frame.pixels = bytes(10)
    return frame


def test_the_way_back_goes_through_attributes_and_items():
    assert line_of(make_ring()) == "Frame → .parent → Node → .children[1] → Frame"


def test_it_begins_with_an_object_that_people_name():
    """It does not begin with the list in the middle, even if the question was about that."""
    ring = make_ring()
    assert isinstance(ring.parent, Node)

    assert line_of(ring.parent.children) in (
        "Node → .children[1] → Frame → .parent → Node",
        "Frame → .parent → Node → .children[1] → Frame",
    )


def test_a_dict_key_a_closure_and_an_object_of_itself():
    by_key: dict[str, object] = {}
    by_key["me"] = by_key

    def again() -> object:
        return again

    assert line_of(by_key) == "dict → ['me'] → dict"
    assert line_of(again) == "function → .again → function"


def test_what_leads_nowhere_back_has_no_ring():
    """Its class leads to many objects, but not back."""
    assert reference_cycles.find_ring(Node([Frame()])) == []


def test_garbage_is_counted_by_type_and_one_ring_shown():
    def run() -> int:
        for _ in range(5):
            make_ring()
        return 5

    cycles, objects, types, ring = reference_cycles.collect_garbage(run, lambda nodes: nodes)

    counts = {name: number for name, number in types if name != "dict"}
    assert (cycles, counts) == (5, {"Frame": 5, "Node": 5, "list": 5})
    assert objects == sum(number for _, number in types)
    assert describe_ring([Link(*node) for node in ring]) == "Frame → .parent → Node → .children[1] → Frame"


def test_a_component_without_garbage_has_none():
    """The twin: the same objects, the ring broken."""

    def run() -> int:
        make_ring().__dict__.clear()
        return 1

    assert reference_cycles.collect_garbage(run, lambda nodes: nodes) == (1, 0, [], [])


def test_objects_are_found_by_address_and_type_among_those_that_gc_knows():
    frame = make_ring()

    assert reference_cycles.find_objects({id(frame): id(Frame)}) == {id(frame): frame}
    assert reference_cycles.find_objects({id(frame): id(Node), 0x10: id(Node)}) == {}
