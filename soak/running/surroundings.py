"""What soak itself needs of the machine."""

from __future__ import annotations

import resource
from pathlib import Path

from soak.errors import UsageError

_FEWEST_DESCRIPTORS = 64
"""With some twenty, measured processes cannot be started, or fail for want of one."""


def check_surroundings() -> None:
    """Raise UsageError where nothing can be measured: without /proc, or with too few file descriptors."""
    if not Path("/proc/self/stat").exists():
        raise UsageError("there is no /proc here, from which soak reads what a process holds: mount -t proc proc /proc")
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= allowed < _FEWEST_DESCRIPTORS:
        raise UsageError(
            f"only {allowed} file descriptors are allowed, and soak needs {_FEWEST_DESCRIPTORS}: ulimit -n 1024"
        )
