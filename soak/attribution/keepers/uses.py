"""What code does with a container: add to it, read it, or anything else, which may be to take from it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from soak.attribution.keepers.conditions import Body
from soak.attribution.keepers.source import Container, Function, Source

_ADDING = ("append", "appendleft", "insert")
_HARMLESS = (*_ADDING, "extend", "count", "index", "copy", "get", "keys", "values", "items")
_READING = ("sorted", "sum", "max", "min", "any", "all", "str", "repr", "print")
_NEW_EACH_TIME = ("uuid4", "uuid1", "object", "token_hex", "token_bytes", "time_ns", "perf_counter_ns", "monotonic_ns")
"""Calls that give another key each time."""


def additions(function: Function) -> Iterator[tuple[ast.expr | ast.stmt, Container]]:
    """Give what adds one entry or more to a container, unless a condition keeps it from that."""
    source = Body(function)
    for node in ast.walk(function):
        container = _added_to(node)
        if container is not None and isinstance(node, ast.expr | ast.stmt) and source.always_reaches(node):
            yield node, container


def _added_to(node: ast.AST) -> Container | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _ADDING:
        return _container(node.func.value)
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add) and isinstance(node.value, ast.List):
        return _container(node.target) if node.value.elts else None
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Subscript):
        target = node.targets[0]
        return _container(target.value) if _is_new_key(target.slice, _container(target.value)) else None
    return None


def _container(node: ast.expr) -> Container | None:
    if isinstance(node, ast.Name):
        return Container(node.id, None)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return Container(node.attr, node.value.id)
    return None


def _is_new_key(key: ast.expr, container: Container | None) -> bool:
    """Whether a key is another one each time, as far as its expression tells."""
    if not isinstance(key, ast.Call):
        return False
    if getattr(key.func, "id", None) == "len" and len(key.args) == 1:
        return _container(key.args[0]) == container
    return getattr(key.func, "id", getattr(key.func, "attr", None)) in _NEW_EACH_TIME


def uses(name: str, source: Source) -> Iterator[ast.AST]:
    """Give every node that speaks of a name."""
    for node in source.nodes:
        spoken = getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "arg", None)
        is_text = isinstance(node, ast.Constant) and node.value == name
        is_import = isinstance(node, ast.alias) and name in (node.name, node.asname)
        is_declared = isinstance(node, ast.Nonlocal | ast.Global) and name in node.names
        if name in spoken or is_text or is_import or is_declared:
            yield node


def may_be_of_other_file(use: ast.AST, container: Container, source: Source) -> bool:
    """Whether a use of the name may mean a container that another file than ``source`` has made.

    A variable and an argument are this file's own unless it imports the name; so is an attribute of ``self`` where the
    container is a module's.
    """
    if isinstance(use, ast.Attribute):
        is_of_self = isinstance(use.value, ast.Name) and use.value.id in ("self", "cls")
        return container.base is not None or not is_of_self
    if isinstance(use, ast.Constant | ast.alias):
        return True
    return container.base is None and isinstance(use, ast.Name) and source.imports(container.name)


def is_made(use: ast.AST, source: Source) -> bool:
    """Whether a use is the assignment of a new container that has no bound of its own."""
    value = _assigned_to(use, source.parent(use))
    if isinstance(value, ast.List | ast.Dict):
        return True
    if not isinstance(value, ast.Call) or value.args or value.keywords:
        return False
    return getattr(value.func, "id", getattr(value.func, "attr", None)) in ("list", "dict", "deque")


def _assigned_to(use: ast.AST, statement: ast.AST | None) -> ast.expr | None:
    """Return what a statement assigns to a name, and to nothing else; None if it assigns nothing to it."""
    if isinstance(statement, ast.Assign) and statement.targets == [use]:
        return statement.value
    return statement.value if isinstance(statement, ast.AnnAssign) and statement.target is use else None


def is_harmless(use: ast.AST, source: Source) -> bool:
    """Whether a use cannot take anything from a container, nor hand it to what may."""
    parent = source.parent(use)
    if isinstance(use, ast.alias):
        return isinstance(parent, ast.ImportFrom) and use.asname is None
    if isinstance(use, ast.Global | ast.Nonlocal):
        return True
    if not isinstance(use, ast.Name | ast.Attribute):
        return False
    if is_made(use, source):
        return _is_first(use, source)
    if isinstance(parent, ast.AugAssign):
        return parent.target is use and isinstance(parent.op, ast.Add)
    return isinstance(use.ctx, ast.Load) and _is_harmless_in(parent, use, source)


def _is_first(use: ast.Name | ast.Attribute, source: Source) -> bool:
    """Whether an assignment makes a container for a new module, class or object, so that it replaces none."""
    around = source.function_of(use)
    if isinstance(use, ast.Name):
        return around is None
    is_own = isinstance(use.value, ast.Name) and use.value.id == "self"
    return is_own and isinstance(around, Function) and around.name == "__init__"


def _is_harmless_in(parent: ast.AST | None, use: ast.AST, source: Source) -> bool:
    match parent:
        case ast.Attribute():
            call = source.parent(parent)
            return parent.attr in _HARMLESS and isinstance(call, ast.Call) and call.func is parent
        case ast.Subscript():
            return parent.value is use and (isinstance(parent.ctx, ast.Load) or _is_addition(parent, source))
        case ast.For() | ast.comprehension():
            return parent.iter is use
        case ast.Call():
            return use in parent.args and _only_reads(parent, source)
        case _:
            return isinstance(parent, ast.FormattedValue)


def _is_addition(target: ast.Subscript, source: Source) -> bool:
    statement = source.parent(target)
    return statement is not None and _added_to(statement) is not None


def _only_reads(call: ast.Call, source: Source) -> bool:
    """Whether a call reads a container; its length must not be compared, which may be a bound."""
    name = getattr(call.func, "id", None)
    if name != "len":
        return name in _READING
    around = (ast.Compare, ast.BinOp, ast.If, ast.While, ast.IfExp, ast.BoolOp, ast.Assign, ast.NamedExpr)
    for node, parent in source.path(call):
        is_key = isinstance(parent, ast.Subscript) and parent.slice is node and isinstance(parent.ctx, ast.Store)
        if is_key:
            return True
        if isinstance(parent, around):
            return isinstance(parent, ast.If | ast.While) and node is not parent.test
        if isinstance(node, ast.stmt):
            return True
    return True


def is_local(name: str, node: ast.AST, source: Source) -> bool:
    """Whether a name is a variable of a function around a node."""
    for _, parent in source.path(node):
        if isinstance(parent, Function):
            inner = list(ast.walk(parent))
            names = {each.arg for each in inner if isinstance(each, ast.arg)}
            names |= {each.id for each in inner if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
            if name in names.difference(*(each.names for each in inner if isinstance(each, ast.Global))):
                return True
    return False
