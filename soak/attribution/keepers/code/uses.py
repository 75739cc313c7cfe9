"""What code does with a container: add to it, read it, or anything else, which may be to take from it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache

from soak.attribution.keepers.code.conditions import Given, body_of
from soak.attribution.keepers.code.source import Container, Function, Source, container_of, nodes_of

_ADDING = ("append", "appendleft", "insert")
_HARMLESS = (*_ADDING, "extend", "add", "count", "index", "copy", "get", "keys", "values", "items")
_READING = ("sorted", "sum", "max", "min", "any", "all", "str", "repr", "print")
_LISTS = ("list", "dict", "deque", "set", "OrderedDict")
_MOST_KEPT = 4096
"""Functions of which the variables are kept."""
_CLOCKS = {"time": ("time", "perf_counter", "monotonic"), "datetime": ("now", "utcnow")}
_NEW_EACH_TIME = ("uuid4", "uuid1", "object", "token_hex", "token_bytes", "time_ns", "perf_counter_ns", "monotonic_ns")
"""Calls that give another key each time."""
IsNew = Callable[[ast.expr, Container], bool]
"""Tells whether a key of a container is another one each time."""


def additions(function: Function, is_new: IsNew, given: Given) -> Iterator[tuple[ast.expr | ast.stmt, Container]]:
    """Give what adds one entry or more to a container, unless a condition keeps it from that."""
    body = body_of(function, given)
    for node in nodes_of(function):
        container = _added_to(node, is_new, given)
        if container is None or not isinstance(node, ast.expr | ast.stmt):
            continue
        if body.always_reaches(node, _asks_for_new_key(function, container, is_new)):
            yield node, container


def _asks_for_new_key(function: Function, container: Container, is_new: IsNew) -> Callable[[ast.expr], bool | None]:
    """Return what tells of a condition that it asks whether a new key is there, and what the answer is: never."""
    nodes = nodes_of(function)
    assigned = [node for node in nodes if isinstance(node, ast.Assign)]
    names = [node for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)]

    def is_got(node: ast.expr) -> bool:
        """Whether an expression is what the container has for a new key: nothing."""
        match node:
            case ast.Call(func=ast.Attribute(attr="get", value=value), args=[key]):
                return container_of(value) == container and is_new(key, container)
            case ast.NamedExpr(value=value):
                return is_got(value)
            case ast.Name(id=name):
                stored = [each for each in names if each.id == name and each.lineno < node.lineno]
                values = [each.value for each in assigned if stored == each.targets]
                return bool(values) and is_got(values[0])
            case _:
                return False

    def answer(test: ast.expr) -> bool | None:
        match test:
            case ast.Compare(left=key, ops=[ast.In() | ast.NotIn() as asked], comparators=[other]):
                is_there = container_of(other) == container and is_new(key, container)
                return isinstance(asked, ast.NotIn) if is_there else None
            case ast.Compare(left=got, ops=[ast.Is() | ast.IsNot() as asked], comparators=[ast.Constant(value=None)]):
                return isinstance(asked, ast.Is) if is_got(got) else None
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = answer(operand)
                return None if inner is None else not inner
            case ast.Name() | ast.Call() | ast.NamedExpr():
                return False if is_got(test) else None
            case _:
                return None

    return answer


def _added_to(node: ast.AST, is_new: IsNew, given: Given) -> Container | None:
    match node:
        case ast.Call(func=ast.Attribute(attr="setdefault", value=value), args=[key, *_]):
            return _if_new(key, container_of(value), is_new)
        case ast.Call(func=ast.Attribute(attr=method, value=value)) if method in _ADDING:
            return container_of(value) or _dict_of_value(value)
        case ast.Call(func=ast.Attribute(attr="add", value=value), args=[key]):
            return _if_new(key, container_of(value), is_new)
        case ast.Call(func=ast.Attribute(attr="extend", value=value), args=[items]) if given.filled.has_items(items):
            return container_of(value)
        case ast.AugAssign(op=ast.Add(), value=items, target=target) if given.filled.has_items(items):
            return container_of(target)
        case ast.Assign(targets=targets):
            found = (_if_new(t.slice, container_of(t.value), is_new) for t in targets if isinstance(t, ast.Subscript))
            return next(filter(None, found), None)
        case _:
            return None


def _if_new(key: ast.expr, container: Container | None, is_new: IsNew) -> Container | None:
    return container if container is not None and is_new(key, container) else None


def _dict_of_value(node: ast.expr) -> Container | None:
    """Return the dict of lists, or list of lists, of which an expression is a value; also one in another one."""
    match node:
        case (
            ast.Subscript(value=value)
            | ast.Call(func=ast.Attribute(attr="setdefault", value=value), args=[_, ast.List()])
        ):
            container = container_of(value) or _dict_of_value(value)
        case _:
            container = None
    return None if container is None else replace(container, holds_lists=True)


def is_always_new(key: ast.expr, container: Container) -> bool:
    """Whether a key is another one each time, wherever it is written."""
    if not isinstance(key, ast.Call):
        return False
    name = getattr(key.func, "id", getattr(key.func, "attr", None))
    if name == "len" and len(key.args) == 1:
        return container_of(key.args[0]) == container
    if isinstance(key.func, ast.Attribute):
        owner = getattr(key.func.value, "id", getattr(key.func.value, "attr", ""))
        if name in _CLOCKS.get(owner, ()):
            return True
    return name in _NEW_EACH_TIME


def may_be_of_same_file(use: ast.AST, container: Container, source: Source) -> bool:
    """Whether a use of the name may mean a container of this file: a function's variable is no attribute."""
    is_variable = isinstance(use, ast.Name | ast.arg)
    return container.base is None or not is_variable or source.function_of(use) is None


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
    return is_new_container(assigned_to(use, source))


def is_new_container(value: ast.expr | None) -> bool:
    """Whether an expression makes a container that has no bound of its own."""
    if isinstance(value, ast.List | ast.Dict):
        return True
    if not isinstance(value, ast.Call) or value.keywords:
        return False
    name = getattr(value.func, "id", getattr(value.func, "attr", None))
    if name == "defaultdict":
        return len(value.args) == 1 and getattr(value.args[0], "id", None) == "list"
    return name in _LISTS and not value.args


def _may_hold_only_lists(value: ast.expr | None) -> bool:
    """Whether the values of a new dict or list, as far as it has any, have no bound of their own."""
    match value:
        case ast.Dict(values=values) | ast.List(elts=values):
            return all(is_new_container(each) and _may_hold_only_lists(each) for each in values)
        case _:
            return True


def assigned_to(use: ast.AST, source: Source) -> ast.expr | None:
    """Return what is assigned to a name, and to nothing else; None if nothing is. Also of ``a, b = {}, []``."""
    statement = source.parent(use)
    match statement:
        case ast.Assign(targets=[target], value=value) if target is use:
            return value
        case ast.AnnAssign(target=target, value=annotated) if target is use:
            return annotated
        case ast.Tuple(elts=names):
            return _value_for(names.index(use), names, source.parent(statement)) if use in names else None
        case _:
            return None


def _value_for(position: int, names: list[ast.expr], statement: ast.AST | None) -> ast.expr | None:
    """Return what a statement assigns to one of some names, if it is written out for each of them."""
    match statement:
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if targets is names:
            is_spread = any(isinstance(each, ast.Starred) for each in (*names, *values))
            return None if is_spread or len(values) != len(names) else values[position]
        case _:
            return None


def is_harmless(use: ast.AST, source: Source, container: Container, added: ast.AST) -> bool:
    """Whether a use cannot take anything from a container, nor hand it to what may.

    ``added``: what adds to it, under a key that is new each time.
    """
    parent = source.parent(use)
    if isinstance(use, ast.alias):
        return isinstance(parent, ast.ImportFrom) and use.asname is None
    if isinstance(use, ast.Global | ast.Nonlocal):
        return True
    if isinstance(use, ast.arg):
        return True  # of the function that has it as a default, or of another, whose own uses are looked at as well
    if not isinstance(use, ast.Name | ast.Attribute):
        return False
    if is_made(use, source):
        made = assigned_to(use, source)
        return _is_first(use, source) and (not container.holds_lists or _may_hold_only_lists(made))
    if container.holds_lists:
        return _only_adds_to_value(source.parent(use), source)
    if isinstance(parent, ast.AugAssign):
        return parent.target is use and isinstance(parent.op, ast.Add)
    return isinstance(use.ctx, ast.Load) and _is_harmless_in(parent, use, source, container, added)


def _is_first(use: ast.Name | ast.Attribute, source: Source) -> bool:
    """Whether an assignment makes a container for a new module, class or object, so that it replaces none."""
    around = source.function_of(use)
    if isinstance(use, ast.Name):
        declared = () if around is None else (n for n in ast.walk(around) if isinstance(n, ast.Global | ast.Nonlocal))
        return not any(use.id in each.names for each in declared)
    is_own = isinstance(use.value, ast.Name) and use.value.id == "self"
    return is_own and isinstance(around, Function) and around.name == "__init__"


def _is_harmless_in(parent: ast.AST | None, use: ast.AST, source: Source, container: Container, added: ast.AST) -> bool:
    match parent:
        case ast.Attribute():
            call = source.parent(parent)
            is_call = isinstance(call, ast.Call) and call.func is parent
            return is_call and (parent.attr in _HARMLESS or call is added)
        case ast.Subscript():
            is_set = source.parent(parent) is added or is_always_new(parent.slice, container)
            return parent.value is use and (isinstance(parent.ctx, ast.Load) or is_set)
        case ast.For() | ast.comprehension():
            return parent.iter is use
        case ast.Call():
            return use in parent.args and _only_reads(parent, source)
        case ast.Compare(ops=[ast.In() | ast.NotIn()]):
            return use in parent.comparators
        case _:
            return isinstance(parent, ast.FormattedValue)


def _only_adds_to_value(parent: ast.AST | None, source: Source) -> bool:
    """Whether a dict of lists is used for nothing but adding to one of them."""
    value = parent
    if isinstance(parent, ast.Attribute):
        value = source.parent(parent)
        is_default = isinstance(value, ast.Call) and len(value.args) == 2 and isinstance(value.args[1], ast.List)
        if parent.attr != "setdefault" or not is_default:
            return False
    elif not isinstance(parent, ast.Subscript) or not isinstance(parent.ctx, ast.Load):
        return False
    elif isinstance(outer := source.parent(parent), ast.Subscript) and outer.value is parent:
        return _only_adds_to_value(outer, source)
    method = None if value is None else source.parent(value)
    call = None if method is None else source.parent(method)
    return isinstance(method, ast.Attribute) and method.attr in _ADDING and isinstance(call, ast.Call)


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


def is_local(name: str, node: ast.AST, source: Source, within: Function | None = None) -> bool:
    """Whether a name is a variable of a function around a node; ``within``: the only one that counts."""
    for _, parent in source.path(node):
        if isinstance(parent, Function) and within in (None, parent) and name in _variables(parent):
            return True
    return False


@lru_cache(_MOST_KEPT)
def _variables(function: Function) -> frozenset[str]:
    """Return the arguments and variables of a function and of those within it."""
    inner = nodes_of(function)
    names = {each.arg for each in inner if isinstance(each, ast.arg)}
    names |= {each.id for each in inner if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    return frozenset(names.difference(*(each.names for each in inner if isinstance(each, ast.Global))))
