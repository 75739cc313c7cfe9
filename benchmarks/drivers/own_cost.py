"""What a process says of itself at the end: CPU time since the start of its cycles, and resident memory.

Runs in the measured process and in the plain one it is compared with, under any CPython from 3.8 on; imports only what
both have loaded anyway, for an import is memory too.
"""

# ruff: noqa: PTH123  (pathlib would be resident)

from __future__ import annotations

import time


class OwnCost:
    """Counts from its making; `write` leaves ``cpu_ns rss_bytes`` in a file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._started_ns = time.process_time_ns()

    def write(self) -> None:
        """Write both numbers; RSS is read page by page, for the kernel's quick count is out by dozens of pages."""
        cpu_ns = time.process_time_ns() - self._started_ns
        with open("/proc/self/smaps_rollup", "rb") as pages:
            rss_bytes = next(int(line.split()[1]) * 1024 for line in pages if line.startswith(b"Rss:"))
        with open(self._file, "w") as file:
            file.write(f"{cpu_ns} {rss_bytes}\n")
