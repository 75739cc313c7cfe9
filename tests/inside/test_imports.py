"""Modules that the cycles import for the first time, and what only they hold."""

from __future__ import annotations

import importlib
import sys
import time
import types
from pathlib import Path

import pytest

from soak.inside.objects import answers, holders
from soak.inside.objects.imports import Imports

MODULES = 4


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Give the names of modules that can be imported, each with a list of its own; forget them afterwards."""
    found = [f"lazily_imported_{number}" for number in range(MODULES)]
    for name in found:
        (tmp_path / f"{name}.py").write_text("table = [[]]\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(holders, "_variables", lambda frame: [])
    # A process full of tests has more modules than a walk has time for.
    monkeypatch.setattr(
        holders, "_modules", lambda made: [(f"module {n}", sys.modules[n]) for n in found if n in sys.modules]
    )
    yield found
    for name in found:
        sys.modules.pop(name, None)


def import_all(names: list[str], *, begun_s: float | None = None) -> Imports:
    known = len(sys.modules)
    for name in names:
        importlib.import_module(name)
    return Imports(known, time.time() + 1 if begun_s is None else begun_s)


def only_modules_hold(imported: Imports, targets: list[object], state: object = None) -> bool:
    samples = [(id(target), id(type(target))) for target in targets]
    found = answers._look_for([(7, samples)], [("the state", state)], lambda most: 0, lambda address: 0, imported)
    (_, _, cache, only), *_ = found["chains"]
    return bool(only and cache is not None and cache[0] == "modules")


def tables(names: list[str]) -> list[object]:
    return [sys.modules[name].table[0] for name in names]


def test_a_module_that_a_cycle_makes_belongs_to_the_table_of_all_modules(
    names: list[str], monkeypatch: pytest.MonkeyPatch
):
    """Plugins that get a name of their own each time: not the latest keeps them, but the table."""
    made = types.ModuleType("plugin_of_a_cycle")
    made.table = [object()]
    known = len(sys.modules)
    monkeypatch.setitem(sys.modules, "plugin_of_a_cycle", made)
    del made
    of_cycles = {"plugin_of_a_cycle": "plugin"}
    monkeypatch.setattr(
        holders, "_modules", lambda made: [(root, sys.modules[n]) for n, root in of_cycles.items() if n not in made]
    )
    imported = Imports(known, time.time() + 1)
    target = sys.modules["plugin_of_a_cycle"].table[0]
    walk = holders.Walk({id(target): id(type(target))}, imported)

    walk.go([("module sys", sys)])

    way = "".join(node[0] for node in walk.describe(walk.arrived[0][1]))
    assert way == "module sys.modules['plugin_of_a_cycle'].table[0]"


def test_the_modules_that_were_imported_are_counted_and_the_latest_is_named(names: list[str]):
    imported = import_all(names)

    assert (len(imported), imported.latest) == (MODULES, names[-1])
    assert imported.has(sys.modules[names[0]])
    assert not imported.has(sys)


def test_modules_whose_files_the_cycles_write_are_not_counted(names: list[str]):
    """Of those there is no end."""
    imported = import_all(names, begun_s=time.time() - 3600)

    assert (len(imported), imported.latest) == (0, "")


def test_what_different_modules_hold_is_held_by_imports(names: list[str]):
    assert only_modules_hold(import_all(names), tables(names))


def test_what_one_of_the_modules_holds_is_not(names: list[str]):
    """The module was imported late, but its list grows like any other."""
    imported = import_all(names)
    sys.modules[names[0]].table.extend([] for _ in range(8))  # type: ignore[attr-defined]

    assert not only_modules_hold(imported, sys.modules[names[0]].table)


def test_what_something_else_holds_too_is_not(names: list[str]):
    imported = import_all(names)

    assert not only_modules_hold(imported, tables(names), state=tables(names))
