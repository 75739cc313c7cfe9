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
"""So many times the cycles that a known cache takes to fill: by a smaller n_min it would be called a leak again."""
_ENDED_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
_FEWEST_WINDOWS = 4
"""So many times n_min a run should have: below, the missing cycles are those to the first look, not to a verdict."""
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
    plan: RunPlan, results: Mapping[str, ComponentResult], cycles_read: Mapping[str, int | None]
) -> Remainder:
    """Tell what stands and what is measured again.

    ``cycles_read``: of each component that began, the cycle of its last reading, or None. A component that was cut
    off begins again from its first cycle, for the process that held its state is gone, and two processes' readings
    are not one series. What would come out the same stands: CLEAN, LEAK, a driver that failed by itself, and one
    that no number of cycles decides.
    """
    components, kept, reasons = [], {}, {}
    for component in plan.components:
        result = results.get(component.name)
        if result is None:
            components.append(component)
            if component.name in cycles_read:
                done = cycles_read[component.name] or 0
                reasons[component.name] = f"Cut off after {done:,} cycles and measured again from the first one."
            continue
        reason, again = _why_again(component, result)
        components.append(again)
        if reason:
            reasons[component.name] = reason
        else:
            kept[component.name] = result
    return Remainder(dataclasses.replace(plan, components=tuple(components)), kept, reasons)


def _why_again(component: ComponentPlan, result: ComponentResult) -> tuple[str, ComponentPlan]:
    """Return why a component with a result is measured again, or an empty text, and its plan for that."""
    failure = result.failure
    if failure is not None and failure.reason == "signal" and failure.detail in _ENDED_FROM_OUTSIDE:
        reason = f"{failure.detail} ended its process in {failure.phase} {failure.cycle:,}; measured again."
        return reason, component
    if result.stopped_by == "signal" and result.verdict is not Verdict.LEAK:
        return f"Stopped after {result.iterations:,} cycles and measured again from the first one.", component
    if result.control_failed:
        return "A control of what its verdict rests on failed; measured again, as the controls are.", component
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
    """Return the n_min that tells more than the few cycles did that left a component undecided; 0 where others did."""
    is_first = bool(result.grounds) and result.grounds[0].kind is GroundKind.FEW_CYCLES
    return ENOUGH_N_MIN if is_first else 0


def _full_at(result: ComponentResult) -> int:
    """Return about after how many cycles the caches are full that made a component SETTLING; 0 where none did."""
    if result.verdict is not Verdict.SETTLING:
        return 0
    holders = [cause.holder for cause in result.causes if cause.holder is not None]
    return max((holder.full_at_cycle or 0 for holder in holders), default=0)
