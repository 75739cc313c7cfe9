"""Tell which functions of the same file a function calls whenever it runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from soak.attribution.keepers.code.conditions import Given, body_of, runs_as_written
from soak.attribution.keepers.code.items import Filled, returned_by
from soak.attribution.keepers.code.lifetimes import Program, class_of_base, value_of_variable
from soak.attribution.keepers.code.settings import numbers_of
from soak.attribution.keepers.code.source import Function, Source, knows_no_program, nodes_of
from soak.attribution.keepers.code.uses import is_local

_MAKER, _ALLOCATOR = "__init__", "__new__"
_OWN = ("self", "cls")
"""What is of a class, or of one that is derived from it."""


def filled_in(function: Function, source: Source, program: Program) -> Filled:
    """Return what is known to have items in a function: also what functions of the module return that it calls."""
    known = Filled(numbers_of(source, program))
    names = {
        node.func.id for node in nodes_of(function) if isinstance(node, ast.Call) if isinstance(node.func, ast.Name)
    }
    found = set()
    for name in names:
        made = _named(name, source.tree.body)
        if made is None or made is function or not runs_as_written(made) or source.bindings[name] != 1:
            continue  # another function, a variable or an import may have that name
        value = returned_by(made)
        is_plain = isinstance(made, ast.FunctionDef) and value is not None and known.has_items(value)
        if is_plain and stays(made, ast.Name(name), source, program):
            found.add(name)
    return replace(known, makers=frozenset(found)).with_variables(function)


def callees(function: Function, source: Source, program: Program, filled: Filled) -> Iterator[tuple[Function, str]]:
    """Give the functions that each call of a function calls, each with the name by which it is called.

    ``filled``: what has items in it. The functions are those of the module, methods, what a closure returned, and what
    makes objects of a class.
    """
    body = body_of(function, Given(filled=filled))
    for node in nodes_of(function):
        if isinstance(node, ast.Call) and source.function_of(node) is function and body.always_reaches(node):
            called = _resolved(node.func, source)
            if called is None or called is function or not runs_as_written(called):
                continue
            if stays(called, node.func, source, program):
                yield called, _name(node.func)


def _name(called: ast.expr) -> str:
    return getattr(called, "id", getattr(called, "attr", ""))


def _resolved(called: ast.expr, source: Source) -> Function | None:
    """Return the function that an expression means; None if that is not certain."""
    match called:
        case ast.Name(id=name) if not is_local(name, called, source):
            known = _named(name, source.tree.body) or _maker_of(name, source)
            return known or _returned(value_of_variable(name, source), source)
        case ast.Attribute(value=ast.Name(id=base), attr=name):
            own = class_of_base(base, called, source)
            if own is None or own.bases or own.keywords or (base in _OWN and _has_derived(source)):
                return None
            return _named(name, own.body)
        case _:
            return None


def _has_derived(source: Source) -> bool:
    """Whether a class of a file is derived from another, whose methods may call its own."""
    return any(isinstance(each, ast.ClassDef) and each.bases for each in source.nodes)


def stays(called: Function, name: ast.expr, source: Source, program: Program) -> bool:
    """Whether nothing puts another function or class in the place of one, nor another method before it."""
    is_maker, spoken = called.name == _MAKER, _name(name)
    names = {spoken} if is_maker else {called.name, spoken}
    for each in names:
        files = program.mentioning(each)
        may_be_variable = each == spoken != called.name and not is_maker  # of a closure, which the module sets once
        if files is None or any(
            _may_replace(use, file, source, may_be_variable=may_be_variable)
            for file in files
            if not knows_no_program(file, source)
            for use in file.uses(each)
        ):
            return False
    defined = [each for each in source.nodes if isinstance(each, Function) and each.name == called.name]
    return is_maker or len(defined) == 1


def _may_replace(use: ast.AST, each: Source, source: Source, *, may_be_variable: bool) -> bool:
    """Whether a use of a name may set it to something else."""
    if isinstance(use, ast.Constant | ast.Global | ast.Nonlocal):
        return True
    is_set = isinstance(getattr(use, "ctx", None), ast.Store | ast.Del)
    is_own_variable = isinstance(use, ast.Name) and each.function_of(use) is None and each is source
    return is_set and not (may_be_variable and is_own_variable)


def _named(name: str, statements: list[ast.stmt]) -> Function | None:
    found = [each for each in statements if isinstance(each, Function) and each.name == name]
    return found[0] if len(found) == 1 else None


def _maker_of(name: str, source: Source) -> Function | None:
    """Return what each call of a class of the module runs; None if a class or metaclass may do something else."""
    classes = [each for each in source.tree.body if isinstance(each, ast.ClassDef) and each.name == name]
    if len(classes) != 1:
        return None
    own = classes[0]
    if own.bases or own.keywords or own.decorator_list or _named(_ALLOCATOR, own.body) is not None:
        return None
    return _named(_MAKER, own.body)


def _returned(value: ast.expr | None, source: Source) -> Function | None:
    """Return the inner function that a call of a function of the module returns."""
    maker = _named(value.func.id, source.tree.body) if _is_call_by_name(value) else None  # type: ignore[union-attr]
    last = maker.body[-1] if maker is not None else None
    if maker is None or not isinstance(last, ast.Return) or not isinstance(last.value, ast.Name):
        return None
    return _named(last.value.id, maker.body)


def _is_call_by_name(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name)
