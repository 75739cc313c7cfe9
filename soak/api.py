"""``soak.check`` judges one function, as ``soak run`` judges a component; ``soak.explain`` puts results in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from soak.errors import UsageError
from soak.results import Cause, ComponentResult
from soak.running.check.checking import (
    DEFAULT_BUDGET,
    Terms,
    find_function,
    is_measured_process,
    refuse_what_does_nothing,
    soak_alone,
)
from soak.running.interpreter import find_interpreter
from soak.settings import DEFAULT_CYCLE_TIMEOUT_S
from soak.targets import Target, find_targets


class CheckResult(ComponentResult):
    """The result of a check, as in ``report.json``; a notebook shows it as HTML."""

    @classmethod
    def of(cls, result: ComponentResult) -> CheckResult:
        """Return a result as one of a check."""
        return cls(**{field.name: getattr(result, field.name) for field in dataclasses.fields(result)})

    def _repr_html_(self) -> str:
        from soak.reporting.commands.notebook import render_notebook

        return render_notebook(self)


def check(
    function: Callable[[], Any] | str,
    *,
    tolerance: str | float = "1B",
    iterations: int | None = None,
    duration: str | float | None = None,
    budget: str | float = DEFAULT_BUDGET,
    n_min: int | None = None,
    checkpoint_every: int | None = None,
    isolate: bool = True,
    name: str | None = None,
    interval: str | float = 0,
    settings: dict[str, Any] | None = None,
    track: bool = True,
    python: str | None = None,
    cycle_timeout: str | float = DEFAULT_CYCLE_TIMEOUT_S,
    max_rss: str | float | None = None,
) -> CheckResult:
    """Call ``function`` many times and say whether it leaks. Returns a component's result, as in ``report.json``.

    ``function`` takes no arguments; one call is one cycle. All calls of an ``async def`` share one event loop. soak
    calls the function in a fresh process with the allocation tracker, so that process must be able to import it.
    Pass a function of a module or of a file, its name (``"module:function"`` or ``"file.py:function"``), or the
    name of a driver file, with ``settings`` for its setup. With ``isolate=False`` soak judges any callable in this
    process, by the counters that it can read here; the last message of the result names them. Exceptions of the
    callable pass through.

    ``budget``: the longest time; the check ends as soon as the verdict stands. In a fresh process, an undecided check
    goes on for five times as long. ``iterations`` or ``duration`` replace the budget: the check uses them
    in full, unless it finds a leak earlier. ``tolerance``: accepted growth per call. ``n_min``: calls before memory
    that is still held can be called a leak or clean (default: an eighth of the calls in the budget).
    ``checkpoint_every``, ``name``, ``interval``, ``python``, ``cycle_timeout`` and ``max_rss``: as the options of
    ``soak run``.

    A leak raises nothing: the verdict is in the result. Raises UsageError (a SoakError) for a request that cannot be
    carried out, for example a function that a fresh process cannot import.
    """
    if is_measured_process():
        raise UsageError(
            "the module called soak.check while soak's own process imported it; put the call under "
            "if __name__ == '__main__':"
        )
    if not isinstance(function, str):
        refuse_what_does_nothing(function)
    terms = Terms(tolerance, iterations, duration, budget, n_min, checkpoint_every, interval, cycle_timeout, max_rss)
    if not isolate:
        return CheckResult.of(_check_here(function, terms, name, settings, python))
    asked = settings or {}
    target, settings = _find(function, asked, python)
    options = terms.options(target.name, asked, python, track=track)
    target = dataclasses.replace(target, name=name or target.name)
    result = soak_alone(terms.plan(target, settings), find_interpreter(python), track=track)
    return CheckResult.of(dataclasses.replace(result, options=options))


def _check_here(
    function: Callable[[], Any] | str,
    terms: Terms,
    name: str | None,
    settings: dict[str, Any] | None,
    python: str | None,
) -> ComponentResult:
    if isinstance(function, str) or settings or python is not None or terms.interval:
        raise UsageError(
            "isolate=False calls a function of this process, flat out: it takes no target's name, no settings, "
            "no python and no interval"
        )
    from soak.running.check.inprocess import soak_here

    shown = getattr(function, "__qualname__", type(function).__name__)
    return soak_here(terms.plan(Target(name or shown.rpartition(".")[2], "function", given=shown), {}), function)


def explain(found: ComponentResult | Cause) -> str:
    """Say in words why a component has its verdict, or what a cause is and what to do about it."""
    from soak.reporting import words

    return words.why_words(found) if isinstance(found, ComponentResult) else words.explain(found)


def _find(
    function: Callable[[], Any] | str, settings: dict[str, Any], python: str | None
) -> tuple[Target, dict[str, Any]]:
    if not isinstance(function, str):
        if settings:
            raise UsageError("a function takes no settings; write a function without arguments that sets them")
        return find_function(function, same_interpreter=python is None)
    targets = find_targets([function], Path.cwd())
    if len(targets) != 1:
        raise UsageError(f"{function!r} names {len(targets)} components; check one at a time")
    target = targets[0]
    if settings and target.kind != "driver":
        raise UsageError(f"{function!r} is a function and takes no settings; write a driver with setup(**settings)")
    return target, settings
