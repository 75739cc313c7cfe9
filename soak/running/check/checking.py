"""Soak one function on its own, outside of any run: in a process of its own, or in this one."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import MethodType, ModuleType
from typing import Any

from soak.errors import UsageError
from soak.inside import calling
from soak.request import Option, Request, run_options, typed_options
from soak.results import ComponentResult
from soak.running.child.process import MeasuredProcess, start_component
from soak.running.child.template import Template
from soak.running.context import RunContext, find_library
from soak.running.interpreter import Interpreter
from soak.settings import DEFAULT_CYCLE_TIMEOUT_S, QUICK_CHECKPOINT_SHARE, ComponentPlan
from soak.targets import Target
from soak.units import parse_duration_s, parse_size_bytes

DEFAULT_BUDGET = "3s"
_MORE_TIMES = 5
_MEASURED_MAIN = str(Path("soak", "inside", "__main__.py"))


@dataclass(frozen=True)
class Terms:
    """How a function is to be checked, in the words of ``soak.check`` (see there)."""

    tolerance: str | float = "1B"
    iterations: int | None = None
    duration: str | float | None = None
    budget: str | float = DEFAULT_BUDGET
    n_min: int | None = None
    checkpoint_every: int | None = None
    interval: str | float = 0
    cycle_timeout: str | float = DEFAULT_CYCLE_TIMEOUT_S
    max_rss: str | float | None = None

    def plan(self, target: Target, settings: dict[str, Any]) -> ComponentPlan:
        """Make the plan of a component. Raises UsageError for what cannot be read or met."""
        for name in ("iterations", "n_min", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise UsageError(f"{name}={value!r}: a whole number above 0 is needed")
        tolerance_bytes = parse_size_bytes(self.tolerance)
        if tolerance_bytes <= 0:
            raise UsageError(f"tolerance={self.tolerance!r} can never be met; use 0.01B or more")
        full_budget = self.iterations is not None or self.duration is not None
        budget = self.duration if full_budget else self.budget
        return ComponentPlan(
            target=target,
            interval_s=parse_duration_s(self.interval),
            iterations=self.iterations,
            budget_s=None if budget is None else parse_duration_s(budget),
            full_budget=full_budget,
            tolerance_bytes=tolerance_bytes,
            n_min=self.n_min,
            checkpoint_every=self.checkpoint_every,
            cycle_timeout_s=parse_duration_s(self.cycle_timeout),
            max_rss_bytes=None if self.max_rss is None else parse_size_bytes(self.max_rss),
            settings=settings,
            checkpoint_share=QUICK_CHECKPOINT_SHARE,
        )

    def options(self, name: str, settings: dict[str, Any], python: str | None, *, track: bool) -> tuple[Option, ...]:
        """Return the options of ``soak run`` that say the same of the component ``name``, but for the budget."""
        usual = Terms()
        request = Request(
            interval_s=parse_duration_s(self.interval) or None,
            tolerance_bytes=None if self.tolerance == usual.tolerance else parse_size_bytes(self.tolerance),
            n_min=self.n_min,
            checkpoint_every=self.checkpoint_every,
            cycle_timeout_s=None if self.cycle_timeout == usual.cycle_timeout else parse_duration_s(self.cycle_timeout),
            max_rss_bytes=None if self.max_rss is None else parse_size_bytes(self.max_rss),
            driver_settings={name: settings},
        )
        return run_options(python, track=track) + typed_options(request, name)


def is_measured_process() -> bool:
    """Tell whether this very process is one that soak measures."""
    return str(getattr(sys.modules.get("__main__"), "__file__", "") or "").endswith(_MEASURED_MAIN)


def soak_alone(
    plan: ComponentPlan, interpreter: Interpreter, *, track: bool, template: Template | None = None
) -> ComponentResult:
    """Soak a component in a fresh process, or in one that ``template`` forks, and return what was found.

    One that is undecided when its budget is used up goes on for five times as long: on a busy machine checkpoints take
    so much of a short one that too few are left. Where memory grows and the tracker did not name the place, a second
    pass under tracemalloc (6 s at most) does.
    """
    library, reason = find_library(interpreter.executable) if track else (None, "track=False")
    context = RunContext(interpreter, Path.cwd(), threading.Event(), library, reason)
    if plan.budget_s is not None and not plan.full_budget:
        plan = replace(plan, longest_budget_s=(1 + _MORE_TIMES) * plan.budget_s)
    begun: MeasuredProcess | OSError
    try:
        begun = start_component(plan, context, template=template)
    except OSError as error:
        begun = error
    # Imported here, because the process starts meanwhile.
    from soak.running.check.started import soak_started

    return soak_started(plan, context, begun)


def refuse_what_does_nothing(function: object) -> None:
    """Raise UsageError for what cannot be called, and for what does nothing when it is called."""
    if not callable(function):
        raise UsageError(f"{function!r} is not a function; give the function itself, not what a call of it returned")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError(
            f"{function!r} is a generator: a call does not run its code; check a function that iterates over it"
        )


def find_function(function: Callable[..., Any], *, same_interpreter: bool) -> tuple[Target, dict[str, Any]]:
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
    found = _look_up(module, qualified_name)
    if isinstance(function, MethodType):  # made again at each look
        if found != function:
            raise _not_importable(function, "the object that it is bound to exists in this process only")
    elif found is not function:
        raise _not_importable(function, f"{module_name}.{qualified_name} is not this object")
    home, given = _home(module)
    settings = {
        "module": module.__name__,
        "file": "" if home is None else str(home),
        "function": qualified_name,
        "path": search_path() if same_interpreter else [str(_root_of(module))],
    }
    return Target(
        qualified_name.rpartition(".")[2], "driver", path=calling.__file__, given=f"{given}:{qualified_name}"
    ), settings


def _look_up(module: ModuleType, qualified_name: str) -> Any:
    found: Any = module
    for part in qualified_name.split("."):
        found = getattr(found, part, None)
    return found


def _home(module: ModuleType) -> tuple[Path | None, str]:
    """Return the file to load the module from (None: import it by name), and how a target names it."""
    file = getattr(module, "__file__", None)
    if module.__name__ != "__main__" and (file is None or _is_found_by_name(module.__name__, Path(file))):
        return None, _shown(module.__name__, file)
    if file is None or not str(file).endswith(".py"):
        raise UsageError(
            f"{module.__name__} was not loaded from a file, so a fresh process cannot load it; write the function into "
            "a file, or judge it in this process with isolate=False"
        )
    return Path(file).resolve(), _shown("__main__", file)


def _shown(name: str, file: str | None) -> str:
    """Return how a target names a module: by its file when that says all, a module of a package by its name."""
    if file is None or not file.endswith(".py") or "." in name or Path(file).name == "__init__.py":
        return name
    path = Path(file).resolve()
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _is_found_by_name(name: str, file: Path) -> bool:
    place = Path(*name.split("."))
    file = file.resolve()
    for entry in search_path():
        base = Path(entry).resolve() / place
        # A module foo is foo.py or foo.<abi>.so beside it, a package foo/__init__.py.
        if file.parent in (base, base.parent) and file.name.split(".")[0] in (place.name, "__init__"):
            return True
    return False


def _root_of(module: ModuleType) -> Path:
    file = Path(getattr(module, "__file__", None) or ".").resolve()
    depth = module.__name__.count(".") + (file.stem == "__init__")
    return file.parents[depth]


def search_path() -> list[str]:
    """Return where this process looks for modules, for another one to look there too."""
    return [str(Path(entry).absolute()) for entry in sys.path]


def _not_importable(function: object, why: str) -> UsageError:
    return UsageError(
        f"{function!r} cannot be imported by a fresh process: {why}. Give a function of a module or file (one without "
        "arguments, that does one cycle), its name as 'module:function', or judge in this process with isolate=False"
    )
