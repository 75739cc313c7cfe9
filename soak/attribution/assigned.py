"""The variable or attribute to which a line of Python assigns what it allocates: the name of what has no other name.

A scan of the memory knows where an object was allocated, and not which variable it is. At the level of a module that
is mostly the same: ``requests = Counter()`` is allocated where the variable gets it. In a method it is the same where
the line makes nothing but a container: ``self._frames = deque()``.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

from soak.results import Place

_MODULE_LEVEL = "<module>"
_SELF = "self"
CONTAINERS = ("list", "dict", "set", "deque", "defaultdict", "OrderedDict", "Counter")
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


def container_attribute(place: Place | None, kind: str) -> str | None:
    """Return the attribute of a class that gets a new container at a place, as ``Queue._frames``; else None.

    ``kind``: the type of the object that was allocated there, ``collections.deque``.
    """
    if place is None or not place.is_python or place.line is None:
        return None
    return _containers(str(place.file)).get((place.line, kind.rpartition(".")[2]))


@lru_cache(_FILES)
def _containers(file: str) -> dict[tuple[int, str], str]:
    """Return by line and type the attributes that get a new container, in methods of the classes of a file."""
    classes = [node for statement in _body(file) for node in ast.walk(statement) if isinstance(node, ast.ClassDef)]
    methods = ((one.name, part) for one in classes for part in one.body if isinstance(part, ast.FunctionDef))
    found = {}
    for class_name, method in methods:
        for statement in ast.walk(method):
            if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.lineno == statement.end_lineno:
                attribute, kind = _attribute(statement), _new_container(statement.value)
                if attribute and kind:
                    found[statement.lineno, kind] = f"{class_name}.{attribute}"
    return found


def _attribute(statement: ast.Assign | ast.AnnAssign) -> str | None:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    target = targets[0] if len(targets) == 1 else None
    is_own = isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == _SELF
    return target.attr if isinstance(target, ast.Attribute) and is_own else None


def _new_container(value: ast.expr | None) -> str | None:
    """Return the type of the container that an expression makes, if it makes nothing else."""
    if isinstance(value, ast.Call):
        makes_more = any(not isinstance(each, (ast.Name, ast.Constant)) for each in value.args) or value.keywords
        name = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", None)
        return name if name in CONTAINERS and not makes_more else None
    if isinstance(value, ast.List) and not value.elts:
        return "list"
    return "dict" if isinstance(value, ast.Dict) and not value.keys else None


def _body(file: str) -> list[ast.stmt]:
    """Return the statements of a module; none of a file that is too large, or that cannot be read."""
    try:
        if Path(file).stat().st_size > _MOST_BYTES:
            return []
        return ast.parse(Path(file).read_bytes()).body
    except (OSError, ValueError, SyntaxError, RecursionError):
        return []


@lru_cache(_FILES)
def _assigned(file: str) -> dict[int, str]:
    """Return for each line of a module that assigns to one variable, and does nothing else, that variable."""
    found: dict[int, str] = {}
    taken: set[int] = set()
    for statement in _body(file):
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
