"""Where a generator, a coroutine or an asynchronous generator was made: where its function was called.

From CPython 3.11 on its own frame allocates it, at the line of its ``def``: this line tells nobody who made it.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

TYPES = ("generator", "coroutine", "async_generator")
_EXPRESSION = "<genexpr>"
_MOST_BYTES = 2_000_000
_FILES = 64


def makes_itself(file: str | None, function: str | None, line: int | None) -> bool:
    """Tell whether a frame may be that of a generator which is made in it: it is at the first line of its function."""
    if file is None or function is None or line is None:
        return False
    name = function.rpartition(".")[2]
    return name == _EXPRESSION or line in _first_lines(file).get(name, ())


@lru_cache(_FILES)
def _first_lines(file: str) -> dict[str, set[int]]:
    """Return by name where functions of a file begin: at their first decorator, or at ``def``."""
    try:
        if Path(file).stat().st_size > _MOST_BYTES:
            return {}
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError):
        return {}
    found: dict[str, set[int]] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found.setdefault(node.name, set()).add(first)
    return found
