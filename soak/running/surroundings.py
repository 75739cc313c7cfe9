"""What soak itself needs of the machine."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from soak.errors import UsageError

_FEWEST_DESCRIPTORS = 64
"""With some twenty, measured processes cannot be started, or fail for want of one."""

_LEAST_MEMORY = {"-v": (resource.RLIMIT_AS, 256 * 2**20), "-d": (resource.RLIMIT_DATA, 128 * 2**20)}
"""By option of ulimit. With less, OpenBLAS ends the process as numpy is imported, with the exit code of a leak."""
_MEMORY_FOR_THREADS = 4 * 2**30


def check_memory() -> None:
    """Raise UsageError where a limit of memory leaves soak too little to begin; call this before numpy is imported."""
    limits = {option: resource.getrlimit(limit)[0] for option, (limit, _) in _LEAST_MEMORY.items()}
    for option, allowed in limits.items():
        least = _LEAST_MEMORY[option][1]
        if 0 <= allowed < least:
            raise UsageError(
                f"only {allowed >> 20} MiB of memory are allowed, and soak needs {least >> 20}: "
                f"ulimit {option} {least >> 10} or more"
            )
    if any(0 <= allowed < _MEMORY_FOR_THREADS for allowed in limits.values()):
        _import_numpy_without_threads()


def _import_numpy_without_threads() -> None:
    """Import numpy so that OpenBLAS takes memory for one thread, however many processors there are."""
    name = "OPENBLAS_NUM_THREADS"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        import numpy  # noqa: F401, ICN001  # for what it does when it is imported
    finally:
        # What is measured must not inherit it.
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def check_surroundings() -> None:
    """Raise UsageError where nothing can be measured: without /proc, or with too few file descriptors."""
    if not Path("/proc/self/stat").exists():
        raise UsageError("there is no /proc here, from which soak reads what a process holds: mount -t proc proc /proc")
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= allowed < _FEWEST_DESCRIPTORS:
        raise UsageError(
            f"only {allowed} file descriptors are allowed, and soak needs {_FEWEST_DESCRIPTORS}: ulimit -n 1024"
        )
