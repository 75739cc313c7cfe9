"""The way from a root to an object, as the measured process tells it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from soak.inside import objects


class Thing:
    def __init__(self, part: object) -> None:
        self.part = part


@pytest.fixture(autouse=True)
def _without_the_tests_own_variables(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(objects, "_variables", lambda frame: [])


def way_to(target: object, state: object) -> list[str]:
    """Return the steps to ``target`` from ``state``."""
    found = objects.find_chains({id(target): id(type(target))}, [("the state", state)])
    return next((steps for address, steps in found if address == id(target)), [])


def test_items_attributes_and_keys_are_named_as_they_are_written():
    target = bytes(50)

    steps = way_to(target, {"frames": [Thing((1, target))]})

    assert steps[:2] == ["the state, a dict of 1", "the state['frames'], a list of 1"]
    assert steps[2].startswith("the state['frames'][...], a Thing")
    assert steps[-1].startswith("the state['frames'][...].part[1], a bytes of 50: b'")


def test_what_untracked_tuples_and_dicts_hold_is_found():
    """Gc's own list does not have them."""
    target = "text " + str(12345)

    assert way_to(target, {"a": ({"b": target},)})[-1] == "the state['a'][0]['b'], a str of 10: 'text 12345'"


def test_a_closures_variable_is_named():
    kept = [bytearray(10)]

    def function() -> object:
        return kept

    steps = way_to(kept[0], function)

    assert steps[:2] == ["the state, a function", "the state.kept, a list of 1"]
    assert steps[2].startswith("the state.kept[...], a bytearray of 10: ")


def test_a_global_is_found_from_its_module(monkeypatch: pytest.MonkeyPatch):
    target = Thing(None)
    monkeypatch.setattr(sys.modules[__name__], "registry", {7: target}, raising=False)

    found = objects.find_chains({id(target): id(Thing)}, [])

    assert found == [(id(target), [f"{__name__}.registry, a dict of 1", f"{__name__}.registry[7], a Thing"])]


def test_an_array_is_told_by_shape_and_type():
    target = np.zeros((4, 5), np.uint8)

    assert way_to(target, [target])[-1] == "the state[...], a ndarray (4, 5) uint8"


def test_addresses_are_never_followed():
    """What is no object, or another by now, is not found; nothing crashes."""
    here = [Thing(None)]

    assert objects.find_chains({0x10: 0x20, 2**47 - 8: id(list)}, [("the state", here)]) == []
    assert objects.find_chains({id(here[0]): id(list)}, [("the state", here)]) == []


def test_the_walk_ends_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(objects, "LONGEST_S", -1.0)
    target = Thing(None)

    assert way_to(target, [[target]]) == []


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

    assert steps == ["the state, a list of 1", "the state[...], a Loud"]
    assert inner[-1].startswith("the state[...]->, a bytes of 40")
