"""Time in which a watched program does nothing: it neither grows nor is proven CLEAN, so it does not count.

Where the program marks its cycles that is plain. Of one that does not, a sample in which it used hardly any processor
time, compared with what it uses while it works, and after which the same blocks live as before, is no cycle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable

import numpy as np

from soak.running.watch.judging.count_pace import CountPace

_SHARE_OF_WORK = 1 / 8
_WORKING_PERCENTILE = 75
"""What it uses while it works is what a quarter of the latest samples exceeds, so it may rest for most of the time."""
_LATEST = 600
_FEWEST = 16
"""Samples, before which nothing is known of its work."""


class QuietTime:
    """Tells which samples of one program are quiet."""

    def __init__(self, every_s: float) -> None:
        """Begin with a program of which nothing is known."""
        self._every_s = every_s
        self._used_s: deque[float] = deque(maxlen=_LATEST)
        self._total_s: float | None = None
        self._counting = CountPace(every_s)
        self._live: Hashable = None
        self._is_unchanged = False

    def is_quiet(self, at_s: float, cpu_s: float | None, count: Callable[[], tuple[Hashable, float]]) -> bool:
        """Tell whether the program did nothing since the sample before.

        ``at_s``: the time of the sample, ``cpu_s``: all processor time that the program has used by then. ``count``
        counts what is alive, and returns it with the processor time that this took. It is called where that is due.
        """
        if cpu_s is None or not self._is_low(cpu_s):
            self._is_unchanged = False
            return False
        if self._counting.is_due(at_s):
            live, took_s = count()
            self._counting.spend(at_s, took_s)
            self._is_unchanged = live == self._live
            self._live = live
        return self._is_unchanged

    def _is_low(self, cpu_s: float) -> bool:
        before, self._total_s = self._total_s, cpu_s
        if before is None:
            return False
        used_s = max(cpu_s - before, 0.0)  # of processes that come and go it may fall
        self._used_s.append(used_s)
        if len(self._used_s) < _FEWEST:
            return False
        return used_s < _SHARE_OF_WORK * float(np.percentile(np.array(self._used_s), _WORKING_PERCENTILE))
