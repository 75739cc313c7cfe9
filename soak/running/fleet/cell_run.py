"""One cell, measured in this process: its environment is made, its run is done, its folder gets its name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import soak
from soak.errors import UsageError
from soak.matrix.cells import SETTING, Cell, Fleet
from soak.progress import Progress
from soak.results import SCHEMA_VERSION, ComponentResult
from soak.running.component.result import never_began
from soak.running.environment import describe_environment
from soak.running.environments.installer import Environment, Installer, NotInstalledError
from soak.running.environments.target_code import check_path, import_folders
from soak.running.interpreter import Interpreter, find_interpreter
from soak.running.run.experiment import run_experiment
from soak.settings import RunPlan, plan_to_document
from soak.store.database import RunStore
from soak.store.fleets import finish_run, unfinished_run
from soak.store.runs import create_run

OnRun = Callable[[RunStore, Path], None]
"""Is given a run, open, and the folder that will be its own."""


def measure_cell(
    fleet: Fleet, folder: Path, cell: Cell, settings: dict[str, Any], on_run: OnRun, stopping: threading.Event
) -> None:
    """Measure a cell into the fleet's folder; a cell that cannot be measured gets a run that FAILED, with the reason.

    A cell that is told to stop gets no run. ``settings``: plain facts for the report.
    """
    interpreter = None
    try:
        interpreter = find_interpreter(cell.column.python)
        environment = _make_environment(fleet, cell, interpreter, stopping)
        plan = fleet.plan_of(cell, environment.python if environment else cell.column.python)
        if environment is not None:
            check_path(environment.modules, import_folders(plan.components[0].target, plan.base))
        settings = {**settings, SETTING: cell.to_setting(), "installed": environment.installed if environment else {}}
        with unfinished_run(folder, cell) as unfinished:
            store = run_experiment(plan, settings, _Nobody(), stopping, unfinished)
            with store:
                if stopping.is_set():
                    return
                on_run(store, folder / cell.id)
            finish_run(unfinished, folder)
    except (UsageError, NotInstalledError) as error:
        reason = f"could not be installed: {error}" if isinstance(error, NotInstalledError) else str(error)
        write_failed_cell(fleet, folder, cell, reason, settings, on_run, describe_environment(interpreter))


def write_failed_cell(
    fleet: Fleet,
    folder: Path,
    cell: Cell,
    reason: str,
    settings: dict[str, Any],
    on_run: OnRun,
    environment: dict[str, Any],
) -> None:
    """Give a cell that was not measured a run that FAILED, with the reason. ``environment``: for its report."""
    plan = fleet.plan_of(cell, cell.column.python)
    result = never_began(plan.components[0], reason, environment.get("python", ""))
    with unfinished_run(folder, cell) as unfinished:
        settings = {**settings, SETTING: cell.to_setting()}
        with _store_result(unfinished, plan, result, settings, environment) as store:
            on_run(store, folder / cell.id)
        finish_run(unfinished, folder)


def _store_result(
    folder: Path, plan: RunPlan, result: ComponentResult, settings: dict[str, Any], environment: dict[str, Any]
) -> RunStore:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    store = create_run(
        folder,
        run=folder.name,
        started=now,
        finished=now,
        soak=soak.__version__,
        schema=SCHEMA_VERSION,
        environment=environment,
        settings=settings,
        plan=plan_to_document(plan),
    )
    store.write_result(store.begin_component(result.name, now), result)
    return store


def _make_environment(
    fleet: Fleet, cell: Cell, interpreter: Interpreter, stopping: threading.Event
) -> Environment | None:
    if not cell.column.requirements:
        return None
    return Installer(Path(fleet.cache), interpreter, stopping, build=fleet.build).install(cell.column.requirements)


class _Nobody:
    """Listens to a run that nobody looks at."""

    def limit_memory(self, max_rss_bytes: float) -> None: ...

    def stage(self, note: str) -> None: ...

    def begin(self, component: str, position: int, total: int) -> None: ...

    def update(self, component: str, progress: Progress) -> None: ...

    def so_far(self, result: ComponentResult) -> None: ...

    def done(self, result: ComponentResult) -> None: ...
