"""Rules on failures: of the driver, and of the controls of this run."""

from __future__ import annotations

from collections.abc import Callable

from soak.analysis.decision.outcome import Decision, decision_of
from soak.analysis.evidence import LEDGER, Evidence
from soak.grounds import Ground, GroundKind
from soak.measurements import SIGNALS, Role
from soak.verdict import Verdict


def find_driver_failed(evidence: Evidence) -> Ground | None:
    """Return this ground if the driver crashed, hung or could not start."""
    return Ground(GroundKind.DRIVER_FAILED) if evidence.failed else None


def find_control_failed(evidence: Evidence, below: Callable[[Evidence], tuple[Ground, ...]]) -> Ground | None:
    """Return this ground if the verdict ``below`` this row rests on a signal whose control failed."""
    if not evidence.failed_controls:
        return None
    failed = _rests_on(decision_of(evidence, below(evidence))) & evidence.failed_controls
    return Ground(GroundKind.CONTROL_FAILED, tuple(name for name in SIGNALS if name in failed)) if failed else None


def _rests_on(decision: Decision) -> set[str]:
    """Return the signals without which the verdict would not stand: LEAK on one, CLEAN on all that were proven."""
    if decision.verdict is Verdict.LEAK and decision.decided_by is not None:
        is_ledger = decision.decided_by in (*LEDGER, "children_tracked")
        return {"tracked" if is_ledger else decision.decided_by}
    if decision.verdict is Verdict.CLEAN:
        return {
            name
            for name, series in decision.series.items()
            if SIGNALS[name].role is Role.DECIDES and series.verdict is Verdict.CLEAN
        }
    return set()
