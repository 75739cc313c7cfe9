"""Targets inside the measured process: found, imported as they would be by themselves, refused with one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from soak.inside import loading

WriteFile = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def _no_module_stays() -> Iterator[None]:
    """Forget the modules that a test made."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def load(kind: str, path: Path | str = "", module: str = "", function: str = "") -> loading.Component:
    return loading.load({"kind": kind, "path": str(path), "module": module, "function": function})


def run(component: loading.Component, cycles: int = 1, **settings: object) -> None:
    arguments = component.setup(settings)
    for _ in range(cycles):
        component.cycle(*arguments)
    component.teardown(*arguments)


def test_a_drivers_three_functions_share_its_state(write: WriteFile):
    file = write(
        "drive_it.py",
        """
        seen = []
        def setup(size, name="a"): return [size, name]
        def cycle(state): state[0] += 1
        def teardown(state): seen.append(state)
        """,
    )
    component = load("driver", file)

    run(component, cycles=3, size=5)

    assert sys.modules["drive_it"].seen == [[8, "a"]]


def test_a_driver_that_goes_on_gets_its_state_from_resume(write: WriteFile):
    file = write(
        "drive_it.py",
        """
        seen = []
        def setup(name): return [name, 0]
        def resume(cycle, name): return [name, cycle]
        def cycle(state): state[1] += 1
        def teardown(state): seen.append(state)
        """,
    )
    target = {"kind": "driver", "path": str(file), "module": "", "function": ""}
    for resumed_at in (0, 700):
        run(loading.load({**target, "resumed_at": resumed_at}), cycles=3, name="a")
        (state,) = sys.modules.pop("drive_it").seen
        assert state == ["a", resumed_at + 3]


def test_a_driver_without_setup_and_teardown_gets_none(write: WriteFile):
    component = load("driver", write("drive_it.py", "seen = []\ndef cycle(state): seen.append(state)\n"))

    run(component, cycles=2)

    assert sys.modules["drive_it"].seen == [None, None]


def test_a_function_is_called_without_arguments(write: WriteFile):
    component = load("function", write("case.py", "seen = []\ndef read(*a): seen.append(a)\n"), function="read")

    run(component, cycles=2)

    assert sys.modules["case"].seen == [(), ()]


def test_a_function_may_be_inside_a_class(write: WriteFile):
    text = "seen = []\nclass A:\n    class B:\n        @staticmethod\n        def read(): seen.append(1)\n"
    component = load("function", write("case.py", text), function="A.B.read")

    run(component)

    assert sys.modules["case"].seen == [1]


def test_a_function_of_a_module_is_found_by_its_name(write: WriteFile, monkeypatch: pytest.MonkeyPatch):
    file = write("package_of_mine/below.py", "seen = []\ndef read(): seen.append(1)\n")
    write("package_of_mine/__init__.py", "")
    monkeypatch.syspath_prepend(file.parents[1])

    run(load("module", module="package_of_mine.below", function="read"))

    assert sys.modules["package_of_mine.below"].seen == [1]


def test_the_empty_component_does_nothing_at_all():
    run(load("empty"), cycles=3)


def test_a_module_knows_its_file_and_is_importable_by_name(write: WriteFile):
    """As pickle, inspect and a module that imports itself need it."""
    file = write(
        "case.py", "import sys\ndef read(): return __file__, __name__, __spec__.origin, sys.modules[__name__]\n"
    )

    component = load("function", file, function="read")

    assert component.cycle() == (str(file), "case", str(file), sys.modules["case"])


def test_a_file_named_like_a_module_in_use_does_not_replace_it(write: WriteFile):
    """A driver may be named json.py; other code still imports the standard json."""
    import json

    component = load("function", write("json.py", "def read(): return __name__\n"), function="read")

    assert component.cycle() == "soaked_json"
    assert sys.modules["json"] is json


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "has no function cycle(state); a driver needs one"),
        ("cycle = 5\n", "has no function cycle(state); a driver needs one"),
    ],
)
def test_a_driver_without_cycle_is_refused(write: WriteFile, text: str, error: str):
    with pytest.raises(TypeError) as refused:
        load("driver", write("drive_it.py", text))

    assert error in str(refused.value)


@pytest.mark.parametrize("function", ["gone", "A.gone", "value"])
def test_a_name_that_is_no_function_is_refused(write: WriteFile, function: str):
    with pytest.raises(TypeError, match=f"has no function {function}"):
        load("function", write("case.py", "value = 5\nclass A: pass\n"), function=function)


def test_settings_for_a_driver_without_setup_are_refused(write: WriteFile):
    component = load("driver", write("drive_it.py", "def cycle(state): pass\n"))

    with pytest.raises(TypeError, match="takes no settings"):
        component.setup({"size": 5})


@pytest.mark.parametrize(
    ("text", "error"),
    [("raise OSError('import')\n", OSError), ("def cycle(:\n", SyntaxError), ("import no_such_thing\n", ImportError)],
)
def test_an_error_during_import_passes_through(write: WriteFile, text: str, error: type[Exception]):
    with pytest.raises(error):
        load("driver", write("drive_it.py", text))
