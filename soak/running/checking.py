"""Soak one function by itself, outside of any run: in a process of its own, or in this one."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from soak.errors import UsageError
from soak.inside import calling
from soak.results import ComponentResult
from soak.running.findings import failed_to_start, make_result
from soak.running.interpreter import Interpreter
from soak.running.supervisor import Course, Supervisor, Surroundings
from soak.running.tracing import Trace, trace_growth
from soak.running.tracking import find_library
from soak.settings import ComponentPlan
from soak.targets import Target
from soak.verdict import Verdict

_TRACED_SIGNALS = ("tracked", "tracked_blocks", "heap", "python_blocks")
_MEASURED_MAIN = str(Path("soak", "inside", "__main__.py"))


def is_measured_process() -> bool:
    """Tell whether this very process is one that soak measures."""
    return str(getattr(sys.modules.get("__main__"), "__file__", "") or "").endswith(_MEASURED_MAIN)


def soak_alone(plan: ComponentPlan, interpreter: Interpreter, *, track: bool) -> ComponentResult:
    """Soak a component in a fresh process and return what was found.

    Where memory grows and the tracker did not name the place, a second pass under tracemalloc (6 s at most) does.
    """
    library, reason = find_library() if track else (None, "track=False")
    surroundings = Surroundings(interpreter, Path.cwd(), threading.Event(), library, reason)
    try:
        course = Supervisor(plan, surroundings).run()
    except OSError as error:
        return failed_to_start(plan, error, interpreter)
    return make_result(plan, course, _trace(plan, surroundings, course), interpreter)


def _trace(plan: ComponentPlan, surroundings: Surroundings, course: Course) -> Trace | None:
    judgement = course.judgement
    grows = judgement.verdict is Verdict.LEAK and judgement.decided_by in _TRACED_SIGNALS
    if not grows or course.failure is not None or course.tracked.sites:
        return None
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        return trace_growth(plan, surroundings, Path(folder, "tracemalloc"))


def find_function(
    function: Callable[..., Any], name: str | None, *, same_interpreter: bool
) -> tuple[Target, dict[str, Any]]:
    """Return the target that calls ``function`` in a fresh process, and its settings.

    The function is imported there by its module's name when that name leads to the same file, else from its file.
    Raises UsageError, with what would help, when neither can find it again.
    """
    module_name, qualified_name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    module = sys.modules.get(module_name or "")
    if module is None or not qualified_name:
        raise _not_importable(function, "it has no module and name to be found by")
    if "<lambda>" in qualified_name or "<locals>" in qualified_name:
        raise _not_importable(function, f"{qualified_name} exists only inside a function")
    if _look_up(module, qualified_name) is not function:
        raise _not_importable(function, f"{module_name}.{qualified_name} is not this object")
    home, given = _home(module)
    settings = {
        "module": module.__name__,
        "file": "" if home is None else str(home),
        "function": qualified_name,
        "path": _path() if same_interpreter else [str(_root_of(module))],
    }
    spoken_name = name or qualified_name.rpartition(".")[2]
    return Target(spoken_name, "driver", path=calling.__file__, given=f"{given}:{qualified_name}"), settings


def _look_up(module: ModuleType, qualified_name: str) -> Any:
    found: Any = module
    for part in qualified_name.split("."):
        found = getattr(found, part, None)
    return found


def _home(module: ModuleType) -> tuple[Path | None, str]:
    """Return the file to load the module from (None: import it by name), and how a target names it."""
    file = getattr(module, "__file__", None)
    if module.__name__ != "__main__" and (file is None or _is_found_by_name(module.__name__, Path(file))):
        return None, module.__name__
    if file is None or not str(file).endswith(".py"):
        raise UsageError(
            f"{module.__name__} was not loaded from a file, so a fresh process cannot load it; write the function into "
            "a file, or judge it in this process with isolate=False"
        )
    path = Path(file).resolve()
    return path, str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _is_found_by_name(name: str, file: Path) -> bool:
    place = Path(*name.split("."))
    file = file.resolve()
    for entry in _path():
        base = Path(entry).resolve() / place
        # A module foo is foo.py or foo.<abi>.so beside it, a package foo/__init__.py.
        if file.parent in (base, base.parent) and file.name.split(".")[0] in (place.name, "__init__"):
            return True
    return False


def _root_of(module: ModuleType) -> Path:
    file = Path(getattr(module, "__file__", None) or ".").resolve()
    depth = module.__name__.count(".") + (file.stem == "__init__")
    return file.parents[depth]


def _path() -> list[str]:
    return [str(Path(entry).absolute()) for entry in sys.path]


def _not_importable(function: object, why: str) -> UsageError:
    return UsageError(
        f"{function!r} cannot be imported by a fresh process: {why}. Give a function of a module or file (one without "
        "arguments, that does one cycle), its name as 'module:function', or judge in this process with isolate=False"
    )
