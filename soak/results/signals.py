"""How one signal was judged, and the growth that a verdict rests on."""

from __future__ import annotations

from dataclasses import dataclass

from soak.verdict import SeriesState, SeriesVerdict, Verdict


@dataclass(frozen=True)
class SignalResult:
    """One signal's judgement; ``per_iteration``, ``low`` and ``high`` in ``unit`` per cycle."""

    unit: str
    per_iteration: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    role: str
    state: SeriesState | None = None
    """Why it has its verdict; None in a result that an earlier version wrote."""
    first: float | None = None
    last: float | None = None
    readings: int = 0
    since: int | None = None
    decided_at: int | None = None
    needed: int | None = None
    judged_at: int | None = None
    """The cycle up to which the rate was judged last; LEAK stands from ``decided_at`` on."""
    until: int | None = None
    cycles: int | None = None
    tolerance: float | None = None
    n_min: float | None = None
    """These four as of `SeriesVerdict`."""

    @classmethod
    def of(
        cls, series: SeriesVerdict, unit: str, role: str, *, first: float, last: float, readings: int
    ) -> SignalResult:
        """Return what a report keeps of a series and of its readings; ``first`` and ``last`` in ``unit``."""
        return cls(
            unit=unit,
            per_iteration=series.rate,
            low=series.low,
            high=series.high,
            verdict=series.verdict,
            role=role,
            state=series.state,
            first=first,
            last=last,
            readings=readings,
            since=series.since,
            decided_at=series.decided_at,
            judged_at=series.judged_at,
            needed=series.needed,
            until=series.until,
            cycles=series.cycles,
            tolerance=series.tolerance,
            n_min=series.n_min,
        )

    @property
    def series(self) -> SeriesVerdict | None:
        """The judgement of the series; None in a result that an earlier version wrote."""
        if self.state is None:
            return None
        return SeriesVerdict(
            self.verdict,
            self.state,
            rate=self.per_iteration,
            low=self.low,
            high=self.high,
            decided_at=self.decided_at,
            since=self.since,
            until=self.until,
            needed=self.needed,
            judged_at=self.judged_at,
            cycles=self.cycles,
            tolerance=self.tolerance,
            n_min=self.n_min,
        )


@dataclass(frozen=True)
class Growth:
    """The growth the verdict rests on. The ``bytes_*`` fields are None when the deciding signal counts no bytes."""

    signal: str
    measures: str | None
    """``requested`` (what the program asked for) or ``allocated`` (what the allocator gave); None for counts."""
    bytes_per_iteration: float | None
    low: float | None
    high: float | None
    requested_bytes_per_iteration: float | None
    allocated_bytes_per_iteration: float | None
    unit: str
    per_iteration: float | None
    """The deciding signal's own rate in ``unit`` per cycle; equals ``bytes_per_iteration`` when that is its unit."""
