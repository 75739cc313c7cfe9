"""How much time may go into work that is done again and again beside the measuring."""

from __future__ import annotations

import math


class TimeShare:
    """Limits work to a share of the time, and some that is free.

    ``free_s`` in all is free. After that each piece of work is followed by a rest, so that it takes no more than
    ``share`` of the time since it began. Time that was not used is not saved for later. ``every_s`` is the shortest
    time from one beginning to the next.
    """

    def __init__(self, share: float = 1.0, *, free_s: float = 0.0, every_s: float = 0.0) -> None:
        self._share = share
        self._free_s = free_s
        self._every_s = every_s
        self._due_s = -math.inf
        self.spent_s = 0.0
        """What the work has taken so far."""
        self.last_s = 0.0
        """What it took the last time."""

    def is_due(self, now_s: float) -> bool:
        """Tell whether the work may be done again; always, before the first time."""
        return now_s >= self._due_s

    def spend(self, begun_s: float, took_s: float) -> None:
        """Take note of work that began at ``begun_s``, on the clock of `is_due`."""
        self.last_s = took_s
        self.spent_s += took_s
        charged_s = min(took_s, max(0.0, self.spent_s - self._free_s))
        self._due_s = begun_s + max(self._every_s, charged_s / self._share)
