"""Which file descriptors a watched program has open, at its start and last."""

from __future__ import annotations

from collections.abc import Callable

from soak.running.time_share import TimeShare
from soak.units import format_count

_EVERY_SAMPLES, _SHARE = 60, 0.01
"""Samples between two looks, and the share of the time that these may take: each descriptor is a link to read."""
_MOST_SHOWN = 8


class Descriptors:
    """Counts the open descriptors by kind."""

    def __init__(self, describe: Callable[[], dict[str, int]], every_s: float, now: Callable[[], float]) -> None:
        """Look for the first time. ``describe`` counts by kind, nothing when it cannot; ``every_s``: a sample."""
        self._describe, self._now = describe, now
        self._share = TimeShare(_SHARE, every_s=_EVERY_SAMPLES * every_s)
        self._at_start: dict[str, int] = {}
        self._at_end: dict[str, int] = {}
        self._look()
        self._at_start = self._at_end

    def look_when_due(self) -> None:
        """Look again, not too often."""
        if self._share.is_due(self._now()):
            self._look()

    def look_at_start(self) -> None:
        """Count from now on: at the very start a program opens what it loads."""
        self._at_start = self._describe() or self._at_start

    def look_at_end(self) -> None:
        """Look once more."""
        self._at_end = self._describe() or self._at_end

    def _look(self) -> None:
        begun_s = self._now()
        self.look_at_end()
        self._share.spend(begun_s, self._now() - begun_s)

    def most_grown(self) -> str | None:
        """Return the kind that grew most; None where there is none."""
        grown = {kind: n - self._at_start.get(kind, 0) for kind, n in self._at_end.items()}
        return max(grown, key=lambda kind: grown[kind], default=None)

    def message(self) -> str | None:
        """Return a sentence of the kinds whose number changed."""
        kinds = sorted(self._at_start.keys() | self._at_end.keys())
        counts = [(kind, self._at_start.get(kind, 0), self._at_end.get(kind, 0)) for kind in kinds]
        changed = [
            f"{kind} {format_count(before)} → {format_count(after)}"
            for kind, before, after in counts
            if before != after
        ]
        return f"File descriptors by kind: {', '.join(changed[:_MOST_SHOWN])}." if changed else None
