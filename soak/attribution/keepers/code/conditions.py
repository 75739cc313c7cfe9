"""Does a function do something whenever it is called, or on a condition? Told by its syntax alone."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from soak.attribution.keepers.code.items import NOTHING_FILLED, Filled
from soak.attribution.keepers.code.source import Function, nodes_of

_TRANSPARENT_DECORATORS = ("staticmethod", "classmethod")
_REGISTERING = ("route", "get", "post", "put", "patch", "delete", "websocket", "task", "shared_task")
"""Decorators of Flask, Starlette, FastAPI, Django's ninja and Celery that give a function to a server, as it is."""
_MOST_KEPT = 4096
"""Functions of which what was found is kept: many stacks lead through the same ones."""


@lru_cache(_MOST_KEPT)
def runs_as_written(function: Function, *, is_served: bool = False) -> bool:
    """Whether a call of a function runs its body: no decorator may leave it out, and it is no generator.

    ``is_served``: a server calls it, so it may be decorated as one that is registered there.
    """
    is_generator = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in nodes_of(function))
    decorators = function.decorator_list
    return not is_generator and all(_is_transparent(each) or (is_served and _registers(each)) for each in decorators)


def _is_transparent(decorator: ast.expr) -> bool:
    return getattr(decorator, "id", None) in _TRANSPARENT_DECORATORS


def _registers(decorator: ast.expr) -> bool:
    """Whether a decorator is ``@app.route("/")``, ``@app.task`` or the like."""
    named = decorator.func if isinstance(decorator, ast.Call) else decorator
    return getattr(named, "attr", getattr(named, "id", None)) in _REGISTERING


@dataclass(frozen=True)
class Settings:
    """How a function writes what is set once: ``self._mode``, or a variable of its own that it sets to that."""

    same: frozenset[str] = frozenset()
    """These are the same object for ever."""
    flags: frozenset[str] = frozenset()
    """These are also true or false for ever."""
    tests: frozenset[str] = frozenset()
    """Conditions that have the same answer each time (see .stateless)."""

    def is_asked_by(self, test: ast.expr) -> bool:
        """Whether a condition asks for nothing but settings: ``self._mode is Mode.DEBUG``."""
        if self.tests and ast.unparse(test) in self.tests:
            return True
        match test:
            case ast.BoolOp(values=values):
                return all(map(self.is_asked_by, values))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.is_asked_by(operand)
            case ast.Name() | ast.Attribute():
                return ast.unparse(test) in self.flags
            case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot() | ast.Eq() | ast.NotEq()], comparators=[other]):
                return ast.unparse(left) in self.same and _is_constant(other)
            case _:
                return False


NO_SETTINGS = Settings()


@dataclass(frozen=True)
class Given:
    """What conditions may ask for and be no bound: they have the same answer whatever the program has kept so far."""

    constants: frozenset[str] = frozenset()
    """Variables that are set once."""
    arguments: frozenset[str] = frozenset()
    """Arguments that a server passes, or that a function passes on of these: of what kind a request is, is its own
    affair."""
    settings: Settings = NO_SETTINGS
    """What is set once, of the function alone."""
    filled: Filled = NOTHING_FILLED
    """What has items."""

    def is_asked_by(self, test: ast.expr) -> bool:
        """Whether a condition asks for nothing else: ``request.method == "POST" and not DEBUG``."""
        if self.settings.is_asked_by(test):
            return True
        match test:
            case ast.BoolOp(values=values):
                return all(map(self.is_asked_by, values))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.is_asked_by(operand)
            case ast.Name(id=name):
                return name in self.constants
            case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() | ast.In() | ast.NotIn()], comparators=[other]):
                return self._is_of_request(left) and _is_text(other)
            case _:
                return False

    def passed_on(self, calls: Sequence[ast.Call], function: Function) -> frozenset[str]:
        """Return the arguments of a function that calls pass on from a request, or write out; see `passed_by`."""
        given = passed_by(calls, function).items()
        passed = {name for name, value in given if self._is_of_request(value) or _is_text(value)}
        return frozenset(passed - set_in(function))

    def _is_of_request(self, node: ast.expr) -> bool:
        match node:
            case ast.Name(id=name):
                return name in self.arguments
            case ast.Attribute(value=value):
                return self._is_of_request(value)
            case ast.Subscript(value=value, slice=key):
                return _is_text(key) and self._is_of_request(value)
            case _:
                return False


def served_arguments(function: Function) -> frozenset[str]:
    """Return the arguments of a function that a server calls, but for those that it sets to something else."""
    return frozenset(each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)) - set_in(function)


def passed_by(calls: Sequence[ast.Call], function: Function) -> dict[str, ast.expr]:
    """Return what calls pass to a function, by the name of the argument.

    ``calls``: of the line that called it. Nothing if more than one of them is by its name.
    """
    named = [call for call in calls if getattr(call.func, "id", getattr(call.func, "attr", None)) == function.name]
    if len(named) != 1:
        return {}
    (call,) = named
    is_by_name_alone = any(isinstance(each, ast.Starred) for each in call.args)
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    if isinstance(call.func, ast.Attribute) and names[:1] in (["self"], ["cls"]):
        # Of a class its method has one more argument than of an object.
        is_by_name_alone |= getattr(call.func.value, "id", None) != "self"
        del names[0]
    by_place = () if is_by_name_alone else zip(names, call.args, strict=False)
    by_name = ((each.arg, each.value) for each in call.keywords if each.arg is not None)
    return dict((*by_place, *by_name))


def set_in(function: Function) -> set[str]:
    """Return the variables that a function sets."""
    names = (node for node in nodes_of(function) if isinstance(node, ast.Name))
    return {name.id for name in names if not isinstance(name.ctx, ast.Load)}


_NOTHING = Given()


class Body:
    """Tells which nodes of a function are reached by each call of it."""

    def __init__(self, function: Function, given: Given) -> None:
        self._function, self._given = function, given
        self._parents = {child: node for node in nodes_of(function) for child in ast.iter_child_nodes(node)}
        leaving = [node for node in nodes_of(function) if isinstance(node, ast.Return | ast.Continue | ast.Break)]
        self._leaves = [node for node in leaving if not self._is_for_a_kind(node)]

    def always_reaches(
        self, node: ast.expr | ast.stmt, answer: Callable[[ast.expr], bool | None] = lambda _: None
    ) -> bool:
        """Whether nothing on the way from the function's first line to a node depends on anything.

        ``answer``: returns what a condition always is, None where that is not known.
        """
        here: ast.AST = node
        while here is not self._function:
            parent = self._parents[here]
            is_passed = _always_runs(here, parent, self._given) or self._is_given(parent)
            if not is_passed and _is_asked_before(here, parent, answer) is not True:
                return False
            here = parent
        leaves = (leave for leave in self._leaves if leave.lineno < node.lineno)
        return all(_is_asked_before(leave, self._parents[leave], answer) is False for leave in leaves)

    def _is_given(self, node: ast.AST) -> bool:
        return isinstance(node, ast.If) and self._given.is_asked_by(node.test)

    def _is_for_a_kind(self, node: ast.stmt) -> bool:
        """Whether a statement leaves the function for requests of one kind only."""
        parent = self._parents[node]
        return isinstance(node, ast.Return) and self._is_given(parent) and self._parents[parent] is self._function


@lru_cache(_MOST_KEPT)
def body_of(function: Function, given: Given = _NOTHING) -> Body:
    """Return the `Body` of a function, which is made once. ``given``: what its conditions may ask for."""
    return Body(function, given)


def _is_asked_before(node: ast.AST, parent: ast.AST, answer: Callable[[ast.expr], bool | None]) -> bool | None:
    """Return whether a condition always or never lets a statement run; None if that is not known."""
    if not isinstance(parent, ast.If) or node is parent.test:
        return None
    always = answer(parent.test)
    return always if always is None or node in parent.body else not always


def _is_constant(node: ast.expr) -> bool:
    """Whether an expression is written out, or a member of an enum or class by its usual spelling."""
    match node:
        case ast.Constant():
            return True
        case ast.Attribute(value=ast.Name(), attr=name):
            return name.isupper()
        case _:
            return False


def _is_text(node: ast.expr) -> bool:
    """Whether an expression is a text, or a few that are written out."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return all(map(_is_text, node.elts))
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _always_runs(node: ast.AST, parent: ast.AST, given: Given) -> bool:
    """Whether a node runs, once or more, whenever its parent does."""
    match parent:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return node in parent.body
        case ast.For():
            return node is parent.iter or (node in parent.body and given.filled.has_items(parent.iter))
        case ast.Try():
            return node in parent.finalbody or (node in parent.body and not parent.handlers)
        case ast.With() | ast.AsyncWith():
            return not any("suppress" in ast.dump(item.context_expr) for item in parent.items)
        case ast.BoolOp():
            return node is parent.values[0]
        case ast.If() | ast.IfExp() | ast.While():
            return node is parent.test
        case ast.ListComp() | ast.DictComp() | ast.SetComp():
            return all(given.filled.has_items(each.iter) and not each.ifs for each in parent.generators)
        case ast.Lambda() | ast.GeneratorExp() | ast.Match() | ast.AsyncFor() | ast.ClassDef() | ast.ExceptHandler():
            return False
        case _:
            return True
