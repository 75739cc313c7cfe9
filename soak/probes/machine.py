"""The memory of this machine, read from a file of the kernel's if possible, else by a library."""

from __future__ import annotations

import contextlib
from pathlib import Path

_KERNEL_SAYS = Path("/proc/meminfo")


def memory_bytes() -> tuple[int, int]:
    """Return the memory of the machine, and how much of it can be had without swapping."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = (line.split() for line in _KERNEL_SAYS.read_text("ascii").splitlines())
        sizes_kib = {words[0]: int(words[1]) for words in lines if len(words) == 3}
        return sizes_kib["MemTotal:"] * 1024, sizes_kib["MemAvailable:"] * 1024
    import psutil  # takes as long to import as all that reads the limits

    memory = psutil.virtual_memory()
    return memory.total, memory.available
