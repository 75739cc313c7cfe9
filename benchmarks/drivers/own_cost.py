"""A process's own figures at the end: CPU time since the start of its cycles, and resident memory.

This runs in the measured process and in the plain one for comparison, under any CPython from 3.8 on. It imports only
modules that both have loaded already, because an import takes memory.
"""

# ruff: noqa: PTH123  (pathlib would be resident)

from __future__ import annotations

import time


class OwnCost:
    """Counts from its construction on; `write` writes ``cpu_ns rss_bytes`` to a file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._started_ns = time.process_time_ns()

    def write(self) -> None:
        """Write both numbers; RSS is read page by page, because the kernel's fast counter is off by dozens of pages."""
        cpu_ns = time.process_time_ns() - self._started_ns
        with open("/proc/self/smaps_rollup", "rb") as pages:
            rss_bytes = next(int(line.split()[1]) * 1024 for line in pages if line.startswith(b"Rss:"))
        with open(self._file, "w") as file:
            file.write(f"{cpu_ns} {rss_bytes}\n")
