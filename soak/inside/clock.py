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
    time = staticmethod(time.time)
