"""Find functions in the loaded modules, and replace them."""

from __future__ import annotations

import functools
import importlib
import sys
from types import FunctionType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_COROUTINE_OR_GENERATOR = 0x20 | 0x80 | 0x200
_COMPILED = "cython_function_or_method"


class Binding:
    """Where a function is an attribute: ``owner`` is a module or a class, ``name`` the name of the attribute."""

    def __init__(self, owner: Any, name: str) -> None:
        self.owner = owner
        self.name = name

    @property
    def raw(self) -> Any:
        """What the dict of the owner holds: the function, or a staticmethod or classmethod around it."""
        return vars(self.owner)[self.name]

    @property
    def function(self) -> Any:
        """The function itself."""
        raw = self.raw
        return raw.__func__ if isinstance(raw, (staticmethod, classmethod)) else raw

    def __str__(self) -> str:
        function = self.function
        return "%s:%s" % (function.__module__, getattr(function, "__qualname__", self.name))


def find_function(name: str) -> Binding | None:
    """Return where the function of this name is; None when there is none.

    ``name``: ``module:function`` or ``module:Class.method``. Without a module, the function is looked for among the
    Python functions of all loaded modules. Raises LookupError when several have the name, and TypeError for a generator
    or coroutine, because a call of it does not do its work.
    """
    module, colon, inner = name.rpartition(":")
    places = [_at(importlib.import_module(module), inner)] if colon else list(_named(name))
    found = [place for place in places if place is not None]
    if not found:
        return None
    if len({id(place.function) for place in found}) > 1:
        raise LookupError("several functions are named %s: %s" % (name, ", ".join(sorted(map(str, found))[:8])))
    code = getattr(found[0].function, "__code__", None)
    if code is not None and code.co_flags & _COROUTINE_OR_GENERATOR:
        raise TypeError("%s is a generator or coroutine: a call of it does not do its work" % name)
    if not callable(found[0].function):
        raise TypeError("%s is not a function" % name)
    return found[0]


def replace_function(place: Binding, make: Callable[[Any], Callable[..., Any]]) -> Any:
    """Replace a function by ``make(function)`` in all modules that hold it; return the function."""
    raw, function = place.raw, place.function
    replacement = functools.update_wrapper(make(function), function)
    if isinstance(place.owner, ModuleType):
        _replace_in_modules({id(function): replacement})
    else:
        setattr(place.owner, place.name, type(raw)(replacement) if raw is not function else replacement)
    return function


def name_compiled_functions() -> None:
    """Make Cython's functions appear in a profile. cProfile gets no event for them, so their caller gets their time.

    Each is called by a Python function that has a label as built-in functions have. This takes some 0.1 µs a call.
    """
    compiled = {}
    for module in list(sys.modules.values()):
        for value in list(getattr(module, "__dict__", {}).values()):
            if type(value).__name__ == _COMPILED:
                compiled[id(value)] = value
    _replace_in_modules({key: functools.update_wrapper(_labelled(value), value) for key, value in compiled.items()})


def _labelled(function: Any) -> FunctionType:
    def call(*arguments: Any, **settings: Any) -> Any:
        return function(*arguments, **settings)

    name = "<cython function %s.%s>" % (function.__module__, function.__qualname__)
    code = call.__code__.replace(co_filename="~", co_firstlineno=0, co_name=name)
    return FunctionType(code, {}, function.__name__, None, call.__closure__)


def _replace_in_modules(replacements: dict[int, Any]) -> None:
    """Replace functions, which are given by their ids, wherever they are attributes of a module."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        for name, value in list(names.items()):
            if id(value) in replacements:
                names[name] = replacements[id(value)]


def _at(owner: Any, inner: str) -> Binding | None:
    *outer, name = inner.split(".")
    for part in outer:
        owner = getattr(owner, part, None)
    for candidate in getattr(owner, "__mro__", (owner,)):
        if name in getattr(candidate, "__dict__", {}):
            return Binding(candidate, name)
    return None


def _named(name: str) -> Iterator[Binding]:
    for module_name, module in list(sys.modules.items()):
        for owner in [module, *_classes(module, module_name)]:
            for attribute, value in list(getattr(owner, "__dict__", {}).items()):
                function = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
                own = isinstance(function, FunctionType) and function.__module__ == module_name
                if own and name in (function.__qualname__, function.__name__):
                    yield Binding(owner, attribute)


def _classes(module: Any, module_name: str) -> list[type]:
    values = list(getattr(module, "__dict__", {}).values())
    return [value for value in values if isinstance(value, type) and value.__module__ == module_name]
