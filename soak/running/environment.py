"""What this machine is, as far as it bears on memory."""

from __future__ import annotations

import os
import platform
from typing import Any

import psutil

from soak.native.preload import GLIB_VARIABLES, for_glib
from soak.running.interpreter import Interpreter

_VARIABLES = (
    "MALLOC_",
    "PYTHONMALLOC",
    "PYTHONTRACEMALLOC",
    "LD_PRELOAD",
    "GLIBC_TUNABLES",
    "PYTHONDEVMODE",
    *GLIB_VARIABLES,
)


def describe_environment(interpreter: Interpreter) -> dict[str, Any]:
    """Return plain facts: system, libc, processors, memory, interpreter, and the variables that change allocators."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()).strip() or "unknown",
        "processors": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "python": str(interpreter),
        "executable": interpreter.executable,
        "variables": allocator_variables(),
    }


def allocator_variables() -> dict[str, str]:
    """Return the variables that change how memory is allocated, as the measured processes get them.

    They are those of this process, and what soak sets for GLib.
    """
    return {name: value for name, value in for_glib(os.environ).items() if name.startswith(_VARIABLES)}
