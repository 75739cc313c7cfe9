"""Find out whether code removes entries from a container that no caller names: the oldest, a random one, or all.

A cache does that when it is full, and where entries are dropped by their age. Code that takes what it has just put in,
or what its caller names, bounds nothing: ``pending.pop(request_id)``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from soak.attribution.keepers.code.source import Function, Source, nodes_of

_TAKING_ANY = ("popitem", "popleft", "clear")
_TAKING = ("pop", "remove", "discard", "__delitem__")
_CHOOSING = ("min", "max", "sorted", "choice", "heappop", "pop", "popleft", "popitem", "randrange", "randint")
_ASSIGNMENTS = (ast.Assign, ast.AnnAssign, ast.NamedExpr)


def is_named(node: ast.AST, name: str) -> bool:
    """Whether an expression is a variable or an attribute of a name."""
    return name in (getattr(node, "id", None), getattr(node, "attr", None))


def takes_any(function: Function, name: str, source: Source) -> bool:
    """Whether a function takes entries from a container that it chooses itself, or puts a new one in its place."""
    nodes = nodes_of(function)
    chosen = set(_chosen_names(nodes, name))
    return any(_takes(node, name, chosen) or _replaces(node, name, function, source) for node in nodes)


def slots_in(function: Function, name: str) -> Iterator[ast.expr]:
    """Return the numbers of slots of entries that a function puts at a remainder: ``ring[position % 100] = entry``."""
    for node in nodes_of(function):
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in targets:
            if isinstance(target, ast.Subscript) and is_named(target.value, name):
                yield from (
                    each.right
                    for each in _with_values(target.slice, function)
                    if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Mod) and not _is_text(each.left)
                )


def _with_values(key: ast.expr, function: Function) -> list[ast.expr]:
    """Return a key, and where it is a variable what the function assigns to it."""
    if not isinstance(key, ast.Name):
        return [key]
    assigned = [node for node in nodes_of(function) if isinstance(node, ast.Assign)]
    return [node.value for node in assigned if any(is_named(target, key.id) for target in node.targets)]


def _is_text(node: ast.expr) -> bool:
    return (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)) or isinstance(node, ast.JoinedStr)


def _takes(node: ast.AST, name: str, chosen: set[str]) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr=method, value=value), args=arguments) if is_named(value, name):
            if method in _TAKING_ANY or (method == "pop" and not arguments):
                return True
            return method in _TAKING and bool(arguments) and _is_chosen(arguments[0], name, chosen)
        case ast.Call(func=function, args=[first, *_]):
            called = getattr(function, "id", getattr(function, "attr", None))
            return called in ("heappop", "heappushpop", "heapreplace") and is_named(first, name)
        case ast.Delete(targets=targets):
            taken = [each for each in targets if isinstance(each, ast.Subscript) and is_named(each.value, name)]
            return any(_is_chosen(each.slice, name, chosen) for each in taken)
        case ast.Assign(targets=targets):
            slices = [each for each in targets if isinstance(each, ast.Subscript) and is_named(each.value, name)]
            return any(isinstance(each.slice, ast.Slice) for each in slices)
        case _:
            return False


def _is_chosen(key: ast.expr, name: str, chosen: set[str]) -> bool:
    """Whether a key is one that the function has chosen: a position, or of a loop, or found in the container."""
    position = key.operand if isinstance(key, ast.UnaryOp) else key
    if isinstance(position, ast.Slice) or (isinstance(position, ast.Constant) and isinstance(position.value, int)):
        return True
    return any(getattr(each, "id", None) in chosen for each in ast.walk(key)) or _chooses(key, name)


def _chosen_names(nodes: Sequence[ast.AST], name: str) -> Iterator[str]:
    """Give the variables of loops, and those that are set to what the function chooses."""
    for node in nodes:
        if isinstance(node, ast.For | ast.AsyncFor):
            yield from _variables(node.target)
        elif isinstance(node, _ASSIGNMENTS) and node.value is not None and _chooses(node.value, name):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from _variables(target)


def _variables(target: ast.expr) -> Iterator[str]:
    return (each.id for each in ast.walk(target) if isinstance(each, ast.Name))


def _chooses(value: ast.expr, name: str) -> bool:
    """Whether an expression reads keys of the container, or chooses one in another: the least, the oldest."""
    inner = list(ast.walk(value))
    functions = (each.func for each in inner if isinstance(each, ast.Call) and not _takes_by_key(each))
    called = {getattr(each, "id", getattr(each, "attr", None)) for each in functions}
    if called.intersection(_CHOOSING):
        return True
    is_read = any(is_named(each, name) for each in inner)
    return is_read and bool(called.intersection(("next", "iter", "list", "tuple", "keys", "items")))


def _takes_by_key(call: ast.Call) -> bool:
    """Whether a call takes an entry whose key its caller names: ``figures.pop(number)``; ``ages.pop(0)`` chooses."""
    is_pop = isinstance(call.func, ast.Attribute) and call.func.attr == "pop"
    return is_pop and bool(call.args) and not isinstance(call.args[0], ast.Constant | ast.UnaryOp)


def _replaces(node: ast.AST, name: str, function: Function, source: Source) -> bool:
    """Whether a statement puts another container in the place of one that there was."""
    if not isinstance(node, ast.Assign) or function.name == "__init__":
        return False
    targets = [each for target in node.targets for each in _each_target(target)]
    own = [each for each in targets if is_named(each, name)]
    is_attribute = any(isinstance(each, ast.Attribute) for each in own)
    declarations = (each for each in nodes_of(function) if isinstance(each, ast.Global | ast.Nonlocal))
    is_declared = any(name in each.names for each in declarations)
    if not is_attribute and not (own and is_declared):
        return False
    around = (parent for _, parent in source.path(node) if isinstance(parent, ast.If))
    return not any(_asks_whether_there_is_one(parent.test, name) for parent in around)


def _each_target(target: ast.expr) -> list[ast.expr]:
    return target.elts if isinstance(target, ast.Tuple) else [target]


def _asks_whether_there_is_one(test: ast.expr, name: str) -> bool:
    """Whether a condition asks if a container was made before: ``if self.cache is None``."""
    for each in ast.walk(test):
        match each:
            case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot()]) if is_named(left, name):
                return True
            case ast.UnaryOp(op=ast.Not(), operand=operand) if is_named(operand, name):
                return True
            case ast.Constant(value=text) if text == name:
                return True
    return False
