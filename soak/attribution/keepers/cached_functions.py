"""Find out from source code whether a function's cache only grows: it has no bound, and each call has a new key.

``functools.cache`` and ``lru_cache(maxsize=None)`` never drop an entry. But there may be few keys. So the code that
calls the function must make a new one each time: an argument that is always new, or an object whose method it is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from soak.attribution.keepers.code.conditions import body_of
from soak.attribution.keepers.code.lifetimes import Program
from soak.attribution.keepers.code.source import Function, Source, knows_no_program, nodes_of
from soak.attribution.keepers.keys import Keys
from soak.grounds import Keeper

_INFORMING = ("cache_info", "cache_parameters")


def cached_at(function: Function, source: Source, line: int, keys: Keys, program: Program) -> Keeper | None:
    """Return the cache to which a line of a function always adds, by calling a function whose results are all kept.

    ``keys``: knows what is new in the function, which it has entered last.
    """
    body = body_of(function)
    for call in nodes_of(function):
        is_here = isinstance(call, ast.Call) and call.lineno <= line <= (call.end_lineno or call.lineno)
        if not is_here or source.function_of(call) is not function or not body.always_reaches(call):  # type: ignore[arg-type]
            continue
        name, passed = _key_of(call)  # type: ignore[arg-type]
        if name and any(map(keys.is_new, passed)) and _keeps_all(name, source, program, call.func):  # type: ignore[attr-defined]
            return Keeper(f"the cache of {name}", source.file, line)
    return None


def _key_of(call: ast.Call) -> tuple[str, list[ast.expr]]:
    """Return the name of what is called, and what its results may be kept by."""
    passed = [*call.args, *(keyword.value for keyword in call.keywords)]
    match call.func:
        case ast.Name(id=name):
            return name, passed
        case ast.Attribute(value=owner, attr=name):
            return name, [owner, *passed]
        case _:
            return "", []


def _keeps_all(name: str, source: Source, program: Program, called: ast.expr) -> bool:
    """Whether one function of the program has a name, a cache without a bound, and nothing that empties that."""
    files = [each for each in program.mentioning(name) or () if not knows_no_program(each, source)]
    made = [(each, one) for one in files for each in one.functions if each.name == name]
    if len(made) != 1:
        return False
    cached, own = made[0]
    is_method = isinstance(own.parent(cached), ast.ClassDef)
    is_plain = is_method or isinstance(own.parent(cached), ast.Module)
    is_of_kind = is_plain and is_method is isinstance(called, ast.Attribute)
    if not is_of_kind or not _has_cache_without_bound(cached, own):
        return False
    return all(_is_call(use, each) for each in files for use in each.uses(name))


def _has_cache_without_bound(function: Function, source: Source) -> bool:
    if len(function.decorator_list) != 1:
        return False
    (decorator,) = function.decorator_list
    if isinstance(decorator, ast.Call):
        return _is_of_functools(decorator.func, "lru_cache", source) and list(_sizes(decorator)) == ["None"]
    return _is_of_functools(decorator, "cache", source)


def _is_of_functools(node: ast.expr, name: str, source: Source) -> bool:
    match node:
        case ast.Name(id=used):
            known = (each for each in source.nodes if isinstance(each, ast.ImportFrom) and each.module == "functools")
            return used == name and any(one.name == name and one.asname is None for each in known for one in each.names)
        case ast.Attribute(value=ast.Name(id="functools"), attr=used):
            return used == name
        case _:
            return False


def _sizes(decorator: ast.Call) -> Iterator[str]:
    """Give the arguments of a cache that are not about the types of its keys."""
    yield from map(ast.unparse, decorator.args)
    yield from (ast.unparse(keyword.value) for keyword in decorator.keywords if keyword.arg != "typed")


def _is_call(use: ast.AST, source: Source) -> bool:
    """Whether a use of the function's name calls it, imports it, or asks its cache for its size."""
    parent = source.parent(use)
    if isinstance(use, ast.FunctionDef | ast.AsyncFunctionDef):
        return True
    if isinstance(use, ast.alias):
        return isinstance(parent, ast.ImportFrom) and use.asname is None
    if not isinstance(use, ast.Name | ast.Attribute) or not isinstance(use.ctx, ast.Load):
        return False
    is_called = isinstance(parent, ast.Call) and parent.func is use
    return is_called or (isinstance(parent, ast.Attribute) and parent.attr in _INFORMING)
