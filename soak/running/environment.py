"""What this machine is, as far as it bears on memory."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path
from typing import Any

from soak.native.preload import TRACKER_VARIABLES, for_tracker
from soak.probes.machine import memory_bytes
from soak.running.interpreter import Interpreter

_VARIABLES = (
    "MALLOC_",
    "PYTHONMALLOC",
    "PYTHONTRACEMALLOC",
    "LD_PRELOAD",
    "GLIBC_TUNABLES",
    "PYTHONDEVMODE",
    *TRACKER_VARIABLES,
)


def describe_environment(interpreter: Interpreter | None) -> dict[str, Any]:
    """Return plain facts: machine, system, libc, memory, interpreter, load, and the variables that change allocators.

    ``interpreter``: None if there is none.
    """
    return {
        "host": host_name(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()).strip() or "unknown",
        "processor": _processor(),
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "memory_bytes": memory_bytes()[0],
        "python": str(interpreter or ""),
        "executable": interpreter.executable if interpreter else "",
        "variables": allocator_variables(),
    }


def host_name() -> str:
    """Name this machine: as Slurm calls it in a job of Slurm's, which may have several nodes on one machine."""
    return os.environ.get("SLURMD_NODENAME") or platform.node()


def _processor() -> str:
    """Return the model of the processor; empty if the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model"):
                return value.strip()
    return platform.processor()


def allocator_variables() -> dict[str, str]:
    """Return the variables that change how memory is allocated, as the measured processes get them.

    They are those of this process, and what soak sets so that libraries use malloc.
    """
    return {name: value for name, value in for_tracker(os.environ).items() if name.startswith(_VARIABLES)}
