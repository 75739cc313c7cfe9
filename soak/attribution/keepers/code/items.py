"""Is something known to have items? Then a loop over it runs, and a list that is extended by it grows."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, replace

from soak.attribution.keepers.code.source import Function, nodes_of

_SET_AND_USED = 2
_AS_MANY = ("list", "tuple", "sorted", "reversed", "enumerate")


@dataclass(frozen=True)
class Filled:
    """What is known to have items, or to be the number of some."""

    numbers: frozenset[str] = frozenset()
    """Variables that are a number above 0 for ever."""
    makers: frozenset[str] = frozenset()
    """Functions whose results always have items."""
    variables: frozenset[str] = frozenset()
    """Variables of a function that have items where they are used."""

    def has_items(self, value: ast.expr) -> bool:
        """Whether an expression has items whenever it is reached: it is written out, or made of such a one."""
        match value:
            case ast.Name(id=name):
                return name in self.variables
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
                return any(not isinstance(each, ast.Starred) or self.has_items(each.value) for each in elements)
            case ast.ListComp(generators=generators) | ast.GeneratorExp(generators=generators):
                return all(self.has_items(each.iter) and not each.ifs and not each.is_async for each in generators)
            case ast.Call(func=ast.Name(id="range"), args=[stop], keywords=[]):
                return _is_number(stop) or (isinstance(stop, ast.Name) and stop.id in self.numbers)
            case ast.Call(func=ast.Name(id=name), args=[inner], keywords=[]) if name in _AS_MANY:
                return self.has_items(inner)
            case ast.Call(func=ast.Name(id=name)):
                return name in self.makers
            case _:
                return False

    def with_variables(self, function: Function) -> Filled:
        """Return this with the variables that a function sets once, to what has items, and uses once after that."""
        nodes = nodes_of(function)
        names = Counter(node.id for node in nodes if isinstance(node, ast.Name))
        others = {node.arg for node in nodes if isinstance(node, ast.arg)}
        others.update(*(node.names for node in nodes if isinstance(node, ast.Global | ast.Nonlocal)))
        found = set()
        for statement in function.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if self.has_items(value):
                    found.add(name)
        return replace(self, variables=frozenset(name for name in found - others if names[name] == _SET_AND_USED))


NOTHING_FILLED = Filled()


def returned_by(function: Function) -> ast.expr | None:
    """Return what each call of a function returns; None if that is not one expression."""
    returned = [node for node in nodes_of(function) if isinstance(node, ast.Return)]
    return returned[0].value if len(returned) == 1 and returned[0] is function.body[-1] else None


def _is_number(node: ast.expr) -> bool:
    """Whether a number above 0 is written out."""
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value > 0
