"""Profile components: each under cProfile in a process of its own, never in one whose memory is judged."""

from __future__ import annotations

import dataclasses
import marshal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import soak
from soak.errors import UsageError
from soak.profiles import MERGED, SCHEMA_VERSION, ComponentProfile, ProfileRun, Statistics, summarise
from soak.progress import Progress
from soak.results import Failure
from soak.running.child.failures import describe_failure
from soak.running.child.process import MeasuredProcess, child_settings
from soak.running.environment import describe_environment
from soak.running.interpreter import Interpreter, check_module, find_interpreter
from soak.settings import ComponentPlan, RunPlan
from soak.store.profile_files import add_profiles, load_profile, write_profile
from soak.store.profiles import write_profile_run
from soak.store.runs import new_run_folder

_WAIT_S = 0.05


@dataclass(frozen=True)
class ProfilingPlan:
    """How components are profiled; their cycles, pace and settings are in ``run``."""

    run: RunPlan
    function: str | None
    """Profile only what happens inside this function: ``module:function``, ``module:Class.method`` or its name."""
    warm_up_s: float


class ProfileListener(Protocol):
    """Who is told how it goes."""

    def begin(self, component: str, position: int, total: int) -> None:
        """``component``, the ``position``-th of ``total`` (from 1), is at work."""

    def update(self, component: str, progress: Progress) -> None:
        """How far a component is."""


def run_profiling(
    plan: ProfilingPlan, settings: dict[str, Any], listener: ProfileListener, stopping: threading.Event
) -> ProfileRun:
    """Profile every component, one after the other, into a new folder; return what was found, which is kept there too.

    ``settings``: plain facts for the report. ``stopping``: when set, the component at work ends in order and the
    others do not begin. Raises UsageError before anything runs when the plan cannot be carried out.
    """
    interpreter = find_interpreter(plan.run.python)
    for component in plan.run.components:
        if component.name == MERGED:
            raise UsageError(f"a component named {MERGED!r} would take the place of {MERGED}.prof; rename it")
        if component.target.module:
            check_module(interpreter, component.target.module, [str(plan.run.base)])
    started = datetime.now(UTC)
    folder = new_run_folder(plan.run.out, started.astimezone())
    run = ProfileRun(
        schema=SCHEMA_VERSION,
        run=folder.name,
        folder=str(folder),
        started=started.isoformat(timespec="seconds"),
        finished=None,
        soak=soak.__version__,
        environment=describe_environment(interpreter),
        settings=settings,
        function=plan.function,
        merged=None,
    )
    parts: list[Statistics] = []
    for found, part in _profile_each(plan, interpreter, folder, listener, stopping):
        run = dataclasses.replace(run, components=(*run.components, found))
        parts += part
        write_profile_run(run, folder)
    if parts:
        merged = add_profiles(parts)
        write_profile(merged, folder / f"{MERGED}.prof")
        run = dataclasses.replace(run, merged=summarise(merged))
    if not stopping.is_set():
        run = dataclasses.replace(run, finished=datetime.now(UTC).isoformat(timespec="seconds"))
    write_profile_run(run, folder)
    return run


def _profile_each(
    plan: ProfilingPlan, interpreter: Interpreter, folder: Path, listener: ProfileListener, stopping: threading.Event
) -> Iterator[tuple[ComponentProfile, list[Statistics]]]:
    """Yield what was found about each component, with its statistics if there are any."""
    for position, component in enumerate(plan.run.components, 1):
        if stopping.is_set():
            return
        listener.begin(component.name, position, len(plan.run.components))
        file = folder / f"{component.name}.prof"
        try:
            facts, failure, messages = _watch(plan, component, interpreter, file, listener, stopping)
        except OSError as error:
            failure = Failure("setup", 0, "exit", f"{interpreter.executable} cannot be started: {error}")
            facts, messages = {}, ()
        statistics = load_profile(file) if not failure and file.exists() else None
        found = ComponentProfile(
            name=component.name,
            target=str(component.target),
            file=file.name if statistics else None,
            totals=summarise(statistics) if statistics else None,
            failure=failure,
            messages=messages,
        )
        if facts:
            found = _with_facts(found, facts, interpreter)
        yield found, [statistics] if statistics else []


def _watch(
    plan: ProfilingPlan,
    component: ComponentPlan,
    interpreter: Interpreter,
    file: Path,
    listener: ProfileListener,
    stopping: threading.Event,
) -> tuple[dict[str, Any], Failure | None, tuple[str, ...]]:
    """Run one component's process to its end; return what it tells, or why it failed, and what must be said of it."""
    child = MeasuredProcess(interpreter, _child_settings(plan, component, file), plan.run.base)
    try:
        started_s = changed_s = time.monotonic()
        seen: tuple[int, int] | None = None
        hung = False
        while child.exit_status() is None:
            time.sleep(_WAIT_S)
            now_s = time.monotonic()
            state = (child.ring.phase, child.ring.completed)
            if state != seen:
                seen, changed_s = state, now_s
            # Between two cycles lies at most the pause that the pace asks for.
            elif now_s - changed_s > component.cycle_timeout_s + component.interval_s:
                hung = True
                child.abort()
            if stopping.is_set():
                child.ring.ask_to_stop()
            progress = Progress(child.ring.completed, now_s - started_s, budget_s=component.budget_s)
            listener.update(component.name, progress)
        failure = describe_failure(child, hung=hung)
        facts = {} if failure else marshal.loads(child.ring.read_text())
        cold = bool(facts) and not facts["cycles"]
        return facts, failure, ("It was stopped before it was warm: nothing was profiled.",) if cold else ()
    finally:
        child.close()


def _child_settings(plan: ProfilingPlan, component: ComponentPlan, file: Path) -> dict[str, Any]:
    return {
        **child_settings(component, plan.run.base),
        "profile": {
            "file": str(file),
            "function": plan.function or "",
            "warm_up_s": plan.warm_up_s,
            "duration_s": component.budget_s,
        },
    }


def _with_facts(found: ComponentProfile, facts: dict[str, Any], interpreter: Interpreter) -> ComponentProfile:
    calls, left_out = facts["function_calls"], facts["function_calls_left_out"]
    messages = list(found.messages)
    if calls == 0 and facts["cycles"]:
        messages.append("The function was not called.")
    if left_out:
        messages.append(f"{left_out:,} calls of the function in other threads at the same time are left out.")
    return dataclasses.replace(
        found,
        cycles=facts["cycles"],
        warm_up_cycles=facts["warm_up_cycles"],
        cycle_s=facts["without_s"],
        profiled_cycle_s=facts["with_s"],
        slowdown=facts["ratio"],
        pairs=facts["pairs"],
        function_calls=calls,
        coverage=describe_coverage(facts["coverage"], facts["threads"], facts["threads_before"], interpreter.version),
        messages=tuple(messages),
    )


def describe_coverage(kind: str, threads: int, running_before: int, version: tuple[int, ...]) -> str:
    """Say which threads a profile covers.

    ``kind``: as soak.inside.profiler.profiled calls it. ``threads``: seen beside the cycle's own. ``running_before``:
    other threads that ran when profiling began.
    """
    python = ".".join(map(str, version[:2]))
    meanwhile = f"{_threads(threads)} that started meanwhile"
    before = f"{_threads(running_before)} that ran before"
    if kind == "all threads":
        others = [words for words, count in ((before, running_before), (meanwhile, threads)) if count]
        return f"All threads are covered, each on its own: the cycle's own{''.join(', ' + words for words in others)}."
    if kind == "one stack":
        if not threads:
            return "The cycle's own thread is covered; it started no other."
        return (
            f"Do not trust this profile: {_threads(threads)} first appeared after the warm-up, and Python {python} "
            "puts the calls of all threads on one stack. Profile again with a longer --warm-up."
        )
    covered = f"The cycle's own thread is covered{f', and {meanwhile}' if threads else '; it started no other'}."
    if not running_before:
        return covered
    return (
        f"{covered} Not covered: {before}, because Python {python} can profile only threads that start after the "
        "profiler (from 3.12 on all of them)."
    )


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count:,} threads"
