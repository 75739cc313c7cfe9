"""Soak one component of a run, whose process has mostly been started before; keep what is found, and tell of it."""

from __future__ import annotations

import dataclasses

from soak.progress import Progress
from soak.results import ComponentResult
from soak.running.child.process import MeasuredProcess
from soak.running.component.observations import ComponentProgress, Observations
from soak.running.component.result import failed_to_start, make_result, seconds_since
from soak.running.component.second_pass import Trace, cycles_s_of_second_pass, trace_growth
from soak.running.component.supervisor import soak_component
from soak.running.run.shared import Shared
from soak.settings import ComponentPlan, options_of
from soak.verdict import Verdict

_TRACED_VERDICTS = (Verdict.LEAK, Verdict.SETTLING)
_TRACED_SIGNALS = ("tracked", "tracked_blocks", "heap", "python_blocks")


def soak_one(
    component: ComponentPlan, component_id: int, begun: MeasuredProcess | OSError | None, run: Shared
) -> ComponentResult:
    """Soak a component to its end and return its result, which is stored.

    ``component_id``: its number in the database of the run. ``begun``: its process, or why that did not start; None if
    it is to be started now.
    """
    run.controls.begun()
    if isinstance(begun, OSError):
        result = failed_to_start(component, begun, run.context.interpreter)
    else:
        result = _OneComponent(component, component_id, run).soak(begun)
    result = dataclasses.replace(result, options=options_of(run.plan, component))
    if component.name in run.reasons:
        result = dataclasses.replace(result, messages=(run.reasons[component.name], *result.messages))
    run.store.write_result(component_id, result)
    run.teller.tell(lambda listener: listener.done(result))
    run.notices.done(result)
    return result


class _OneComponent:
    """One component at work."""

    def __init__(self, component: ComponentPlan, component_id: int, run: Shared) -> None:
        self._component, self._id, self._run = component, component_id, run

    def soak(self, process: MeasuredProcess | None) -> ComponentResult:
        """Return what was found; the process is closed then. ``process``: None if it is to be started."""
        run, component = self._run, self._component
        try:
            observed = soak_component(
                component,
                run.context,
                on_n_min=lambda n_min: run.store.write_n_min(self._id, n_min),
                on_readings=lambda readings: run.store.write_readings(self._id, readings),
                on_progress=self._show,
                process=process,
            )
        except OSError as error:
            return failed_to_start(component, error, run.context.interpreter)
        if observed.decision.verdict is not Verdict.CLEAN:
            run.controls.begun().measure_own()
        trace = self._trace(observed)
        self._show(ComponentProgress(observed.iterations, observed.seconds, "looking for the causes"))
        result = make_result(component, observed, trace, run.context.interpreter, self._failed_controls)
        return dataclasses.replace(result, seconds_after=seconds_since(observed.loop_ended_s))

    def _failed_controls(self) -> frozenset[str]:
        """Return the signals that a control found wanting; wait for the controls if they are still being measured."""
        controls, teller = self._run.controls.begun(), self._run.teller
        if controls.are_known:
            return controls.failed_signals()
        teller.tell(lambda listener: listener.stage("measuring the controls"))
        found = controls.failed_signals()
        teller.tell(lambda listener: listener.stage(""))
        return found

    def _show(self, progress: ComponentProgress) -> None:
        component, controls = self._component, self._run.controls.begun()
        if progress.may_leak:
            controls.measure_own()
        if progress.so_far is not None:
            self._keep_so_far(progress.so_far)
        self._run.teller.tell(
            lambda listener: listener.update(
                component.name,
                Progress(
                    progress.cycles,
                    progress.elapsed_s,
                    progress.note,
                    budget_s=component.budget_s,
                    iterations=component.iterations,
                    rss_bytes=progress.rss_bytes,
                    growth_bytes=progress.growth_bytes,
                ),
            )
        )

    def _keep_so_far(self, observed: Observations) -> None:
        """Keep what can be said of a component at work, for whoever looks at the run meanwhile."""
        run, component = self._run, self._component
        result = make_result(component, observed, None, run.context.interpreter)
        # Who holds an object is asked after the last cycle; until then a scan sees the interpreter's variables only.
        causes = tuple(
            dataclasses.replace(cause, memory_path=()) if cause.kind == "python-object" else cause
            for cause in result.causes
        )
        result = dataclasses.replace(result, options=options_of(run.plan, component), causes=causes)
        run.store.write_so_far(result)
        run.teller.tell(lambda listener: listener.so_far(result))
        run.notices.so_far(result)

    def _trace(self, observed: Observations) -> Trace | None:
        """Run the second pass of a component whose memory grows at places the tracker did not name.

        Not where the run is ending.
        """
        run, component, decision = self._run, self._component, observed.decision
        grows = decision.verdict in _TRACED_VERDICTS and decision.decided_by in _TRACED_SIGNALS
        cycles_s = cycles_s_of_second_pass(component, observed)
        is_named = bool(observed.tracked.sites)
        if not grows or is_named or not cycles_s or observed.failure is not None or run.context.stopping.is_set():
            return None
        try:
            return trace_growth(
                component,
                run.context,
                run.folder / f"{component.name}.tracemalloc",
                cycles_s=cycles_s,
                on_progress=lambda progress: run.teller.tell(
                    lambda listener: listener.update(
                        component.name,
                        Progress(progress.cycles, progress.elapsed_s, "again under tracemalloc", budget_s=cycles_s),
                    )
                ),
            )
        except OSError:
            return None
