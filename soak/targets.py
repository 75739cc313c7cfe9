"""What can be soaked: a folder of drivers, a driver, a function in a file, a function in a module.

Nothing is imported here, because a target belongs to the measured process. What must be known before (is there a
``cycle``, which INTERVAL, which PERIOD, which IGNORED_CHILDREN) is read from the source.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from soak.errors import UsageError
from soak.units import parse_duration_s

DRIVER_PREFIX = "drive_"
LONGEST_PERIOD = 1024
"""In cycles: n_min is at least 64 periods."""


@dataclass(frozen=True)
class Target:
    """The code of one component."""

    name: str
    kind: str
    """``driver`` | ``function`` (of a file) | ``module`` (function of a module) | ``empty`` (a cycle of nothing)."""
    path: str | None = None
    """The absolute path of the file, for drivers and functions of files."""
    module: str | None = None
    function: str | None = None
    interval_s: float | None = None
    """The INTERVAL of the driver."""
    max_pause_s: float | None = None
    """The MAX_PAUSE of the driver: how long a checkpoint may keep a cycle waiting."""
    period: int = 1
    """The PERIOD of the driver: it is in the same phase again after this many cycles, not before."""
    can_resume: bool = False
    """The driver has ``resume(cycle, **settings)``: it makes the state of a component that has done so many cycles."""
    ignored_children: tuple[str, ...] = ()
    """The IGNORED_CHILDREN of the file: words in the command lines of processes that are no part of the component."""
    given: str = ""
    """The target as a user writes it."""

    def __str__(self) -> str:
        return self.given or self.kind


EMPTY = Target("empty", "empty")


def find_targets(specifications: list[str], base: Path) -> list[Target]:
    """Find the targets that a user named, in order.

    Relative paths start at ``base``. Raises UsageError for a target that does not exist or is not one, and for two
    components of one name; the message says what would be right.
    """
    targets = [target for text in specifications for target in _resolve(text, base)]
    by_name: dict[str, Target] = {}
    for target in targets:
        if target.name in by_name:
            raise UsageError(
                f"two components are named {target.name!r}: {by_name[target.name]} and {target}; rename one or run "
                "them one after the other"
            )
        by_name[target.name] = target
    return targets


def _resolve(text: str, base: Path) -> list[Target]:
    place, colon, function = text.partition(":")
    path = base / Path(place).expanduser()
    if colon:
        if not function:
            raise UsageError(f"{text!r} names no function; write {place}:FUNCTION")
        if place.endswith(".py"):
            return [_function_of_file(path, function, text)]
        if "/" in place or not all(part.isidentifier() for part in place.split(".")):
            raise UsageError(f"{text!r} is not a target: {place!r} is neither a Python file nor the name of a module")
        return [Target(function.rpartition(".")[2], "module", module=place, function=function, given=text)]
    if _is_folder(path):
        drivers = sorted(path.glob(f"{DRIVER_PREFIX}*.py"))
        if not drivers:
            raise UsageError(f"no drivers in {place!r}: none of its files is named {DRIVER_PREFIX}*.py")
        return [_driver(driver, str(Path(place, driver.name))) for driver in drivers]
    if place.endswith(".py"):
        return [_driver(path, text)]
    raise UsageError(
        f"unknown target {text!r}: it is not a folder or a .py file. Give a folder of drivers, a driver file, "
        "file.py:function or package.module:function"
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _driver(path: Path, given: str) -> Target:
    names = _top_level_names(path)
    if "cycle" not in names and "*" not in names:
        functions = [name for name, node in names.items() if _is_public_function(name, node)]
        others = f" (also defined there: {', '.join(functions[1:])})" if functions[1:] else ""
        raise UsageError(
            f"{path.name} has no function cycle(state), so it is not a driver; name a function instead: "
            f"{path.name}:{functions[0] if functions else 'function'}{others}"
        )
    if _takes_nothing(names.get("cycle")):
        raise UsageError(
            f"cycle() in {path.name} takes no state, so it is not a driver; name the function: {path.name}:cycle"
        )
    name = path.stem.removeprefix(DRIVER_PREFIX)
    return Target(
        name,
        "driver",
        path=str(path.resolve()),
        interval_s=_duration(names.get("INTERVAL"), "INTERVAL", path),
        max_pause_s=_duration(names.get("MAX_PAUSE"), "MAX_PAUSE", path),
        period=_period(names.get("PERIOD"), path),
        can_resume="resume" in names and _is_public_function("resume", names["resume"]),
        ignored_children=_ignored_children(names.get("IGNORED_CHILDREN"), path),
        given=given,
    )


def _is_defined_here(name: str, node: ast.AST) -> bool:
    """Whether a public name is of the file itself, and not imported."""
    return not name.startswith("_") and not isinstance(node, ast.Import | ast.ImportFrom)


def _is_public_function(name: str, node: ast.AST) -> bool:
    return not name.startswith("_") and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _takes_nothing(node: ast.AST | None) -> bool:
    """Whether a function can be called without arguments only; a decorator may have given it others."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.decorator_list:
        return False
    return not (node.args.posonlyargs or node.args.args or node.args.vararg)


def _function_of_file(path: Path, function: str, text: str) -> Target:
    names = _top_level_names(path)
    outer = function.partition(".")[0]
    if outer not in names and "*" not in names:
        known = ", ".join(sorted(name for name, node in names.items() if _is_defined_here(name, node))) or "nothing"
        raise UsageError(f"{text!r}: {path.name} defines no {outer!r}; it defines {known}")
    node = names.get(function)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = node.args
        required = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
        required += arguments.kw_defaults.count(None)
        if required:
            raise UsageError(
                f"{text!r} needs arguments, but a function target is called without any; give them defaults, or write "
                "a driver with setup() and cycle(state)"
            )
    name = function.rpartition(".")[2]
    ignored = _ignored_children(names.get("IGNORED_CHILDREN"), path)
    return Target(name, "function", path=str(path.resolve()), function=function, ignored_children=ignored, given=text)


def _top_level_names(path: Path) -> dict[str, ast.AST]:
    """Map each name that a file binds at its top level to the node that binds it; ``*`` is a star import."""
    return {name: node for statement in _top_level_statements(_parse(path)) for name, node in _bound_by(statement)}


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{path} is not valid Python: {error}") from error


def _top_level_statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements outside functions and classes; those inside an ``if``, ``try`` or ``with`` come last."""
    pending = list(tree.body)
    while pending:
        statement = pending.pop(0)
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With):
            for block in ("body", "orelse", "finalbody"):
                pending.extend(getattr(statement, block, []))
            for handler in getattr(statement, "handlers", []):
                pending.extend(handler.body)


def _bound_by(statement: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield statement.name, statement
        case ast.Assign():
            targets = (node for target in statement.targets for node in ast.walk(target))
            yield from ((node.id, statement.value) for node in targets if isinstance(node, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.Import() | ast.ImportFrom():
            yield from (((alias.asname or alias.name).partition(".")[0], statement) for alias in statement.names)


def _duration(node: ast.AST | None, name: str, path: Path) -> float | None:
    if node is None:
        return None
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
        raise UsageError(
            f"{path.name}: {name} must be a plain value such as '100ms' or None, because it is read from the source"
        )
    if node.value is None:
        return None
    try:
        return parse_duration_s(node.value)  # type: ignore[arg-type]
    except UsageError as error:
        raise UsageError(f"{path.name}: {name}: {error}") from error


def _period(node: ast.AST | None, path: Path) -> int:
    if node is None:
        return 1
    cycles = node.value if isinstance(node, ast.Constant) else None
    if isinstance(cycles, bool) or not isinstance(cycles, int) or not 1 <= cycles <= LONGEST_PERIOD:
        raise UsageError(
            f"{path.name}: PERIOD must be a number from 1 to {LONGEST_PERIOD:,}, not an expression, because it is read "
            "from the source"
        )
    return cycles


def _ignored_children(node: ast.AST | None, path: Path) -> tuple[str, ...]:
    words = None
    if isinstance(node, ast.Tuple | ast.List):
        words = [element.value for element in node.elts if isinstance(element, ast.Constant)]
        words = words if len(words) == len(node.elts) else None
    elif node is None:
        words = []
    if words is None or not all(isinstance(word, str) and word.strip() for word in words):
        raise UsageError(
            f"{path.name}: IGNORED_CHILDREN must be a tuple of words such as ('my_server',), because it is read from "
            "the source"
        )
    return tuple(map(str, words))
