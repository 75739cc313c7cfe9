"""The names of the steps from a holder to what it holds: what source code writes, without running any."""

from __future__ import annotations

import atexit
import codecs
import collections
import contextvars
import functools
import logging
import signal
import sys
import threading
import types
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from soak.inside.objects.holders import Walk, _of_codecs, _registered
from soak.inside.objects.names import UNNAMED


class Thing:
    pass


class Slotted:
    __slots__ = ("kept",)

    def __init__(self, kept: object) -> None:
        self.kept = kept


class Registry:
    entries: tuple[object, ...] = ()


class Table(dict):  # type: ignore[type-arg]
    pass


def waiting(kept: object) -> Generator[object]:
    yield 1
    print(kept)


def started(kept: object) -> Generator[object]:
    generator = waiting(kept)
    next(generator)
    return generator


def with_default(kept: object) -> object:
    def function(memo: object = kept) -> object:
        return memo

    return function


def error(kept: object) -> Exception:
    return ValueError(kept)


def subclass(kept: object) -> type:
    return type("Child", (Registry,), {"entries": (kept,)})


def local(kept: object) -> threading.local:
    found = threading.local()
    found.kept = kept
    return found


def chained_handlers(kept: object) -> Iterator[str]:
    """Handle a signal, until the next time, by a function that keeps something."""
    before = signal.signal(signal.SIGUSR2, lambda number, frame: kept)
    yield "the handler of SIGUSR2.kept"
    signal.signal(signal.SIGUSR2, before)


def variable_of_context(kept: object) -> Iterator[str]:
    """Set a context variable, until the next time."""
    variable = contextvars.ContextVar[object]("soak_test_variable")
    token = variable.set([kept])
    del variable
    yield "the context variable soak_test_variable[0]"
    token.var.reset(token)


def function_at_exit(kept: object) -> Iterator[str]:
    """Register a function to run at exit, until the next time."""

    def clean() -> object:
        return kept

    atexit.register(clean)
    registered = _registered(atexit)
    place = next(number for number, each in enumerate(registered) if each is clean)
    assert atexit._ncallbacks() >= len(registered) > 0  # none was unregistered
    yield f"atexit's list of functions[{place}].kept"
    atexit.unregister(clean)


def error_handler(kept: object) -> Iterator[str]:
    """Register an error handler, until the next time: codecs never lets go of the name."""
    codecs.register_error("soak_test", lambda error: (str(kept), error.end))
    yield "codecs' table of error handlers['soak_test'].kept"
    codecs.register_error("soak_test", codecs.strict_errors)


def search_function(kept: object) -> Iterator[str]:
    """Register a function that searches a codec, until the next time."""

    def search(name: str) -> None:
        assert kept, name

    codecs.register(search)
    yield f"codecs' list of search functions[{_search_path().index(search)}].kept"
    codecs.unregister(search)


def _search_path() -> list[Any]:
    found: list[Any] = next(holder for name, holder in _of_codecs() if name.endswith("search functions"))
    return found


HOLDERS: dict[str, tuple[Any, str]] = {
    "slot": (Slotted, ".kept"),
    "class": (subclass, ".entries[0]"),
    "partial": (lambda kept: functools.partial(print, kept), ".args[0]"),
    "default": (with_default, ".__defaults__[0]"),
    "generator": (started, ".gi_frame.f_locals['kept']"),
    "exception": (error, ".args[0]"),
    "namespace": (lambda kept: types.SimpleNamespace(v=kept), ".v"),
    "defaultdict": (lambda kept: collections.defaultdict(list, a=kept), "['a']"),
    "OrderedDict": (lambda kept: collections.OrderedDict(a=kept), "['a']"),
    "subclass of dict": (lambda kept: Table(a=kept), "['a']"),
    "deque": (lambda kept: collections.deque([None, kept]), "[1]"),
    "method": (lambda kept: [kept].append, ".__self__[0]"),
    "frozenset": (lambda kept: frozenset([kept]), "{...}"),
    "instance of a class": (lambda kept: subclass(kept)(), ".__class__.entries[0]"),
    "local of a thread": (local, ".kept"),
    "iterator": (lambda kept: iter([kept]), f"{UNNAMED}[0]"),
}


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the test's own variables, which lead to everything that it makes."""
    monkeypatch.setattr("soak.inside.objects.holders._variables", lambda frame: [])


def names_from(root: object, target: object) -> str:
    """Return the names of the steps from ``root`` to ``target``."""
    walk = Walk({id(target): id(type(target))})
    walk.go([("", root)])
    return "".join(node[0] for node in walk.describe(walk.arrived[0][1]))


@pytest.mark.parametrize("kind", HOLDERS)
def test_steps_are_named_as_source_code_writes_them(kind: str):
    make, name = HOLDERS[kind]
    target = Thing()
    holder = make(target)

    assert names_from(holder, target) == name


@pytest.mark.parametrize("table", [dict, collections.Counter, collections.OrderedDict, Table])
def test_a_text_that_is_a_key_is_found(table: type):
    """Gc does not traverse the keys of a dict that has only texts for keys."""
    text = "".join(["a text that nothing", " else holds"])

    assert names_from([table({text: 1})], text) == "[0], its key"


@pytest.mark.parametrize(
    "hold", [chained_handlers, variable_of_context, function_at_exit, error_handler, search_function]
)
def test_what_the_interpreter_keeps_is_named(hold: Callable[[object], Iterator[str]], monkeypatch: pytest.MonkeyPatch):
    """No module leads to handlers of signals, to the values of context variables or to functions that run at exit."""
    monkeypatch.setattr("soak.inside.objects.holders._modules", lambda made: [])
    target = Thing()
    for name in hold(target):
        walk = Walk({id(target): id(Thing)})
        walk.go([])

        assert "".join(node[0] for node in walk.describe(walk.arrived[0][1])) == name


def test_what_packages_share_is_named_by_their_own_module(monkeypatch: pytest.MonkeyPatch):
    """Every module with a logger leads to logging's table in fewer steps than the module logging does."""
    target = Thing()
    table = logging.Logger.manager.loggerDict
    stranger = types.ModuleType("stranger")
    stranger.log = logging.getLogger("stranger")  # type: ignore[attr-defined]
    modules = {"stranger": stranger, **sys.modules}
    monkeypatch.setattr(sys, "modules", modules)
    monkeypatch.setitem(table, "kept", target)  # type: ignore[arg-type]
    monkeypatch.setattr("soak.inside.objects.holders.LONGEST_S", 60.0)  # a busy machine takes longer than usual
    walk = Walk({id(target): id(Thing)})

    walk.go([])

    assert walk.describe(walk.arrived[0][1])[0][0].startswith("module logging")
