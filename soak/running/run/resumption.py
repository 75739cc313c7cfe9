"""What is left to do of a run that was cut off, or that left components undecided."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

from soak.grounds import ENOUGH_N_MIN, GroundKind
from soak.results import ComponentResult
from soak.settings import ComponentPlan, RunPlan
from soak.verdict import Verdict

_N_MIN_PER_CACHE = 1.7
"""n_min is this many times the cycles that a known cache takes to fill: a smaller n_min would call it a leak again."""
_ENDED_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
_FEWEST_WINDOWS = 4
"""A run should have this many times n_min: below, the missing cycles are those to the first look, not to a verdict."""
_UNDECIDED = (Verdict.INCONCLUSIVE, Verdict.SETTLING)


@dataclass(frozen=True)
class Remainder:
    """A run's plan as it is to be gone on with."""

    plan: RunPlan
    """Every component; one that was left undecided with a budget of as many cycles as decide."""
    kept: Mapping[str, ComponentResult]
    """Results that stand, by name; the other components are measured."""
    reasons: Mapping[str, str]
    """By name: why a component is measured again, in a sentence for its messages."""


def find_remainder(
    plan: RunPlan,
    results: Mapping[str, ComponentResult],
    cycles_read: Mapping[str, int | None],
    so_far: Mapping[str, ComponentResult] | None = None,
) -> Remainder:
    """Return the results that are kept and the components that are measured again.

    ``cycles_read``: for each component that began, the cycle of its last reading, or None. ``so_far``: the results of
    components when they were interrupted. An interrupted component starts again at its first cycle, because the process
    that held its state is gone, and the readings of two processes are not one series. If it has a pace and its driver
    has ``resume``, it continues at its cycle, and the later cycles are judged on their own. Results that would come out
    the same are kept: CLEAN, LEAK, a driver that failed, and a result that no number of cycles decides.
    """
    components, kept, reasons = [], {}, {}
    for component in plan.components:
        result = results.get(component.name)
        if result is None:
            components.append(component)
            if component.name in cycles_read:
                done = cycles_read[component.name] or 0
                before = (so_far or {}).get(component.name)
                components[-1], reasons[component.name] = _go_on(component, done, before, "Cut off")
            continue
        reason, again = _why_again(component, result)
        components.append(again)
        if reason:
            reasons[component.name] = reason
        else:
            kept[component.name] = result
    return Remainder(dataclasses.replace(plan, components=tuple(components)), kept, reasons)


def _go_on(component: ComponentPlan, done: int, before: ComponentResult | None, how: str) -> tuple[ComponentPlan, str]:
    """Return the plan of a component that ended after ``done`` cycles, and where it goes on.

    ``before``: what is known of those cycles. ``how`` they ended, in a word or two.
    """
    again = f"{how} after {done:,} cycles and measured again from the first one"
    if not component.interval_s or not done:
        return component, f"{again}."
    if not component.target.can_resume:
        return component, f"{again}: its driver has no resume(cycle, **settings)."
    if before is None or not before.iterations:
        return component, f"{again}: too little is known of them."
    if before.verdict is Verdict.LEAK:
        return component, f"{again}: they were a LEAK so far, which another process could not confirm."
    left, left_s = component.iterations, component.budget_s
    if left is not None:
        left -= done
    if left_s is not None:
        left_s -= done * before.seconds / before.iterations
    if (left is not None and left < 1) or (left_s is not None and left_s <= 0):
        return component, f"{again}: they were all of its cycles, and were not judged."
    at = component.resumed_at + done
    told = f"{how} after {done:,} cycles; its driver has resume(), so another process continues at cycle {at:,}."
    judged = (
        f"Each process is judged on its own: the earlier cycles are {before.verdict}; this verdict is for the rest."
    )
    return dataclasses.replace(component, iterations=left, budget_s=left_s, resumed_at=at), f"{told} {judged}"


def _why_again(component: ComponentPlan, result: ComponentResult) -> tuple[str, ComponentPlan]:
    """Return why a component with a result is measured again, or an empty text, and its plan for that."""
    failure = result.failure
    if failure is not None and failure.reason == "signal" and failure.detail in _ENDED_FROM_OUTSIDE:
        reason = f"{failure.detail} ended its process in {failure.phase} {failure.cycle:,}; measured again."
        return reason, component
    if result.stopped_by == "signal" and result.verdict is not Verdict.LEAK:
        plan, reason = _go_on(component, result.iterations, result, "Stopped")
        return reason, plan
    if result.control_failed:
        return "A control that its verdict rests on failed; measured again, as the controls are.", component
    if result.verdict in _UNDECIDED and result.needed_iterations:
        cycles = max(result.iterations + result.needed_iterations, _FEWEST_WINDOWS * (result.n_min or 0))
        n_min = (
            max(result.n_min or 0, math.ceil(_N_MIN_PER_CACHE * _full_at(result)), _n_min_beside_few(result)) or None
        )
        again = dataclasses.replace(component, iterations=cycles, budget_s=None, n_min=n_min)
        reason = f"{result.iterations:,} cycles left it {result.verdict}; measured again with {cycles:,}."
        return reason, again
    return "", component


def _n_min_beside_few(result: ComponentResult) -> int:
    """Return the n_min that tells more than the few cycles did that left a component undecided; 0 if others did."""
    is_first = bool(result.grounds) and result.grounds[0].kind is GroundKind.FEW_CYCLES
    return ENOUGH_N_MIN if is_first else 0


def _full_at(result: ComponentResult) -> int:
    """Return about after how many cycles the caches are full that made a component SETTLING; 0 if none did."""
    if result.verdict is not Verdict.SETTLING:
        return 0
    holders = [cause.holder for cause in result.causes if cause.holder is not None]
    return max((holder.full_at_cycle or 0 for holder in holders), default=0)
