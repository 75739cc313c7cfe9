"""Call sites that were called a leak stay one while they go on to grow, though a later look is not sure of the pace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from soak.analysis.sites.ledger import SAME_RATE, Suspect
from soak.verdict import SeriesVerdict


class StandingLeaks:
    """Keeps what was called a leak.

    A watched program does more or less between two samples as the load of the machine goes, so that its pace is steady
    at one look and unsteady at the next.
    """

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._leaks: dict[int, SeriesVerdict] = {}

    def keep(self, suspects: Sequence[Suspect]) -> list[Suspect]:
        """Return the sites that grow, as leaks also those that were one and have gone on at that rate since.

        A cache that is full now has grown by less over the later half of the cycles, and is not a leak any more.
        """
        for suspect in suspects:
            if suspect.is_leak:
                self._leaks[suspect.site] = suspect.verdict
        return [self._standing(suspect) for suspect in suspects]

    def _standing(self, suspect: Suspect) -> Suspect:
        leak = self._leaks.get(suspect.site)
        if suspect.is_leak or leak is None:
            return suspect
        goes_on = (suspect.recent_bytes_per_cycle or 0.0) >= SAME_RATE * (leak.rate or 0.0)
        return replace(suspect, verdict=leak) if goes_on else suspect
