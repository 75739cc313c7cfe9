"""A whole run: the controls, each component in its own process, the parts against the whole."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import soak
from soak.analysis.parts import sum_of_parts
from soak.documents import FAULTS, to_document
from soak.errors import StoreError, UsageError
from soak.probes.limits import read_free_memory_bytes
from soak.results import SCHEMA_VERSION, ComponentResult, Parts
from soak.running.child.guards import SHARE_OF_FREE_MEMORY
from soak.running.component.observations import ComponentProgress, Observations
from soak.running.component.result import failed_to_start, make_result, seconds_since
from soak.running.component.second_pass import Trace, cycles_s_of_second_pass, trace_growth
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext, find_library
from soak.running.environment import describe_environment
from soak.running.interpreter import Interpreter, check_module, find_interpreter
from soak.running.run.controls_of_run import ControlsOfRun
from soak.running.run.notices import Notices, is_news
from soak.running.run.resumption import Remainder, find_remainder
from soak.running.run.watchdog import guarded
from soak.running.surroundings import check_surroundings
from soak.settings import ComponentPlan, RunPlan, options_of, plan_from_document, plan_to_document
from soak.store.database import RunStore
from soak.store.runs import claimed, create_run, new_run_folder, open_run
from soak.verdict import Verdict

_TRACED_VERDICTS = (Verdict.LEAK, Verdict.SETTLING)
_TRACED_SIGNALS = ("tracked", "tracked_blocks", "heap", "python_blocks")


class RunListener(Protocol):
    """Who is told how a run goes. Calls come from the threads that supervise components, one call at a time."""

    def limit_memory(self, max_rss_bytes: float) -> None:
        """Take note that a component which is given no ``--max-rss`` is stopped at this RSS."""

    def stage(self, note: str) -> None:
        """See what the run as a whole is at; empty while its components are at work."""

    def begin(self, component: str, position: int, total: int) -> None:
        """Take note that ``component``, the ``position``-th of ``total`` (from 1), is at work."""

    def update(
        self,
        component: str,
        cycles: int,
        elapsed_s: float,
        budget_s: float | None,
        note: str,
        *,
        iterations: int | None = None,
        rss_bytes: float | None = None,
        growth_bytes: float | None = None,
    ) -> None:
        """See how far a component is; ``iterations``: its budget of cycles; ``growth_bytes``: per cycle so far."""

    def so_far(self, result: ComponentResult) -> None:
        """See what can be said of a component at work."""

    def done(self, result: ComponentResult) -> None:
        """See what was found: ``result.name`` is finished."""


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
            with _controls(remainder, context, store) as controls:
                results = _Run(remainder, context, store, folder, listener, controls).soak_all()
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


@contextlib.contextmanager
def _controls(remainder: Remainder, context: RunContext, store: RunStore) -> Iterator[ControlsOfRun | None]:
    """Give the controls of what is still to be measured; None when that is nothing."""
    components = remainder.plan.components
    if len(remainder.kept) == len(components):
        yield None
        return
    may_be_kept = all(component.early_stop for component in components)
    controls = ControlsOfRun(
        context, lambda found: store.write_facts(controls=to_document(found)), may_be_kept=may_be_kept
    )
    try:
        yield controls
    finally:
        controls.close()


def _tell(call: Callable[[], None]) -> None:
    # A terminal that was closed takes nothing any more; the run is not its listener's.
    with contextlib.suppress(OSError):
        call()


class _Run:
    """The components of one run, some at a time."""

    def __init__(
        self,
        remainder: Remainder,
        context: RunContext,
        store: RunStore,
        folder: Path,
        listener: RunListener,
        controls: ControlsOfRun | None,
    ) -> None:
        self._plan = remainder.plan
        self._kept = remainder.kept
        self._reasons = remainder.reasons
        self._context = context
        self._store = store
        self._folder = folder
        self._listener = listener
        self._controls = controls
        self._max_rss_bytes = SHARE_OF_FREE_MEMORY * read_free_memory_bytes()
        self._telling = threading.Lock()
        is_told = any(is_news(result) for result in self._kept.values())
        self._notices = Notices(remainder.plan.on_verdict, folder, is_told=is_told)

    def soak_all(self) -> list[ComponentResult]:
        """Soak every component; return the results in the plan's order, without those that never began."""
        total = len(self._plan.components)
        if any(each.max_rss_bytes is None and each.name not in self._kept for each in self._plan.components):
            self._tell(lambda: self._listener.limit_memory(self._max_rss_bytes))
        # A child dies with the thread that started it (see soak.inside.child), so each is watched by that thread.
        with ThreadPoolExecutor(max_workers=self._plan.jobs) as pool:
            futures = [
                pool.submit(self._soak, component, position, total)
                for position, component in enumerate(self._plan.components, 1)
            ]
            try:
                outcomes = [future.result() for future in futures]
            except BaseException:
                self._context.stopping.set()
                raise
        return [outcome for outcome in outcomes if outcome is not None]

    def _soak(self, component: ComponentPlan, position: int, total: int) -> ComponentResult | None:
        if component.name in self._kept:
            return self._kept[component.name]
        if self._context.stopping.is_set():
            return None
        self._tell(lambda: self._listener.begin(component.name, position, total))
        component_id = self._store.begin_component(component.name, datetime.now(UTC).isoformat(timespec="seconds"))
        try:
            observed = soak_component(
                self._with_memory_limit(component),
                self._context,
                on_n_min=lambda n_min: self._store.write_n_min(component_id, n_min),
                on_readings=lambda readings: self._store.write_readings(component_id, readings),
                on_progress=lambda progress: self._show(component, progress),
            )
        except OSError as error:
            result = failed_to_start(component, error, self._context.interpreter)
        else:
            if self._controls is not None and observed.decision.verdict is not Verdict.CLEAN:
                self._controls.measure_own()
            trace = self._trace(component, observed)
            self._note(component, observed, "looking for the causes")
            result = make_result(component, observed, trace, self._context.interpreter, self._failed_controls)
            result = dataclasses.replace(result, seconds_after=seconds_since(observed.loop_ended_s))
        result = dataclasses.replace(result, options=options_of(self._plan, component))
        if component.name in self._reasons:
            result = dataclasses.replace(result, messages=(self._reasons[component.name], *result.messages))
        self._store.write_result(component_id, result)
        self._tell(lambda: self._listener.done(result))
        self._notices.done(result)
        return result

    def _failed_controls(self) -> frozenset[str]:
        """Return the signals that a control found wanting; wait for the controls if they are still being measured."""
        if self._controls is None:
            return frozenset()
        if not self._controls.are_known:
            self._tell(lambda: self._listener.stage("measuring the controls"))
            found = self._controls.failed_signals()
            self._tell(lambda: self._listener.stage(""))
            return found
        return self._controls.failed_signals()

    def _with_memory_limit(self, component: ComponentPlan) -> ComponentPlan:
        """Protect the machine: a leak of memory is stopped before there is none left."""
        if component.max_rss_bytes is not None:
            return component
        return dataclasses.replace(component, max_rss_bytes=self._max_rss_bytes)

    def _show(self, component: ComponentPlan, progress: ComponentProgress) -> None:
        if progress.may_leak and self._controls is not None:
            self._controls.measure_own()
        if progress.so_far is not None:
            self._keep_so_far(component, progress.so_far)
        self._tell(
            lambda: self._listener.update(
                component.name,
                progress.cycles,
                progress.elapsed_s,
                component.budget_s,
                progress.note,
                iterations=component.iterations,
                rss_bytes=progress.rss_bytes,
                growth_bytes=progress.growth_bytes,
            )
        )

    def _keep_so_far(self, component: ComponentPlan, observed: Observations) -> None:
        """Keep what can be said of a component at work, for whoever looks at the run meanwhile."""
        result = make_result(component, observed, None, self._context.interpreter)
        # Who holds an object is asked after the last cycle; until then a scan sees the interpreter's variables only.
        causes = tuple(
            dataclasses.replace(cause, memory_path=()) if cause.kind == "python-object" else cause
            for cause in result.causes
        )
        result = dataclasses.replace(result, options=options_of(self._plan, component), causes=causes)
        self._store.write_so_far(result)
        self._tell(lambda: self._listener.so_far(result))
        self._notices.so_far(result)

    def _note(self, component: ComponentPlan, observed: Observations, note: str) -> None:
        self._show(component, ComponentProgress(observed.iterations, observed.seconds, note))

    def _tell(self, call: Callable[[], None]) -> None:
        with self._telling:
            _tell(call)

    def _trace(self, component: ComponentPlan, observed: Observations) -> Trace | None:
        """Run the second pass of a component whose memory grows at places the tracker did not name.

        Not where the run is ending.
        """
        decision = observed.decision
        grows = decision.verdict in _TRACED_VERDICTS and decision.decided_by in _TRACED_SIGNALS
        cycles_s = cycles_s_of_second_pass(component, observed)
        is_named = bool(observed.tracked.sites)
        if not grows or is_named or not cycles_s or observed.failure is not None or self._context.stopping.is_set():
            return None
        try:
            return trace_growth(
                self._with_memory_limit(component),
                self._context,
                self._folder / f"{component.name}.tracemalloc",
                cycles_s=cycles_s,
                on_progress=lambda progress: self._tell(
                    lambda: self._listener.update(
                        component.name, progress.cycles, progress.elapsed_s, cycles_s, "again under tracemalloc"
                    )
                ),
            )
        except OSError:
            return None


def _set_against_parts(plan: RunPlan, results: list[ComponentResult]) -> Parts | None:
    """Compare the first component that names its parts with those of them that were soaked."""
    by_name = {result.name: result for result in results}
    for component in plan.components:
        whole = by_name.get(component.name)
        parts = [by_name[name] for name in component.parts if name in by_name]
        if whole is not None and parts and len(parts) == len(component.parts):
            return sum_of_parts(whole, parts)
    return None
