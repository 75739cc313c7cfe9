"""The entry: from all that is known of a component to its verdict."""

from __future__ import annotations

from soak.analysis.decision.outcome import Decision, decision_of
from soak.analysis.decision.precedence import PRECEDENCE, grounds_of
from soak.analysis.evidence import Evidence


def decide(evidence: Evidence) -> Decision:
    """Return the decision of the first rule of PRECEDENCE that applies. A pure function."""
    return decision_of(evidence, grounds_of(evidence, PRECEDENCE))
