"""Marks each call of a named function, wherever references to it are."""

from __future__ import annotations

import _thread
import inspect
import os
import sys
import time
import warnings
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from soak.inside.marking.importing import AfterImport
from soak.inside.marking.marks import mark

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_EVERY_S, _LONGEST_LOOK_S = 0.02, 60.0
_PLACEHOLDER = "soak"
_OWN_FILE = (lambda: None).__code__.co_filename
_TEMPLATES = {
    "function": 'def call(*args, **kwargs):\n    return "soak"(*args, **kwargs)\n',
    "generator": 'def call(*args, **kwargs):\n    return (yield from "soak"(*args, **kwargs))\n',
    "coroutine": 'async def call(*args, **kwargs):\n    return await "soak"(*args, **kwargs)\n',
    "asynchronous generator": (
        'async def call(*args, **kwargs):\n    async for item in "soak"(*args, **kwargs):\n        yield item\n'
    ),
}


def mark_when_imported(name: str, after_import: AfterImport) -> None:
    """Mark each call of a function that is named by module, class and function, once the program has it.

    A script that is imported too is loaded twice. In a process that multiprocessing spawns the first is not called.
    """
    parts = name.split(".")
    done: list[bool] = []

    def try_in(module: ModuleType, attributes: list[str]) -> None:
        if _mark_in(module, attributes, name):
            done.append(True)

    for length in range(len(parts) - 1, 0, -1):
        attributes = parts[length:]
        after_import.add(".".join(parts[:length]), lambda module, rest=attributes: try_in(module, rest))  # type: ignore[misc]
    look = _look_in_main(parts, try_in, done)
    _thread.start_new_thread(look, ())
    os.register_at_fork(after_in_child=lambda: done or _thread.start_new_thread(look, ()))


def _look_in_main(
    parts: list[str], try_in: Callable[[ModuleType, list[str]], None], done: list[bool]
) -> Callable[[], None]:
    """Return what looks for the function in the script itself, which is run and not imported, for a minute."""

    def look() -> None:
        ends_s = time.monotonic() + _LONGEST_LOOK_S
        while not done and time.monotonic() < ends_s:
            main = sys.modules.get("__main__")
            for length in range(1, len(parts)) if main is not None else ():
                if _is_named(main, ".".join(parts[:length])):  # type: ignore[arg-type]
                    try_in(main, parts[length:])  # type: ignore[arg-type]
            time.sleep(_LOOK_EVERY_S)

    return look


def _is_named(main: ModuleType, name: str) -> bool:
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    stem = os.path.splitext(os.path.basename(file))[0] if file else None  # noqa: PTH119, PTH122 - imports nothing more
    return name in ("__main__", stem, getattr(spec, "name", None))


def _mark_in(module: ModuleType, attributes: list[str], label: str) -> bool:
    owner: Any = module
    for attribute in attributes[:-1]:
        owner = getattr(owner, attribute, None)
    found = getattr(owner, "__dict__", {}).get(attributes[-1])
    function = getattr(found, "__func__", found)
    if isinstance(function, FunctionType):
        if function.__code__.co_filename != _OWN_FILE:  # it may be found under two names
            mark_calls(function, label)
        return True
    if not callable(found):
        return False
    setattr(owner, attributes[-1], _marking(found, label))
    return True


def mark_calls(function: FunctionType, label: str) -> None:
    """Mark each call of a function. Its code is replaced, so that all references to it mark."""
    original = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    original.__kwdefaults__, original.__annotations__ = function.__kwdefaults__, function.__annotations__
    if inspect.isasyncgenfunction(function):
        kind = "asynchronous generator"
    elif inspect.iscoroutinefunction(function):
        kind = "coroutine"
    elif inspect.isgeneratorfunction(function):
        kind = "generator"
    else:
        kind = "function"
    function.__code__ = _code_that_calls(_marking(original, label), kind, function.__code__)
    function.__wrapped__ = original  # type: ignore[attr-defined]  # its signature, for those who ask for it


def _code_that_calls(call: Any, kind: str, original: CodeType) -> CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler says that a string cannot be called
        names: dict[str, Any] = {}
        exec(compile(_TEMPLATES[kind], _OWN_FILE, "exec"), names)
    code: CodeType = names["call"].__code__
    constants = tuple(call if constant == _PLACEHOLDER else constant for constant in code.co_consts)
    return code.replace(co_consts=constants, co_name=original.co_name, co_freevars=original.co_freevars)


def _marking(function: Callable[..., Any], label: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        mark(label)
        return function(*args, **kwargs)

    return call
