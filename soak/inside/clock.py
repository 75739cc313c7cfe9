"""The functions of ``time`` as they were before the component was loaded.

A component may freeze or replace them, and tools that do so (freezegun) also replace them in every module that has a
name of its own for them. They do not look into classes.
"""

from __future__ import annotations

import time


class RealTime:
    """What soak reads and waits by, wherever the code of others may run in the same process."""

    monotonic = staticmethod(time.monotonic)
    monotonic_ns = staticmethod(time.monotonic_ns)
    perf_counter = staticmethod(time.perf_counter)
    sleep = staticmethod(time.sleep)
    thread_time = staticmethod(time.thread_time)
    thread_time_ns = staticmethod(time.thread_time_ns)
    time = staticmethod(time.time)


class TimeLimit:
    """How long work in this thread may take: so many seconds of processor time, and ten times as many by the clock.

    On a busy machine work takes longer by the clock, but no more of the processor. What soak finds out must not depend
    on that.
    """

    CLOCK_PER_CPU = 10

    def __init__(self, cpu_s: float) -> None:
        self._ends_cpu_s = RealTime.thread_time() + cpu_s
        self._ends_s = RealTime.monotonic() + cpu_s * self.CLOCK_PER_CPU

    def is_over(self) -> bool:
        """Tell whether the time is used up."""
        return RealTime.thread_time() > self._ends_cpu_s or RealTime.monotonic() > self._ends_s
