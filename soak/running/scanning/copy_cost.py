"""Measure once how long the kernel of this machine takes to copy a process: a small process copies itself.

The kernel copies page tables, not memory. So the time for each byte is the same for 32 MiB and for 2 GiB. It differs
between machines by more than four times.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from functools import cache

_BYTES, _COPIES, _LONGEST_S = 64 << 20, 8, 20.0
_SCRIPT = f"""
import mmap, os, time
memory = mmap.mmap(-1, {_BYTES}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
if hasattr(mmap, "MADV_NOHUGEPAGE"):
    memory.madvise(mmap.MADV_NOHUGEPAGE)
for at in range(0, {_BYTES}, mmap.PAGESIZE):
    memory[at] = 1
for _ in range({_COPIES}):
    begun_ns = time.thread_time_ns()
    copy = os.fork()
    if not copy:
        os._exit(0)
    print(time.thread_time_ns() - begun_ns)
    os.waitpid(copy, 0)
"""


@cache
def measured_s_per_byte() -> float | None:
    """Return the processor time to copy one resident byte; None if it cannot be measured.

    The least of some copies: on a busy machine most take longer, because others use the caches.
    """
    command = [sys.executable, "-I", "-S", "-c", _SCRIPT]
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_LONGEST_S)
        return min(map(int, run.stdout.split())) / 1e9 / _BYTES
    return None
