"""Tell which containers get what a line of a function makes, on whatever condition."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from soak.attribution.keepers.code.flows import may_be_added, may_be_passed
from soak.attribution.keepers.code.source import Container, Function, Source, container_of, nodes_of
from soak.attribution.keepers.code.uses import is_local

_ADDING = ("append", "appendleft", "add", "insert", "extend", "setdefault", "update", "put", "put_nowait")
_PUSHING = ("heappush", "heappushpop")


def filled_with(function: Function, source: Source, line: int) -> set[str]:
    """Return the names of the containers that get what a line of a function makes, from it or from those it calls.

    Only functions of the same file are looked at, and none that is called by these.
    """
    names = {name for node, name in _filled_in(function, source) if may_be_added(node, function, line)}
    called = _called_in(function)
    for each in source.nodes:
        if isinstance(each, Function) and each.name in called and may_be_passed(each.name, function, line):
            names |= {name for _, name in _filled_in(each, source)}
    return names


def _filled_in(function: Function, source: Source) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Give what adds to a container that is not the function's own variable, with the name of that."""
    for node in nodes_of(function):
        container = _filled(node)
        if container is None or not isinstance(node, ast.expr | ast.stmt):
            continue
        if container.base is not None or not is_local(container.name, node, source):
            yield node, container.name


def _called_in(function: Function) -> set[str]:
    """Return the names of the functions that a function calls."""
    calls = (node.func for node in nodes_of(function) if isinstance(node, ast.Call))
    names = (getattr(each, "id", getattr(each, "attr", None)) for each in calls)
    return {name for name in names if name is not None}


def _filled(node: ast.AST) -> Container | None:
    match node:
        case ast.Call(func=ast.Attribute(attr=method, value=value)) if method in _ADDING:
            return container_of(value) or _attribute(value)
        case ast.Call(func=function, args=[first, _, *_]) if _name(function) in _PUSHING:
            return container_of(first) or _attribute(first)
        case ast.Assign(targets=[ast.Subscript(value=value)]) | ast.AugAssign(target=value):
            return container_of(value) or _attribute(value)
        case _:
            return None


def _attribute(node: ast.expr) -> Container | None:
    """Return what an expression such as ``self.store.entries`` names."""
    return Container(node.attr, "") if isinstance(node, ast.Attribute) else None


def _name(function: ast.expr) -> str | None:
    return getattr(function, "id", getattr(function, "attr", None))
