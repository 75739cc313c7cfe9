"""The controls of a run: an empty cycle and planted leaks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Blank:
    """An empty cycle: what this machine reads when nothing grows."""

    ok: bool
    limit_of_detection_bytes: float | None
    rate: float | None
    low: float | None
    high: float | None
    iterations: int
    detail: str
    failed_signals: tuple[str, ...] = ()
    """Signals that grew, or could not be read."""


@dataclass(frozen=True)
class SignalSpike:
    """A planted leak of another kind: what one signal makes of it, in its ``unit`` per cycle."""

    ok: bool
    signal: str
    kind: str
    """What was planted, as for ``--inject``."""
    unit: str
    planted: float
    recovered: float | None
    iterations: int
    detail: str


@dataclass(frozen=True)
class Spike:
    """A planted leak of known size by malloc: what this run makes of it; and those of other kinds."""

    ok: bool
    planted_requested: int
    planted_allocated: int
    recovered_requested: float | None
    recovered_allocated: float | None
    iterations: int
    detail: str
    failed_signals: tuple[str, ...] = ()
    """Signals that did not find the leak that was planted by malloc."""
    of_kinds: tuple[SignalSpike, ...] = ()


@dataclass(frozen=True)
class Controls:
    """The controls of a run."""

    blank: Blank
    spike: Spike
    measured: str | None = None
    """When they were measured, in ISO 8601; None in the record of an earlier soak."""
    is_kept: bool = False
    """An earlier run on this machine measured them."""

    @property
    def ok(self) -> bool:
        """Whether all controls passed."""
        return self.blank.ok and self.spike.ok and all(spike.ok for spike in self.spike.of_kinds)

    @property
    def failed_signals(self) -> frozenset[str]:
        """Signals that failed a control: verdicts that rest on them are not proven."""
        of_kinds = {spike.signal for spike in self.spike.of_kinds if not spike.ok}
        return frozenset(self.blank.failed_signals) | frozenset(self.spike.failed_signals) | of_kinds
