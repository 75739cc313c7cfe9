"""Find out from source code whether a container has a bound.

It has one where its length is compared and entries are taken from it; where entries go to the remainder of a division;
and where running code takes entries that it chooses itself, by their age or by a count of its own.

This proves nothing: the bound may be larger than any memory, or the code wrong. But a container that may be a cache is
no leak before it could have become full.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from soak.attribution.keepers.code.running import functions_that_may_run
from soak.attribution.keepers.code.source import Function, Source, is_of_standard_library, nodes_of
from soak.attribution.keepers.removals import is_named, slots_in, takes_any

_TAKING = ("pop", "popitem", "popleft", "clear", "remove", "discard")
_COMPARING = (ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq)


@dataclass(frozen=True)
class Bound:
    """Where code bounds a container."""

    capacity: int | None
    """Entries, where the code names a number."""


def bound_in(
    name: str, sources: Sequence[Source], running: Collection[str] = (), others: Sequence[Source] = ()
) -> Bound | None:
    """Return the bound of the container that a variable or an attribute is; None if no function has one.

    ``sources``: the files in which the name occurs. ``running``: the names of functions that are known to run; of none,
    all may. ``others``: more files of the program, which may call functions of these.
    """
    found = [bound for source in sources for bound in _bounds(name, source)]
    # The standard library has many variables of the same names.
    own = [source for source in sources if not is_of_standard_library(source.file)]
    may_run = functions_that_may_run(list({each.file: each for each in (*own, *others)}.values()), running)
    found += [bound for source in own for bound in _ways_to_stay_small(name, source, may_run)]
    return next((bound for bound in found if bound.capacity is not None), found[0] if found else None)


def _ways_to_stay_small(name: str, source: Source, may_run: Collection[Function]) -> Iterator[Bound]:
    """Give the bounds of which no length tells."""
    for function in (each for each in source.functions_with(name) if each in may_run):
        yield from (Bound(_number(slots, source)) for slots in slots_in(function, name))
        if takes_any(function, name, source):
            yield Bound(None)


def _bounds(name: str, source: Source) -> Iterator[Bound]:
    for function in source.functions_with(name):
        nodes = nodes_of(function)
        if not any(_takes_from(node, name) for node in nodes):
            continue
        for node in nodes:
            if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], _COMPARING):
                sides = node.left, node.comparators[0]
                for length, other in (sides, sides[::-1]):
                    if _is_length_of(length, name):
                        yield Bound(_number(other, source))


def _is_length_of(node: ast.expr, name: str) -> bool:
    is_call = isinstance(node, ast.Call) and getattr(node.func, "id", None) == "len" and len(node.args) == 1
    return is_call and is_named(node.args[0], name)  # type: ignore[attr-defined]


def _takes_from(node: ast.AST, name: str) -> bool:
    """Whether a node takes an entry from the container, or puts another one in its place."""
    match node:
        case ast.Call(func=ast.Attribute(attr=method, value=value)):
            return method in _TAKING and is_named(value, name)
        case ast.Delete(targets=targets):
            return any(isinstance(each, ast.Subscript) and is_named(each.value, name) for each in targets)
        case ast.Assign(targets=targets):
            return any(is_named(each, name) for each in targets)
        case _:
            return False


def _number(node: ast.expr, source: Source) -> int | None:
    """Return the number that an expression is: written out, or a variable that the module sets once."""
    if isinstance(node, ast.Name):
        set_to = [use for use in source.uses(node.id) if isinstance(getattr(use, "ctx", None), ast.Store)]
        statement = source.parent(set_to[0]) if len(set_to) == 1 else None
        is_of_module = isinstance(statement, ast.Assign) and source.function_of(statement) is None
        return _number(statement.value, source) if is_of_module else None  # type: ignore[union-attr]
    is_number = isinstance(node, ast.Constant) and type(node.value) is int and node.value > 0
    return node.value if is_number else None  # type: ignore[attr-defined]
