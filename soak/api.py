"""``soak.check``: judge one function from Python, as ``soak run`` judges a component."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from soak.errors import UsageError
from soak.results import ComponentResult
from soak.running.checking import find_function, is_measured_process, soak_alone
from soak.running.inprocess import soak_here
from soak.running.interpreter import find_interpreter
from soak.settings import DEFAULT_CYCLE_TIMEOUT_S, ComponentPlan
from soak.targets import Target, find_targets
from soak.units import parse_duration_s, parse_size_bytes

DEFAULT_BUDGET = "4s"


def check(
    function: Callable[[], Any] | str,
    *,
    tolerance: str | float = "1B",
    iterations: int | None = None,
    duration: str | float | None = None,
    budget: str | float = DEFAULT_BUDGET,
    n_min: int | None = None,
    isolate: bool = True,
    name: str | None = None,
    interval: str | float = 0,
    settings: dict[str, Any] | None = None,
    track: bool = True,
    python: str | None = None,
    cycle_timeout: str | float = DEFAULT_CYCLE_TIMEOUT_S,
    max_rss: str | float | None = None,
) -> ComponentResult:
    """Call ``function`` over and over and say whether it leaks; returns what ``report.json`` has for a component.

    ``function`` takes no arguments and does one cycle; an ``async def`` runs in one event loop. It is called in a
    fresh process with the allocation tracker, so it must be importable there: a function of a module or a file, or
    its name, ``"module:function"`` or ``"file.py:function"``; the name of a driver file works too, with
    ``settings`` for its setup. With ``isolate=False`` any callable is judged in this process, by the counters
    that can be read here (the result's last message names them); what it raises passes through.

    ``budget``: at most so long, less when the verdict stands earlier. ``iterations`` or ``duration`` instead: that
    much in full, unless a leak stands before. ``tolerance``: growth per call that is accepted. ``n_min``: calls
    before anything held may be called a leak or clean (an eighth of the budget). ``name``, ``interval``, ``python``,
    ``cycle_timeout`` and ``max_rss``: as the options of ``soak run``.

    The verdict is in the result and nothing is raised for a leak. Raises UsageError (a SoakError) for what cannot be
    done as written, a function that a fresh process cannot import among it.
    """
    if is_measured_process():
        raise UsageError(
            "soak.check was called while a fresh process imported the function to be checked; put the call under "
            "if __name__ == '__main__':"
        )
    full_budget = iterations is not None or duration is not None
    if iterations is not None and iterations < 1:
        raise UsageError(f"iterations={iterations}: at least one is needed")
    tolerance_bytes = parse_size_bytes(tolerance)
    if tolerance_bytes <= 0:
        raise UsageError(f"tolerance={tolerance!r} can never be met; the smallest sensible one is about 0.01B")
    plan = ComponentPlan(
        target=_placeholder(function, name),
        interval_s=parse_duration_s(interval),
        iterations=iterations,
        budget_s=None if duration is None else parse_duration_s(duration),
        full_budget=full_budget,
        early_stop=True,
        tolerance_bytes=tolerance_bytes,
        n_min=n_min,
        checkpoint_every=None,
        cycle_timeout_s=parse_duration_s(cycle_timeout),
        max_rss_bytes=None if max_rss is None else parse_size_bytes(max_rss),
        gate=True,
        settings=settings or {},
        injection=None,
    )
    if not full_budget:
        plan = dataclasses.replace(plan, budget_s=parse_duration_s(budget))
    if not isolate:
        return _check_here(function, plan, python)
    return soak_alone(_importable(function, name, plan, python), find_interpreter(python), track=track)


def _placeholder(function: Callable[[], Any] | str, name: str | None) -> Target:
    shown = function if isinstance(function, str) else getattr(function, "__qualname__", type(function).__name__)
    return Target(name or shown.rpartition(".")[2], "function", given=shown)


def _check_here(function: Callable[[], Any] | str, plan: ComponentPlan, python: str | None) -> ComponentResult:
    if isinstance(function, str) or plan.settings or python is not None:
        raise UsageError("isolate=False judges a callable in this process: no name of a target, no settings, no python")
    if plan.interval_s:
        raise UsageError("isolate=False calls the function as fast as it goes: no interval")
    return soak_here(plan, function)


def _importable(
    function: Callable[[], Any] | str, name: str | None, plan: ComponentPlan, python: str | None
) -> ComponentPlan:
    if not isinstance(function, str):
        if plan.settings:
            raise UsageError("a function takes no settings; bind them in a function without arguments")
        target, settings = find_function(function, name, same_interpreter=python is None)
        return dataclasses.replace(plan, target=target, settings=settings)
    targets = find_targets([function], Path.cwd())
    if len(targets) != 1:
        raise UsageError(f"{function!r} names {len(targets)} components; check one at a time")
    target = targets[0] if name is None else dataclasses.replace(targets[0], name=name)
    if plan.settings and target.kind != "driver":
        raise UsageError(f"{function!r} is a function and takes no settings; write a driver with setup(**settings)")
    return dataclasses.replace(plan, target=target)
