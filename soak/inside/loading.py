"""Load the code of a target inside the measured process, and give every kind of target a setup, cycle and teardown."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    Settings = dict[str, Any]
    Arguments = tuple[Any, ...]

PAUSES = "PAUSES"
"""The global of a driver that soak sets before setup."""
_COROUTINE = 0x80
_GENERATOR = 0x20 | 0x200


class Component:
    """What is soaked: ``setup``, then ``cycle(*arguments)`` once for each cycle, then ``teardown``."""

    def __init__(
        self, setup: Callable[[Settings], Arguments], cycle: Callable[..., Any], teardown: Callable[..., Any]
    ) -> None:
        """Take the three callables; ``setup(settings)`` returns the arguments for the other two."""
        self.setup = setup
        self.cycle = cycle
        self.teardown = teardown
        self.module: Any = None

    def show_pauses(self, windows: memoryview[int]) -> None:
        """Give the driver the windows of soak's pauses (see soak.inside.pauses), if it has a name for them."""
        if hasattr(self.module, PAUSES):
            setattr(self.module, PAUSES, windows)


def load(target: dict[str, Any]) -> Component:
    """Import the target and return its Component.

    ``target``: a dict with ``kind`` (driver | function | module | empty), ``path``, ``module`` and ``function``, from
    soak.targets, and perhaps ``resumed_at``: the cycle at which a driver goes on. Raises what the import raises, and
    TypeError with a line for a person when the code is not a target.
    """
    kind = target["kind"]
    if kind == "empty":
        return Component(_no_setup, _nothing, _nothing)
    module = _import_file(target["path"]) if target["path"] else _import_name(target["module"])
    if kind == "driver":
        return _driver(module, target["path"], target.get("resumed_at", 0))
    return _function(module, target["function"])


def _no_setup(_: Settings) -> Arguments:
    return ()


def _nothing(*_: Any) -> None:
    return None


def _import_name(name: str) -> ModuleType:
    __import__(name)
    return sys.modules[name]


def _import_file(path: str) -> ModuleType:
    # Without importlib.util, because what it imports would be resident in every measured process.
    from importlib.machinery import ModuleSpec, SourceFileLoader

    name = os.path.splitext(os.path.basename(path))[0]
    if name in sys.modules:
        name = "soaked_" + name
    loader = SourceFileLoader(name, path)
    spec = ModuleSpec(name, loader, origin=path)
    spec.has_location = True
    module = type(sys)(name)
    module.__spec__ = spec
    module.__loader__ = loader
    module.__file__ = path
    sys.modules[name] = module
    loader.exec_module(module)
    return module


def _driver(module: ModuleType, path: str, resumed_at: int) -> Component:
    cycle = getattr(module, "cycle", None)
    if not callable(cycle):
        raise TypeError("%s has no function cycle(state); a driver needs one" % path)
    _refuse_generator(cycle, "cycle")
    begin = getattr(module, "resume" if resumed_at else "setup", None)
    make_state, cycle, end = _awaited(begin, cycle, getattr(module, "teardown", None))
    begun_at = (resumed_at,) if resumed_at else ()

    def setup(settings: Settings) -> Arguments:
        if make_state is None:
            if settings:
                raise TypeError("%s takes no settings, because it has no setup(**settings)" % path)
            return (None,)
        return (make_state(*begun_at, **settings),)

    component = Component(setup, cycle, end if end is not None else _nothing)
    component.module = module
    return component


def _function(module: ModuleType, name: str) -> Component:
    function: Any = module
    for part in name.split("."):
        function = getattr(function, part, None)
    if not callable(function):
        raise TypeError("%s has no function %s" % (getattr(module, "__file__", module.__name__), name))
    _refuse_generator(function, name)
    return Component(_no_setup, _awaited(function)[0], _nothing)


def _awaited(*functions: Any) -> tuple[Any, ...]:
    """Return ``functions``; replace each ``async def`` by a function that runs it to its end."""
    if not any(map(_is_async, functions)):
        return functions
    import asyncio

    run = asyncio.new_event_loop().run_until_complete

    def awaited(function: Any) -> Callable[..., Any]:
        def run_coroutine(*arguments: Any, **settings: Any) -> Any:
            return run(function(*arguments, **settings))

        return run_coroutine

    return tuple(awaited(function) if _is_async(function) else function for function in functions)


def _is_async(function: Any) -> bool:
    return bool(_flags(function) & _COROUTINE)


def _refuse_generator(function: Any, name: str) -> None:
    if _flags(function) & _GENERATOR:
        raise TypeError(
            "%s is a generator: a call does not run its code; write a function that iterates over it" % name
        )


def _flags(function: Any) -> int:
    code = getattr(function, "__code__", None)
    return 0 if code is None else int(code.co_flags)
