"""Which conditions have the same answer each time: they ask for nothing but what the function makes by itself.

``rows = make_rows()`` and then ``if len(rows) > 5:`` asks for nothing that an earlier cycle could have left, where
``make_rows`` reads no variable. Such a condition is no bound; whether it holds, what has run shows.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterator

from soak.attribution.keepers.code.conditions import runs_as_written
from soak.attribution.keepers.code.items import returned_by
from soak.attribution.keepers.code.source import Function, Source, nodes_of

_PURE = (
    *("len", "isinstance", "range", "list", "tuple", "dict", "set", "frozenset", "sorted", "reversed", "enumerate"),
    *("sum", "min", "max", "abs", "any", "all", "int", "float", "bool", "str", "bytes", "bytearray", "object", "zip"),
)
"""Built-in functions whose results depend on nothing but what they get."""
_MADE_OF_PARTS = (
    *(ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare, ast.IfExp, ast.Tuple, ast.List, ast.Set, ast.Dict),
    *(ast.Subscript, ast.Slice, ast.JoinedStr, ast.FormattedValue, ast.Starred),
)
_DEEPEST = 4
"""Functions that call each other are followed so far."""
Stays = Callable[[Function, ast.expr], bool]
"""Tells whether nothing puts another function in the place of one that is called by an expression."""


def same_each_time(function: Function, source: Source, numbers: frozenset[str], stays: Stays) -> frozenset[str]:
    """Return the conditions of a function, as they are written, that have the same answer whenever it runs.

    ``numbers``: variables of the module that are a number for ever.
    """
    if any(isinstance(node, ast.For | ast.AsyncFor | ast.While) for node in nodes_of(function)):
        return frozenset()  # what stands below in a loop may have run before
    looked = _Stateless(source, stays)
    tests = (part for node in nodes_of(function) if isinstance(node, ast.If) for part in _parts(node.test))
    return frozenset(ast.unparse(test) for test in tests if looked.is_same(test, function, numbers, 0))


def _parts(test: ast.expr) -> Iterator[ast.expr]:
    yield test
    if isinstance(test, ast.BoolOp):
        yield from test.values


class _Stateless:
    def __init__(self, source: Source, stays: Stays) -> None:
        self._source, self._stays = source, stays

    def is_same(self, node: ast.AST, function: Function, known: frozenset[str], depth: int) -> bool:
        """Whether an expression is the same each time. ``known``: variables that are."""
        match node:
            case ast.Constant():
                return True
            case ast.Name(id=name):
                return name in known or self._is_type(name) or self._is_own(node, function, known, depth)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                same = all(self.is_same(each, function, known, depth) for each in arguments)
                return same and (self._is_built_in(name) or self._makes_same(node, depth))
            case ast.ListComp(elt=made, generators=parts) | ast.SetComp(elt=made, generators=parts):
                return self._is_comprehension_same(made, parts, function, known, depth)
            case ast.GeneratorExp(elt=made, generators=parts):
                return self._is_comprehension_same(made, parts, function, known, depth)
            case _:
                inner = (each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr))
                return isinstance(node, _MADE_OF_PARTS) and all(
                    self.is_same(each, function, known, depth) for each in inner
                )

    def _is_comprehension_same(
        self, made: ast.expr, parts: list[ast.comprehension], function: Function, known: frozenset[str], depth: int
    ) -> bool:
        for part in parts:
            if part.is_async or not self.is_same(part.iter, function, known, depth):
                return False
            known |= {each.id for each in ast.walk(part.target) if isinstance(each, ast.Name)}
            if not all(self.is_same(each, function, known, depth) for each in part.ifs):
                return False
        return self.is_same(made, function, known, depth)

    def _is_own(self, name: ast.Name, function: Function, known: frozenset[str], depth: int) -> bool:
        """Whether a variable is set once in the function, to what is the same, and nobody gets it before."""
        nodes = nodes_of(function)
        uses = [each for each in nodes if isinstance(each, ast.Name) and each.id == name.id]
        stored = [each for each in uses if not isinstance(each.ctx, ast.Load)]
        shared = (n.names for n in nodes if isinstance(n, ast.Global | ast.Nonlocal))
        others = {each.arg for each in nodes if isinstance(each, ast.arg)}.union(*shared)
        if name.id in others or any(each.lineno < name.lineno for each in uses if each not in stored):
            return False
        made = [each for each in function.body if isinstance(each, ast.Assign) and each.targets == stored]
        return any(each.lineno < name.lineno and self.is_same(each.value, function, known, depth) for each in made)

    def _is_built_in(self, name: str) -> bool:
        return name in _PURE and self._is_not_redefined(name)

    def _is_type(self, name: str) -> bool:
        is_type = isinstance(getattr(builtins, name, None), type)
        return is_type and self._is_not_redefined(name)

    def _is_not_redefined(self, name: str) -> bool:
        return not self._source.bindings[name] and not self._source.imports(name)

    def _makes_same(self, call: ast.Call, depth: int) -> bool:
        """Whether a call is that of a function of the module that returns the same for the same arguments."""
        name = getattr(call.func, "id", "")
        named = [each for each in self._source.tree.body if isinstance(each, Function) and each.name == name]
        if len(named) != 1 or self._source.bindings[name] != 1 or depth >= _DEEPEST:
            return False
        (made,) = named
        is_short = isinstance(made, ast.FunctionDef) and len(_without_text(made.body)) == 1 and runs_as_written(made)
        value = returned_by(made)
        arguments = frozenset(each.arg for each in ast.walk(made.args) if isinstance(each, ast.arg))
        defaults = [*made.args.defaults, *(each for each in made.args.kw_defaults if each is not None)]
        is_plain = is_short and all(isinstance(each, ast.Constant) for each in defaults)
        is_same = value is not None and self.is_same(value, made, arguments, depth + 1)
        return is_plain and is_same and self._stays(made, call.func)


def _without_text(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the statements without the text that says what a function is for."""
    first = body[0]
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return body[1:] if is_text else body
