"""Why and when a component is stopped: asked to, ended because it does not react, or at its own end."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from soak.analysis.decision.outcome import Decision
from soak.results import Failure
from soak.running.child.child import Child
from soak.running.child.guards import tripped_guard
from soak.settings import ComponentPlan
from soak.verdict import Verdict

BUDGET, FAILURE, SIGNAL, VERDICT = "budget", "failure", "signal", "verdict"
_GUARD = "guard:"
BESIDE_SHARE = 0.5
"""Looks at the memory, and what follows the cycles, may take this share of the budget in addition."""
_EXAMINATION_S = 5.0
"""What the child is asked after its last cycle takes its time, however short a cycle may be."""


def stopped_by_guard(name: str) -> str:
    """Return why a component is stopped whose signal ``name`` came near its limit."""
    return f"{_GUARD}{name}"


def guard_of(stopped_by: str) -> str | None:
    """Return the signal whose guard stopped a component; None when none did."""
    return stopped_by.removeprefix(_GUARD) if stopped_by.startswith(_GUARD) else None


def is_in_a_hurry(stopped_by: str) -> bool:
    """Tell whether not a cycle more should be run, measured or not."""
    return stopped_by == SIGNAL or guard_of(stopped_by) is not None


class StopRules:
    """What a component is asked to stop for, the first of these that holds: signal, guard, budget, verdict."""

    def __init__(self, plan: ComponentPlan, stopping: threading.Event) -> None:
        """Take note of the plan; ``stopping`` is set when the whole run is to end."""
        self._plan = plan
        self._budget_s = plan.budget_s
        self._stopping = stopping

    @property
    def can_be_extended(self) -> bool:
        """Whether a component that is undecided when its budget is used up may go on."""
        return self._plan.longest_budget_s is not None and self._budget_s != self._plan.longest_budget_s

    def extend_budget(self) -> None:
        """Go on for as long as the plan allows."""
        self._budget_s = self._plan.longest_budget_s

    def reason(
        self,
        elapsed_s: float,
        values: Mapping[str, float],
        limits: Mapping[str, float],
        decision: Decision | None,
        *,
        is_scanning: bool = False,
        looked_at_s: float = 0.0,
    ) -> str:
        """Return why to stop now, or an empty text.

        ``looked_at_s``: what looks at the memory have taken, beside ``elapsed_s``.
        ``values``: as read from outside. ``decision``: the latest one. ``is_scanning``: a scan of the memory is
        about to say more of the cause.
        """
        if self._stopping.is_set():
            return SIGNAL
        guard = tripped_guard(values, limits, self._plan.max_rss_bytes)
        if guard is not None:
            return stopped_by_guard(guard)
        if self._is_used_up(elapsed_s, looked_at_s):
            return BUDGET
        return VERDICT if not is_scanning and self._is_decided(decision) else ""

    def _is_used_up(self, elapsed_s: float, looked_at_s: float) -> bool:
        return self._budget_s is not None and is_used_up(elapsed_s, looked_at_s, self._budget_s)

    def _is_decided(self, decision: Decision | None) -> bool:
        """Whether nothing that may still come would change the verdict; a CLEAN with a named budget is "so far"."""
        if decision is None or not decision.is_final or not self._plan.early_stop:
            return False
        return not (decision.verdict is Verdict.CLEAN and self._plan.full_budget)


def is_used_up(elapsed_s: float, looked_at_s: float, budget_s: float) -> bool:
    """Whether cycles have had their time, or took with the looks at a large memory as long as all may take.

    ``elapsed_s``: of the cycles. ``looked_at_s``: what the looks have taken beside that.
    """
    return elapsed_s >= budget_s or left_for_looks_s(elapsed_s, looked_at_s, budget_s) <= 0


def left_for_looks_s(elapsed_s: float, looked_at_s: float, budget_s: float) -> float:
    """Return for how long a component may still be held before cycles and looks have taken all that they may."""
    return (1 + BESIDE_SHARE) * budget_s - elapsed_s - looked_at_s


class Liveness:
    """Tells that a child's setup, cycle or teardown does not end."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._seen: tuple[int, int, int] | None = None
        self._since_s = 0.0

    def is_hung(self, child: Child, now_s: float) -> bool:
        """Tell whether nothing has moved for longer than the timeout."""
        ring = child.ring
        state = (ring.phase, ring.cycle, ring.rows_written)
        if state != self._seen or self._waits_for_next_cycle(child):
            self._seen, self._since_s = state, now_s
        is_asked = ring.has_loop_ended and ring.runs_cycles
        return now_s - self._since_s > self._timeout_s + (_EXAMINATION_S if is_asked else 0.0)

    @staticmethod
    def _waits_for_next_cycle(child: Child) -> bool:
        """Whether the child keeps its pace between two cycles; one that was told to stop has nothing to wait for."""
        ring = child.ring
        rests = ring.runs_cycles and ring.is_between_cycles and not ring.is_counting
        return rests and not ring.is_asked_to_stop and not child.is_stopped()


class Patience:
    """Tells that a guard was not obeyed: within the time of a cycle, before it is the machine's problem."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._ends_s: float | None = None

    def is_over(self, stopped_by: str, now_s: float) -> bool:
        """Tell whether the child has had ``timeout_s`` to stop since a guard asked it to."""
        if guard_of(stopped_by) is None:
            return False
        if self._ends_s is None:
            self._ends_s = now_s + self._timeout_s
        return now_s > self._ends_s


def how_it_ended(stopped_by: str, failure: Failure | None, exhausted: str | None) -> tuple[str, Failure | None]:
    """Return why a component ended, and its failure if it is one.

    ``stopped_by``: what it was asked to stop for, or empty. ``exhausted``: the signal whose limit it ran into. One that
    failed for that, or after a guard had asked it to stop, has leaked, which is no fault of the driver. It may run into
    the limit when it has been asked to stop and has not seen that yet.
    """
    if exhausted is not None and stopped_by != SIGNAL and guard_of(stopped_by) is None:
        stopped_by = stopped_by_guard(exhausted)
    if guard_of(stopped_by) is not None:
        return stopped_by, None
    return (FAILURE, failure) if failure is not None else (stopped_by or BUDGET, None)
