"""May what a line allocates be what an addition puts into a container? Told by the variables of one function.

A function may add to a container that only grows, and fill a bounded cache as well. What the cache holds is not kept by
that container.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from soak.attribution.keepers.code.source import Function, nodes_of

_MOST_FUNCTIONS = 1024
"""Whose statements are kept: the same few are asked about again and again."""


def may_be_added(node: ast.expr | ast.stmt, function: Function, line: int) -> bool:
    """Whether an addition may put into a container what a line of the same function makes, itself or by what it calls.

    ``node``: what adds. It may if it is on that line, or if the line sets a variable that the added value contains.
    """
    return _is_on(node, line) or _sets_one(_names_in(_added(node), function), function, line)


def may_be_passed(name: str, function: Function, line: int) -> bool:
    """Whether what a function calls by a name may get what a line makes: it is on that line, or gets it as an argument.

    An object is made on the line that calls its class.
    """
    calls = [node for node in nodes_of(function) if isinstance(node, ast.Call)]
    named = [call for call in calls if getattr(call.func, "id", getattr(call.func, "attr", None)) == name]
    passed = ((call, [*call.args, *(keyword.value for keyword in call.keywords)]) for call in named)
    return any(_is_on(call, line) or _sets_one(_names_in(values, function), function, line) for call, values in passed)


def _added(node: ast.expr | ast.stmt) -> list[ast.expr]:
    match node:
        case ast.Call(args=arguments):
            return arguments
        case ast.Assign(targets=targets, value=value):
            return [*(each.slice for each in targets if isinstance(each, ast.Subscript)), value]
        case ast.AugAssign(value=value):
            return [value]
        case _:
            return []


def _sets_one(names: set[str], function: Function, line: int) -> bool:
    """Whether a line sets one of some variables, or one that they are made of, or adds to what they have."""
    known, before = set(names), set[str]()
    while known != before:
        before = set(known)
        for change in _changes(function):
            if change.sets & known:
                known |= change.names
    return any(change.sets & known for change in _changes(function) if _is_on(change.statement, line))


class _Change(NamedTuple):
    """A statement that may change variables."""

    statement: ast.AST
    sets: set[str]
    """The variables that it sets, or whose objects it may change."""
    names: set[str]
    """All variables in it."""


@lru_cache(_MOST_FUNCTIONS)
def _changes(function: Function) -> tuple[_Change, ...]:
    kinds = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.NamedExpr, ast.For, ast.AsyncFor, ast.withitem, ast.Call)
    statements = (node for node in nodes_of(function) if isinstance(node, (*kinds, ast.comprehension)))
    return tuple(_Change(each, _changed_by(each), _names_in([each], function)) for each in statements)


def _changed_by(statement: ast.AST) -> set[str]:
    """Return the variables that a statement sets, or whose objects it may change, by a method or as an argument."""
    match statement:
        case ast.Assign(targets=targets):
            return _roots_of(targets)
        case ast.Call(func=func, args=arguments):
            owner = _roots(func) if isinstance(func, ast.Attribute) else set()
            return owner | {each.id for each in arguments if isinstance(each, ast.Name)}
        case ast.withitem(optional_vars=target):
            return set() if target is None else _roots(target)
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target) | ast.NamedExpr(target=target):
            return _roots(target)
        case ast.For(target=target) | ast.AsyncFor(target=target) | ast.comprehension(target=target):
            return _roots(target)
        case _:
            return set()


def _roots_of(nodes: Sequence[ast.expr]) -> set[str]:
    return {name for node in nodes for name in _roots(node)}


def _roots(node: ast.AST) -> set[str]:
    """Return the variables of a target: of ``a.b[c]`` it is ``a``. An attribute of the own object is one as well."""
    match node:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return {"self", f"self.{name}"}
        case ast.Name(id=name):
            return {name}
        case ast.Attribute(value=value) | ast.Subscript(value=value) | ast.Starred(value=value):
            return _roots(value)
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            return _roots_of(elements)
        case _:
            return set()


def _names_in(nodes: Sequence[ast.AST], function: Function) -> set[str]:
    """Return the variables in some expressions; of an argument's attribute, ``request.path``, not the argument.

    An attribute of the own object is a variable: what one cycle sets, the next one may add.
    """
    arguments = {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}
    inner = [each for node in nodes for each in ast.walk(node)]
    owners = [each.value for each in inner if isinstance(each, ast.Attribute | ast.Subscript)]
    names = (each for each in inner if isinstance(each, ast.Name))
    own = {f"self.{each.attr}" for each in inner if isinstance(each, ast.Attribute) and _is_own(each.value)}
    return own | {name.id for name in names if name.id not in arguments or name not in owners}


def _is_own(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _is_on(node: ast.AST, line: int) -> bool:
    if isinstance(node, ast.withitem):
        return _is_on(node.context_expr, line)
    if isinstance(node, ast.comprehension):
        return _is_on(node.iter, line)
    first = getattr(node, "lineno", 0)
    if isinstance(node, ast.For | ast.AsyncFor):
        return first <= line <= (node.iter.end_lineno or first)
    return first <= line <= (getattr(node, "end_lineno", None) or first)
