"""Tell which functions of some files may run, by the names that running code mentions.

A file often has more than a program uses: a function that empties a cache bounds nothing where nobody calls it.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence

from soak.attribution.keepers.code.source import Function, Source, names_read

_OF_LANGUAGE = ("functools", "contextlib", "property", "staticmethod", "classmethod", "abc", "typing")


def functions_that_may_run(sources: Sequence[Source], running: Collection[str]) -> set[Function]:
    """Return the functions that code which runs may call: it has their names, or they are methods that Python calls.

    ``running``: the names of functions that are known to run; of none, all functions may.
    """
    functions = {function: names for source in sources for function, names in source.names_inside.items()}
    if not running:
        return set(functions)
    mentioned = {name.rsplit(".", 1)[-1] for name in running}.union(*(source.names_outside for source in sources))
    found: set[Function] = set()
    while more := [each for each in functions if each not in found and _may_be_called(each, mentioned)]:
        found.update(more)
        mentioned = mentioned.union(*(functions[each] for each in more))
    return found


def _may_be_called(function: Function, mentioned: set[str]) -> bool:
    name = function.name
    is_special = name.startswith("__") and name.endswith("__")
    return name in mentioned or is_special or any(map(_registers, function.decorator_list))


def _registers(decorator: ast.expr) -> bool:
    """Whether a decorator may have others call the function: ``@app.route("/")``."""
    names = names_read(ast.walk(decorator))
    return isinstance(decorator, ast.Call | ast.Attribute) and not names.intersection(_OF_LANGUAGE)
