"""What ``soak watch --scan`` allows: for how long a thread of the program may wait, and for how long threads waited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from soak.results import Pauses
from soak.running.scanning.copy_cost import measured_s_per_byte

_S_PER_BYTE = 0.04 / (1 << 30)
"""What the kernel takes to copy page tables, before it is known of a program: 10 to 40 ms a GiB were measured."""
_TIMES_MEASURED = 2
"""A program takes more than what is measured of a process whose pages are in a row: 22 and 10 ms a GiB were seen."""
_MOST_OVER = 2


@dataclass
class AllowedScans:
    """The scans of one watch, in all processes that it watches; several threads use it."""

    longest_pause_s: float
    measure: Callable[[], float | None] = measured_s_per_byte
    """What a copy takes on this machine, for each byte. It is asked for only where a scan would be left out."""
    _pauses_s: list[float] = field(default_factory=list)
    _s_per_byte: list[float] = field(default_factory=list)
    _over: int = 0

    def pauses(self) -> Pauses | None:
        """Return for how long threads waited; None if nothing was copied."""
        if not self._pauses_s:
            return None
        taken = np.array(self._pauses_s)
        p50_s, p99_s = np.percentile(taken, (50, 99), method="higher").tolist()
        return Pauses(len(taken), p50_s, p99_s, float(taken.max()), self.longest_pause_s)

    def expected_s(self, rss_bytes: float) -> float:
        """Return for how long a thread will wait while a process of this size is copied."""
        if self._s_per_byte:
            return rss_bytes * float(np.median(self._s_per_byte))
        usual_s = rss_bytes * _S_PER_BYTE
        measured = self.measure() if usual_s > self.longest_pause_s else None
        return usual_s if measured is None else min(usual_s, rss_bytes * measured * _TIMES_MEASURED)

    def spend(self, rss_bytes: float, took_s: float, busy_s: float) -> None:
        """Take note of a copy: for how long a thread waited, and for how long of that the kernel worked.

        How long it waits for a processor is the machine's load, of which the next pause says nothing.
        """
        self._pauses_s.append(took_s)
        self._over += busy_s > self.longest_pause_s
        if rss_bytes:
            self._s_per_byte.append(busy_s / rss_bytes)

    @property
    def is_exceeded(self) -> bool:
        """Whether pauses were longer than allowed so often that there are to be no more."""
        return self._over >= _MOST_OVER
