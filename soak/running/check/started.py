"""Soak one component whose process has been started, and return what was found."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from soak.results import ComponentResult
from soak.running.child.process import MeasuredProcess
from soak.running.component.observations import Observations
from soak.running.component.result import failed_to_start, make_result, seconds_since
from soak.running.component.second_pass import Trace, cycles_s_of_second_pass, trace_growth
from soak.running.component.stopping import BUDGET, VERDICT
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext
from soak.settings import ComponentPlan
from soak.verdict import Verdict

_AGAIN = "The budget was too small to decide; this is a second attempt with more time."
_WITHDRAWN = "The verdict that ended the first attempt did not hold; this is a second attempt, without an early end."
_TRACED_SIGNALS = ("tracked", "tracked_blocks", "heap", "python_blocks")


def soak_started(plan: ComponentPlan, context: RunContext, begun: MeasuredProcess | OSError) -> ComponentResult:
    """Soak a component to its end; ``begun`` is its process, or why it could not be started."""
    if isinstance(begun, OSError):
        return failed_to_start(plan, begun, context.interpreter)
    observed = soak_component(plan, context, process=begun)
    again = plan.longest_budget_s is not None and not observed.is_extended and _is_undecided(observed, BUDGET)
    if again:
        # Soak was held up and missed checkpoints: with the n_min it had, another process needs fewer cycles.
        plan = replace(plan, budget_s=plan.longest_budget_s, longest_budget_s=None, n_min=observed.judge.n_min)
        observed = soak_component(plan, context)
    withdrawn = _is_undecided(observed, VERDICT)
    if withdrawn:
        # What the process says of its objects at its end may speak against it: a cache with a bound holds them.
        plan = replace(plan, early_stop=False)
        observed = soak_component(plan, context)
    result = make_result(plan, observed, _trace(plan, context, observed), context.interpreter)
    result = replace(result, seconds_after=seconds_since(observed.loop_ended_s))
    said = [message for message, holds in ((_AGAIN, again), (_WITHDRAWN, withdrawn)) if holds]
    return replace(result, messages=(*result.messages, *said))


def _is_undecided(observed: Observations, stopped_by: str) -> bool:
    undecided = observed.decision.verdict is Verdict.INCONCLUSIVE and observed.failure is None
    return undecided and observed.stopped_by == stopped_by


def _trace(plan: ComponentPlan, context: RunContext, observed: Observations) -> Trace | None:
    decision = observed.decision
    grows = decision.verdict is Verdict.LEAK and decision.decided_by in _TRACED_SIGNALS
    cycles_s = cycles_s_of_second_pass(plan, observed)
    if not grows or not cycles_s or observed.failure is not None or observed.tracked.sites:
        return None
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        return trace_growth(plan, context, Path(folder, "tracemalloc"), cycles_s=cycles_s)
