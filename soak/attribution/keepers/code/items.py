"""Is something known to have items? Then a loop over it runs, and a list that is extended by it grows."""

from __future__ import annotations

import ast
from collections.abc import Collection

from soak.attribution.keepers.code.source import Function

_AS_MANY = ("list", "tuple", "sorted", "reversed", "enumerate")


def has_items(value: ast.expr, numbers: Collection[str] = frozenset(), makers: Collection[str] = frozenset()) -> bool:
    """Whether an expression has items whenever it is reached: one that is written out, or that is made of such a one.

    ``numbers``: variables that are a number above 0 for ever. ``makers``: functions whose results always have items.
    """

    def is_filled(inner: ast.expr) -> bool:
        return has_items(inner, numbers, makers)

    match value:
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return any(not isinstance(each, ast.Starred) or is_filled(each.value) for each in elements)
        case ast.ListComp(generators=generators) | ast.GeneratorExp(generators=generators):
            return all(is_filled(each.iter) and not each.ifs and not each.is_async for each in generators)
        case ast.Call(func=ast.Name(id="range"), args=[stop], keywords=[]):
            return _is_number(stop) or (isinstance(stop, ast.Name) and stop.id in numbers)
        case ast.Call(func=ast.Name(id=name), args=[inner], keywords=[]) if name in _AS_MANY:
            return is_filled(inner)
        case ast.Call(func=ast.Name(id=name)):
            return name in makers
        case _:
            return False


def returned_by(function: Function) -> ast.expr | None:
    """Return what each call of a function returns; None if that is not one expression."""
    returned = [node for node in ast.walk(function) if isinstance(node, ast.Return)]
    return returned[0].value if len(returned) == 1 and returned[0] is function.body[-1] else None


def _is_number(node: ast.expr) -> bool:
    """Whether a number above 0 is written out."""
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value > 0
