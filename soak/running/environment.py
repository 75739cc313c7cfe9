"""What this machine is, as far as it bears on memory."""

from __future__ import annotations

import os
import platform
from typing import Any

import psutil

from soak.running.interpreter import Interpreter

_VARIABLES = ("MALLOC_", "PYTHONMALLOC", "PYTHONTRACEMALLOC", "LD_PRELOAD", "GLIBC_TUNABLES", "PYTHONDEVMODE")


def describe_environment(interpreter: Interpreter) -> dict[str, Any]:
    """Return plain facts: system, libc, processors, memory, interpreter, and the variables that change allocators."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()).strip() or "unknown",
        "processors": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "python": str(interpreter),
        "executable": interpreter.executable,
        "variables": {name: value for name, value in os.environ.items() if name.startswith(_VARIABLES)},
    }
