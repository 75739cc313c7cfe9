"""A whole run: the controls, each component in its own process, the parts against the whole."""

from __future__ import annotations

import contextlib
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import soak
from soak.documents import FAULTS, to_document
from soak.errors import StoreError, UsageError
from soak.results import SCHEMA_VERSION, ComponentResult, Parts
from soak.running.context import RunContext, find_library
from soak.running.environment import describe_environment
from soak.running.interpreter import Interpreter, check_module, find_interpreter
from soak.running.run.components import Components
from soak.running.run.notices import Notices, is_news
from soak.running.run.resumption import Remainder, find_remainder
from soak.running.run.shared import LateControls, Shared
from soak.running.run.telling import RunListener, Teller
from soak.running.run.watchdog import guarded
from soak.running.surroundings import check_surroundings
from soak.settings import RunPlan, plan_from_document, plan_to_document
from soak.store.database import RunStore
from soak.store.runs import claimed, create_run, new_run_folder, open_run

if TYPE_CHECKING:
    from soak.running.run.controls_of_run import ControlsOfRun


def run_experiment(
    plan: RunPlan,
    settings: dict[str, Any],
    listener: RunListener,
    stopping: threading.Event,
    folder: Path | None = None,
) -> RunStore:
    """Do a run and return its database, open; everything found is in it.

    ``settings``: plain facts for the report. ``folder``: an empty one for the run; by default a new one that has its
    name from the time. ``stopping``: when set, the components at work end in order, the others
    do not begin. Raises UsageError before anything is measured when the plan cannot be carried out.
    """
    interpreter = _check(plan)
    folder = _begin(plan, settings, interpreter, folder)
    return _measure(folder, interpreter, Remainder(plan, {}, {}), listener, stopping)


def begin_run(plan: RunPlan, settings: dict[str, Any]) -> Path:
    """Make a run's folder and database with all that it takes to go on with it; measure nothing. Return the folder.

    Raises UsageError when the plan cannot be carried out, or nothing can be kept where it says.
    """
    return _begin(plan, settings, _check(plan))


def _begin(plan: RunPlan, settings: dict[str, Any], interpreter: Interpreter, folder: Path | None = None) -> Path:
    started = datetime.now(UTC)
    folder = folder or new_run_folder(plan.out, started.astimezone())
    create_run(
        folder,
        run=folder.name,
        started=started.isoformat(timespec="seconds"),
        soak=soak.__version__,
        schema=SCHEMA_VERSION,
        environment=describe_environment(interpreter),
        settings=settings,
        plan=plan_to_document(plan),
    ).close()
    return folder


def resume_experiment(folder: Path, listener: RunListener, stopping: threading.Event) -> RunStore:
    """Go on with a run that was begun, and return its database, open, as `run_experiment` does.

    `soak.running.run.resumption` tells what is measured again. Raises StoreError when ``folder`` holds no run that
    can be gone on with, UsageError when its plan cannot be carried out any more.
    """
    with open_run(folder) as store:
        document = store.read_fact("plan")
        if document is None:
            raise StoreError(
                f"{folder} has no plan, because an earlier version of soak made it; measure again with soak run"
            )
        try:
            plan = plan_from_document(document)
        except FAULTS as error:
            raise StoreError(f"{folder}: the plan is damaged: {error!r}") from error
        results = {result.name: result for result in store.read_run().components}
        so_far = {result.name: result for result in store.read_run(so_far=True).components}
        remainder = find_remainder(plan, results, store.cycles_read(), so_far)
    return _measure(folder, _check(plan), remainder, listener, stopping)


def _check(plan: RunPlan) -> Interpreter:
    """Return the interpreter of the measured processes. Raises UsageError when it or a target is not there."""
    check_surroundings()
    interpreter = find_interpreter(plan.python)
    for component in plan.components:
        target = component.target
        if target.path and not Path(target.path).is_file():
            raise UsageError(f"there is no file {target.path} any more")
        if target.module:
            check_module(interpreter, target.module, [str(plan.base)])
    return interpreter


def _measure(
    folder: Path, interpreter: Interpreter, remainder: Remainder, listener: RunListener, stopping: threading.Event
) -> RunStore:
    """Measure what remains and return the database, open."""
    plan = remainder.plan
    tracker_library, reason = find_library(interpreter.executable) if plan.track else (None, "--no-track")
    context = RunContext(interpreter, plan.base, stopping, tracker_library, reason)
    with claimed(folder), guarded():
        store = open_run(folder)
        try:
            # A component that is measured with more cycles now gets as many when this is cut off in its turn.
            store.write_facts(plan=plan_to_document(plan), finished=None)
            controls = LateControls(lambda: _begin_controls(context, store, plan))
            is_told = any(is_news(result) for result in remainder.kept.values())
            notices = Notices(plan.on_verdict, folder, is_told=is_told)
            teller = Teller(listener)
            shared = Shared(plan, remainder.reasons, context, store, folder, teller, notices, controls)
            with contextlib.closing(controls):
                results = Components(shared, remainder.kept).soak_all()
            parts = _set_against_parts(plan, results)
            complete = len(results) == len(plan.components)
            store.write_facts(
                parts=to_document(parts) if parts else None,
                finished=datetime.now(UTC).isoformat(timespec="seconds") if complete else None,
            )
        except BaseException:
            store.close()
            raise
    return store


def _begin_controls(context: RunContext, store: RunStore, plan: RunPlan) -> ControlsOfRun:
    """Begin the controls of what is measured; what measures them takes long to import."""
    from soak.running.run.controls_of_run import ControlsOfRun

    may_be_kept = all(component.early_stop for component in plan.components)
    return ControlsOfRun(context, lambda found: store.write_facts(controls=to_document(found)), may_be_kept=may_be_kept)


def _set_against_parts(plan: RunPlan, results: list[ComponentResult]) -> Parts | None:
    """Compare the first component that names its parts with those of them that were soaked."""
    if not any(component.parts for component in plan.components):
        return None
    from soak.analysis.parts import sum_of_parts  # with numpy, which nothing waits for before a process is started

    by_name = {result.name: result for result in results}
    for component in plan.components:
        whole = by_name.get(component.name)
        parts = [by_name[name] for name in component.parts if name in by_name]
        if whole is not None and parts and len(parts) == len(component.parts):
            return sum_of_parts(whole, parts)
    return None
