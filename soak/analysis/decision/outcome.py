"""From the grounds that hold to a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from soak.analysis.decision.completed import completed_series
from soak.analysis.decision.finality import is_final
from soak.analysis.decision.needed import cycles_needed
from soak.analysis.decision.rules.memory import deciding_proof
from soak.analysis.evidence import LEDGER, Evidence
from soak.grounds import VERDICTS, Ground, GroundKind
from soak.verdict import SeriesVerdict, Verdict

_BY_NO_SIGNAL = (GroundKind.NOT_READ,)


@dataclass(frozen=True)
class Decision:
    """What all evidence together says."""

    verdict: Verdict
    grounds: tuple[Ground, ...]
    """All that holds, strongest first: the first one decided."""
    decided_by: str | None
    """The signal that decided; None if none did."""
    series: Mapping[str, SeriesVerdict]
    """What each signal says, completed by what other evidence knows of it."""
    needed: int | None
    """More cycles that would decide, where that can be told."""
    is_final: bool
    """Nothing that may still come in this run would change what people are told."""
    decided_at: int | None = None
    """The number of cycles after which LEAK or CLEAN stood."""

    @property
    def leaking_bytes(self) -> float:
        """Bytes a cycle by which memory leaks, by the ledger or by what decided before it; 0 if none leaks.

        On a busy machine mapped or resident memory may decide first: the ledger has fewer readings then.
        """
        if self.verdict is not Verdict.LEAK or self.decided_by not in (*LEDGER, "mapped", "rss"):
            return 0.0
        return self.series["tracked" if self.decided_by in LEDGER else self.decided_by].rate or 0.0

    @property
    def by_scan(self) -> bool:
        """Whether a scan of the memory decided."""
        return self.grounds[0].kind is GroundKind.LOST_BLOCKS


def decision_of(evidence: Evidence, grounds: tuple[Ground, ...]) -> Decision:
    """Return the decision that follows from the grounds that hold, at least one, strongest first."""
    first = grounds[0]
    verdict = VERDICTS[first.kind]
    if first.kind in (GroundKind.DRIVER_FAILED, GroundKind.CONTROL_FAILED):
        below = decision_of(evidence, grounds[1:])
        return replace(below, verdict=verdict, grounds=grounds, is_final=False, decided_at=None)
    decided_by = None if first.kind in _BY_NO_SIGNAL or not first.signals else first.signals[0]
    series = completed_series(evidence, grounds)
    return Decision(
        verdict=verdict,
        grounds=grounds,
        decided_by=None if evidence.only_outside and first.kind is GroundKind.UNDECIDED else decided_by,
        series=series,
        needed=cycles_needed(evidence, first),
        is_final=is_final(evidence, grounds, series),
        decided_at=_decided_at(evidence, first, series),
    )


def _decided_at(evidence: Evidence, first: Ground, series: Mapping[str, SeriesVerdict]) -> int | None:
    verdict = VERDICTS[first.kind]
    proof = deciding_proof(evidence, first.kind)
    if proof is not None:
        return proof.at_cycle
    if verdict is Verdict.LEAK:
        return series[first.signals[0]].decided_at
    if verdict is Verdict.CLEAN:
        return max(series[name].decided_at or 0 for name in first.signals)
    return None
