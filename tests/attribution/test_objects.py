"""The way from a root to an object, as the measured process tells it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from soak.attribution.object_answers import Link, draw_chain, draw_nodes, read_object_answers
from soak.inside.objects import holders
from soak.reporting.words import held_by
from soak.results import Cause, Place


class Thing:
    def __init__(self, part: object) -> None:
        self.part = part


@pytest.fixture(autouse=True)
def _without_the_tests_own_variables(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(holders, "_variables", lambda frame: [])
    monkeypatch.setattr(holders, "LONGEST_S", 60.0)


def walk_to(target: object, state: object) -> holders.Walk:
    walk = holders.Walk({id(target): id(type(target))})
    walk.go([("the state", state)])
    return walk


def way_to(target: object, state: object) -> list[str]:
    """Return the steps to ``target`` from ``state``, without the sizes."""
    walk = walk_to(target, state)
    if not walk.arrived:
        return []
    nodes = [(*node[:3], 0, 0) for node in walk.describe(walk.arrived[0][1])]
    answer = {"chains": [(1, nodes, None, False)], "rings": [], "garbage": None, "is_complete": True}
    links = read_object_answers(answer, 0).by_site[1].chain
    return list(held_by(Cause("python-object", True, "held", "f1", chain=draw_nodes(links, lambda _: None))))


def test_items_attributes_and_keys_are_named_as_they_are_written():
    target = bytes(50)

    steps = way_to(target, {"frames": [Thing((1, target))]})

    assert steps[:2] == ["the state, a dict of 1", "the state['frames'], a list of 1"]
    assert steps[2].startswith("the state['frames'][0], a Thing")
    assert steps[-1].startswith("the state['frames'][0].part[1], a bytes of 50: b'")


def test_of_a_holder_that_cpython_recycles_it_is_not_said_who_allocated_it():
    """An import made the list and dropped it; the module that holds it now got it from the free list."""
    links = [
        Link("module my_script", "a module", "module", 72, 3),
        Link(".seen", "a list of 9", "list", 136, 4),
        Link("[7]", "a list of 3", "list", 88, 5),
    ]

    drawn = draw_chain(links, lambda site: Place("work", "app.py", site))

    assert [node.allocated_at and node.allocated_at.line for node in drawn] == [3, None, 5]
    assert [node.name for node in drawn] == ["my_script", ".seen", "[7]"]
    assert draw_chain([], lambda site: None) == ()


def test_what_untracked_tuples_and_dicts_hold_is_found():
    """They are not in gc's list."""
    target = "text " + str(12345)

    assert way_to(target, {"a": ({"b": target},)})[-1] == "the state['a'][0]['b'], a str of 10: 'text 12345'"


def test_a_closures_variable_is_named():
    kept = [bytearray(10)]

    def function() -> object:
        return kept

    steps = way_to(kept[0], function)

    name = "test_a_closures_variable_is_named.<locals>.function"
    assert steps[:2] == [f"the state, a function {name}", "the state.kept, a list of 1"]
    assert steps[2].startswith("the state.kept[0], a bytearray of 10: ")


def test_a_global_is_found_from_its_module(monkeypatch: pytest.MonkeyPatch):
    target = Thing(None)
    monkeypatch.setattr(sys.modules[__name__], "registry", {7: target}, raising=False)

    assert way_to(target, None) == [f"{__name__}.registry, a dict of 1", f"{__name__}.registry[7], a Thing"]


def test_an_array_is_told_by_shape_and_type():
    target = np.zeros((4, 5), np.uint8)

    assert way_to(target, [target])[-1] == "the state[0], a ndarray (4, 5) uint8"


def test_addresses_are_never_followed(monkeypatch: pytest.MonkeyPatch):
    """An address that is no object, or is another object by now, is not found; nothing crashes."""
    monkeypatch.setattr(holders, "_modules", list)
    monkeypatch.setattr(holders, "_of_interpreter", list)
    here = [Thing(None)]

    for wanted in ({0x10: 0x20, 2**47 - 8: id(list)}, {id(here[0]): id(list)}):
        walk = holders.Walk(wanted)
        walk.go([("the state", here)])
        assert (walk.arrived, walk.is_complete) == ([], True)


def test_the_walk_ends_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(holders, "LONGEST_S", -1.0)
    monkeypatch.setattr(holders, "LONGEST_IN_CACHES_S", -1.0)
    target, many = Thing(None), [[number] for number in range(100_000)]

    walk = walk_to(target, [many, [[[[[target]]]]]])

    assert (walk.arrived, walk.is_complete) == ([], False)


def test_the_walk_takes_so_much_memory_and_no_more(monkeypatch: pytest.MonkeyPatch):
    """A walk that was cut says so, because then a cache may not be the only holder."""
    monkeypatch.setattr(holders, "MOST_OBJECTS", 20_000)
    target, many = Thing(None), [[number] for number in range(100_000)]

    walk = walk_to(target, [many, [[[[[[[[target]]]]]]]]])

    assert (walk.arrived, walk.is_complete) == ([], False)


def test_the_middle_of_a_long_way_is_left_out():
    target: object = Thing(None)
    state = target
    for _ in range(1000):
        state = [state]

    steps = way_to(target, state)

    assert len(steps) == 11
    assert steps[5] == "..."
    assert steps[-1] == "the state[0][0][0][0]...[0][0][0][0][0], a Thing"


def test_the_size_of_an_object_is_told_unless_asking_would_run_its_own_code():
    class Loud(list):  # type: ignore[type-arg]
        def __sizeof__(self) -> int:
            raise AssertionError("asked")

    target, loud = bytes(40), Loud([1])
    plain = walk_to(target, [target])
    own = walk_to(loud, [loud])

    assert plain.describe(plain.arrived[0][1])[-1][3] == sys.getsizeof(target)
    assert own.describe(own.arrived[0][1])[-1][3] == 0


def test_foreign_code_is_not_run():
    """Neither repr nor len nor attributes of what the component defines."""

    class Loud(dict):  # type: ignore[type-arg]
        def __repr__(self) -> str:
            raise AssertionError("asked")

        def __len__(self) -> int:
            raise AssertionError("asked")

        def __getattribute__(self, name: str) -> object:
            raise AssertionError("asked")

    target = bytes(40)
    loud = Loud(a=target)

    steps, inner = way_to(loud, [loud]), way_to(target, [loud])
    del loud

    assert steps == ["the state, a list of 1", "the state[0], a Loud"]
    assert inner[-1].startswith("the state[0]['a'], a bytes of 40")
