"""Find the functions of some files that may run again and again, by the names that running code mentions.

A file often has more than a program uses: a function that empties a cache bounds nothing if nobody calls it, where
it runs at exit, or where it runs once, as a program sets something up.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from soak.attribution.keepers.code.source import Function, Source, names_read, nodes_of

_OF_LANGUAGE = ("functools", "contextlib", "property", "staticmethod", "classmethod", "abc", "typing")
_MOST_FUNCTIONS = 8192
"""Whose names are kept: all of a program are asked about for each container."""
_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.comprehension)


def functions_that_may_run(sources: Sequence[Source], running: Collection[str]) -> set[Function]:
    """Return the functions that code which runs may call: it has their names, or they are methods that Python calls.

    ``running``: the names of functions that are known to run; of none, all functions may.
    """
    functions = [function for source in sources for function in source.functions]
    if not running:
        return set(functions)
    files = {function: source for source in sources for function in source.functions}
    mentioned = {name.rsplit(".", 1)[-1] for name in running}.union(*map(_names_outside, sources))
    mentioned_once = set[str]()
    again, once = set[Function](), set[Function]()
    while True:
        more = [each for each in functions if each not in again and _may_be_called(each, mentioned)]
        more_once = [each for each in functions if each not in once and each.name in mentioned_once]
        if not more and not more_once:
            return again
        again.update(more)
        once.update(more_once)
        for mentions in (*(_mentions(each, files[each]) for each in more), *map(_mentions_once, more_once)):
            mentioned |= mentions.again
            mentioned_once |= mentions.once


class _Mentions(NamedTuple):
    """The names that a function reads."""

    again: set[str]
    once: set[str]
    """Of the functions that it calls once in all."""


@lru_cache(_MOST_FUNCTIONS)
def _mentions(function: Function, source: Source) -> _Mentions:
    """Return the names that a function reads which runs again and again."""
    called_once = _called_once(function, source)
    return _Mentions(_names_without(function, called_once), _names_of_calls(called_once))


@lru_cache(_MOST_FUNCTIONS)
def _mentions_once(function: Function) -> _Mentions:
    """Return the names that a function reads which runs once: what it calls outside of loops runs once as well."""
    called_once = list(_calls_outside_loops(function))
    return _Mentions(_names_without(function, called_once), _names_of_calls(called_once))


def _may_be_called(function: Function, mentioned: set[str]) -> bool:
    name = function.name
    is_special = name.startswith("__") and name.endswith("__")
    return name in mentioned or is_special or any(map(_registers, function.decorator_list))


def _registers(decorator: ast.expr) -> bool:
    """Whether a decorator may have others call the function: ``@app.route("/")``."""
    names = names_read(ast.walk(decorator))
    is_bare = not isinstance(decorator, ast.Call | ast.Attribute)
    return not is_bare and not names.intersection(_OF_LANGUAGE) and not _is_for_exit(decorator)


def _names_outside(source: Source) -> set[str]:
    """Return the names that are read at the level of the module and of its classes, but for what runs at exit."""
    found, waiting = set[str](), list[ast.AST](source.tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Function | ast.Lambda) or (isinstance(node, ast.Call) and _is_for_exit(node.func)):
            continue
        found |= names_read([node])
        waiting += ast.iter_child_nodes(node)
    return found


def _is_for_exit(function: ast.expr) -> bool:
    """Whether an expression is ``atexit.register``."""
    match function:
        case ast.Attribute(attr="register", value=ast.Name(id="atexit")):
            return True
        case _:
            return False


def _called_once(function: Function, source: Source) -> list[ast.Call]:
    """Return the calls that run once, as a variable of the module is set: ``if _backend is None: load()``."""
    found: list[ast.Call] = []
    for node in nodes_of(function):
        if isinstance(node, ast.If):
            name = _missing(node.test)
            if name is not None and _is_set_once(name, function, source):
                found += (each for statement in node.body for each in _calls_outside_loops(statement))
    return found


def _missing(test: ast.expr) -> str | None:
    """Return the variable of which a condition asks whether it is None."""
    match test:
        case ast.Compare(left=ast.Name(id=name), ops=[ast.Is()], comparators=[ast.Constant(value=None)]):
            return name
        case _:
            return None


def _is_set_once(name: str, function: Function, source: Source) -> bool:
    """Whether a name is a variable of the module that functions set, and none sets back to None."""
    if name in _locals(function):
        return False
    is_set = False
    for use in source.uses(name):
        if not isinstance(use, ast.Name) or isinstance(use.ctx, ast.Load):
            continue
        around, statement = source.function_of(use), source.parent(use)
        if around is None:
            continue  # at the level of the module, as it is imported
        if isinstance(around, Function) and name in _locals(around):
            continue  # another variable
        is_plain = isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None
        if not is_plain or (isinstance(statement.value, ast.Constant) and statement.value.value is None):  # type: ignore[union-attr]
            return False
        is_set = True
    return is_set


def _locals(function: Function) -> set[str]:
    """Return the variables of a function itself."""
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    nodes = nodes_of(function)
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    others = {name for node in nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
    return {each.arg for each in given if each is not None} | (stored - others)


def _calls_outside_loops(node: ast.AST) -> Iterator[ast.Call]:
    """Give the calls in a node that run as often as the node does."""
    if isinstance(node, ast.Call):
        yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (*_LOOPS, ast.Lambda, Function, ast.ClassDef)):
            yield from _calls_outside_loops(child)


def _names_of_calls(calls: Collection[ast.Call]) -> set[str]:
    """Return the names of the functions that some calls call."""
    return names_read([call.func for call in calls])


def _names_without(function: Function, calls: Collection[ast.Call]) -> set[str]:
    """Return the names that are read in a function, but for those of the functions that some calls call."""
    left_out = {call.func for call in calls}
    # What calls itself does so while it runs anyway.
    return names_read(node for node in nodes_of(function) if node not in left_out) - {function.name}
