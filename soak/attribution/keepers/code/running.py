"""Tell which functions of some files may run, by the names that running code mentions.

A file often has more than a program uses: a function that empties a cache bounds nothing where nobody calls it.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Sequence

from soak.attribution.keepers.code.source import Function, Source

_OF_LANGUAGE = ("functools", "contextlib", "property", "staticmethod", "classmethod", "abc", "typing")


def functions_that_may_run(sources: Sequence[Source], running: Collection[str]) -> set[Function]:
    """Return the functions that code which runs may call: it has their names, or they are methods that Python calls.

    ``running``: the names of functions that are known to run; of none, all functions may.
    """
    functions = [node for source in sources for node in source.nodes if isinstance(node, Function)]
    if not running:
        return set(functions)
    mentioned = {name.rsplit(".", 1)[-1] for name in running}
    for source in sources:
        mentioned |= _names(node for node in source.nodes if source.function_of(node) is None)
    found: set[Function] = set()
    while more := [each for each in functions if each not in found and _may_be_called(each, mentioned)]:
        found.update(more)
        mentioned = mentioned.union(*(_names(ast.walk(each)) for each in more))
    return found


def _may_be_called(function: Function, mentioned: set[str]) -> bool:
    name = function.name
    is_special = name.startswith("__") and name.endswith("__")
    return name in mentioned or is_special or any(map(_registers, function.decorator_list))


def _registers(decorator: ast.expr) -> bool:
    """Whether a decorator may have others call the function: ``@app.route("/")``."""
    names = _names(ast.walk(decorator))
    return isinstance(decorator, ast.Call | ast.Attribute) and not names.intersection(_OF_LANGUAGE)


def _names(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names that are read in some nodes."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Name | ast.Attribute):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return found
