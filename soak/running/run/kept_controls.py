"""Controls that passed are kept until the next boot, for runs that measure in the same way.

The key is everything that a control can depend on: machine, boot, interpreter, soak, its libraries, and the variables
that change allocators. Controls that failed are never kept.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import soak
from soak.documents import FAULTS, from_document, parse, to_document
from soak.results import Controls
from soak.running.context import RunContext
from soak.running.environment import allocator_variables

_BOOT, _MACHINE = Path("/proc/sys/kernel/random/boot_id"), Path("/etc/machine-id")
_MOST_KEPT = 16
"""For as many interpreters and kinds of runs; the oldest go first."""
_SOURCES = Path(soak.__file__).parent


def find_kept(context: RunContext) -> Controls | None:
    """Return controls that an earlier run measured and that hold for this one; None when there are none."""
    key = _key(context)
    if key is None:
        return None
    with contextlib.suppress(OSError, *FAULTS):
        controls: Controls = from_document(Controls, parse(_file(key).read_bytes()))
        return replace(controls, is_kept=True) if controls.ok else None
    return None


def keep(context: RunContext, controls: Controls) -> None:
    """Keep controls that passed. A folder that cannot be written to is no error: the next run measures its own."""
    key = _key(context)
    if key is None or not controls.ok:
        return
    file = _file(key)
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=file.parent, prefix=".controls-")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(to_document(controls), stream)
        Path(unfinished).replace(file)
        kept = sorted(file.parent.glob("controls-*.json"), key=lambda one: one.stat().st_mtime)
        for old in kept[:-_MOST_KEPT]:
            old.unlink()


def _file(key: str) -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - does not raise
    return Path(home) / "soak" / f"controls-{key}.json"


def _key(context: RunContext) -> str | None:
    """Return a digest of what controls depend on; None if the boot cannot be told."""
    try:
        boot = _BOOT.read_text(encoding="ascii")
        machine = _MACHINE.read_text(encoding="ascii") if _MACHINE.is_file() else ""
        executable = Path(context.interpreter.executable).stat()
        newest = _newest_source_ns()
    except OSError:
        return None
    facts = (
        boot,
        machine,
        str(context.interpreter),
        context.interpreter.executable,
        executable.st_mtime_ns,
        soak.__version__,
        newest,
        np.__version__,
        os.confstr("CS_GNU_LIBC_VERSION") if "CS_GNU_LIBC_VERSION" in os.confstr_names else "",
        str(context.tracker_library),
        sorted(allocator_variables().items()),
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:24]


@functools.cache
def _newest_source_ns() -> int:
    """Return when soak's code was changed last; what changes while it runs is not what runs."""
    return max(file.stat().st_mtime_ns for file in _SOURCES.rglob("*.py"))
