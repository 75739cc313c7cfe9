"""The variable to which a line of Python assigns what it allocates: the name of an object that has no other name.

A scan of the memory knows where an object was allocated, and not which variable it is. At the level of a module that
is mostly the same: ``requests = Counter()`` is allocated where the variable gets it.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

from soak.results import Place

_MODULE_LEVEL = "<module>"
_MOST_BYTES = 2_000_000
_FILES = 64


def assigned_name(place: Place | None) -> str | None:
    """Return the variable of a module that is assigned at a place, as ``shop.requests``; None if it is not known."""
    if place is None or not place.is_python or place.function != _MODULE_LEVEL or place.line is None:
        return None
    file = Path(str(place.file))
    name = _assigned(str(file)).get(place.line)
    module = file.parent.name if file.stem == "__init__" else file.stem
    return None if name is None else f"{module}.{name}"


@lru_cache(_FILES)
def _assigned(file: str) -> dict[int, str]:
    """Return for each line of a module that assigns to one variable, and does nothing else, that variable."""
    try:
        if Path(file).stat().st_size > _MOST_BYTES:
            return {}
        body = ast.parse(Path(file).read_bytes()).body
    except (OSError, ValueError, SyntaxError, RecursionError):
        return {}
    found: dict[int, str] = {}
    taken: set[int] = set()
    for statement in body:
        lines = range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
        name = _target(statement)
        for line in lines:
            if line in taken:
                found.pop(line, None)
            elif name is not None:
                found[line] = name
        taken.update(lines)
    return found


def _target(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target = statement.target
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None
