"""Tell which functions of the same file a function calls whenever it runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from soak.attribution.keepers.code.conditions import body_of, runs_as_written
from soak.attribution.keepers.code.lifetimes import Program, class_of_base, value_of_variable
from soak.attribution.keepers.code.source import Function, Source
from soak.attribution.keepers.code.uses import is_local


def callees(function: Function, source: Source, program: Program) -> Iterator[Function]:
    """Give the functions that each call of a function calls: of the module, methods, and what a closure returned."""
    body = body_of(function)
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and source.function_of(node) is function and body.always_reaches(node):
            called = _resolved(node.func, source)
            if called is None or called is function or not runs_as_written(called):
                continue
            if _stays(called, node.func, source, program):
                yield called


def _resolved(called: ast.expr, source: Source) -> Function | None:
    """Return the function that an expression means; None where that is not certain."""
    match called:
        case ast.Name(id=name) if not is_local(name, called, source):
            return _named(name, source.tree.body) or _returned(value_of_variable(name, source), source)
        case ast.Attribute(value=ast.Name(id=base), attr=name):
            own = class_of_base(base, called, source)
            is_derived = any(isinstance(each, ast.ClassDef) and each.bases for each in source.nodes)
            return None if own is None or is_derived else _named(name, own.body)
        case _:
            return None


def _stays(called: Function, name: ast.expr, source: Source, program: Program) -> bool:
    """Whether nothing puts another function in the place of one, nor another method before it."""
    names = {called.name, *(each for each in (getattr(name, "id", None), getattr(name, "attr", None)) if each)}
    known = {each: program.mentioning(each) for each in names}
    if any(files is None for files in known.values()):
        return False
    is_replaced = any(
        _may_replace(use, each, source)
        for name, files in known.items()
        for each in files or ()
        for use in each.uses(name)
    )
    defined = [each for each in source.nodes if isinstance(each, Function) and each.name == called.name]
    return not is_replaced and len(defined) == 1


def _may_replace(use: ast.AST, each: Source, source: Source) -> bool:
    """Whether a use of a function's name may set it: but for the variable that a module sets once."""
    if isinstance(use, ast.Constant | ast.Global | ast.Nonlocal):
        return True
    is_set = isinstance(getattr(use, "ctx", None), ast.Store | ast.Del)
    is_own_variable = isinstance(use, ast.Name) and each.function_of(use) is None and each is source
    return is_set and not is_own_variable


def _named(name: str, statements: list[ast.stmt]) -> Function | None:
    found = [each for each in statements if isinstance(each, Function) and each.name == name]
    return found[0] if len(found) == 1 else None


def _returned(value: ast.expr | None, source: Source) -> Function | None:
    """Return the inner function that a call of a function of the module returns."""
    maker = _named(value.func.id, source.tree.body) if _is_call_by_name(value) else None  # type: ignore[union-attr]
    last = maker.body[-1] if maker is not None else None
    if maker is None or not isinstance(last, ast.Return) or not isinstance(last.value, ast.Name):
        return None
    return _named(last.value.id, maker.body)


def _is_call_by_name(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name)
