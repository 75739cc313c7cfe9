"""The clock that running code reads: the system's, and a scripted one for tests."""

from __future__ import annotations

from typing import Protocol

from soak.inside.clock import RealTime


class Clock(Protocol):
    """Tells the time."""

    def now_s(self) -> float:
        """Return monotonic seconds."""


class SystemClock:
    """The machine's monotonic clock; a measured process reads the same one."""

    def now_s(self) -> float:
        """See Clock."""
        return RealTime.monotonic()


class ScriptedClock:
    """Time that passes only when it is told to; for tests of what reads a clock."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self._now_s = now_s

    def now_s(self) -> float:
        """See Clock."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Let this much time pass."""
        self._now_s += seconds

    def advance_to(self, moment_s: float) -> None:
        """Let time pass until then; nothing when it has been."""
        self._now_s = max(self._now_s, moment_s)
