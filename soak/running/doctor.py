"""Examine this machine: what can be measured here, what cannot, and what that means for a verdict."""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from soak.analysis.evidence import REQUIRED_IN_A_RUN
from soak.measurements import SIGNALS
from soak.probes.mappings import parse_maps
from soak.probes.outside import open_reader
from soak.running.context import RunContext
from soak.running.interpreter import Interpreter
from soak.running.run.controls import run_controls

_FOREIGN_ALLOCATORS = ("jemalloc", "tcmalloc", "mimalloc")
_WAITING_CHILD = "import sys; sys.stdin.read()"


@dataclass(frozen=True)
class Check:
    """One question to the machine and its answer."""

    name: str
    ok: bool
    detail: str
    consequence: str = ""
    """What a run has to do without when it is not ok."""
    needed: bool = False
    """Without it nothing can be measured here."""


def examine(interpreter: Interpreter, folder: Path) -> Iterator[Check]:
    """Ask every question in turn; the controls, which take a second, come last."""
    yield Check("system", True, f"{platform.system()} {platform.release()} {platform.machine()}, {interpreter}")
    yield _allocator()
    yield from _outside(interpreter)
    yield _compiler()
    yield from _controls(interpreter, folder)


def _allocator() -> Check:
    foreign = []
    maps = Path("/proc/self/maps")
    if maps.is_file():
        text = maps.read_text(encoding="utf-8", errors="replace")
        foreign = [name for name in _FOREIGN_ALLOCATORS if name in text]
    libc = " ".join(platform.libc_ver()).strip()
    if foreign:
        return Check(
            "allocator",
            False,
            f"{', '.join(foreign)} in place of {libc or 'the system'}'s malloc",
            "the heap counter reads glibc's malloc only; native growth shows in mapped memory and RSS",
        )
    if hasattr(ctypes.CDLL(None), "mallinfo2") or hasattr(ctypes.CDLL(None), "mallinfo"):
        return Check("allocator", True, f"{libc} malloc, heap in use can be read exactly")
    return Check(
        "allocator", False, "no mallinfo: this is not glibc", "native growth shows in RSS only, so no verdict is CLEAN"
    )


def _outside(interpreter: Interpreter) -> Iterator[Check]:
    """Look at a child from outside, as a run does."""
    child = subprocess.Popen(
        [interpreter.executable, "-c", _WAITING_CHILD], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        reader = open_reader(child.pid)
        counts, details = reader.read_counts(), reader.read_details()
        missing = sorted({"fds", "threads", "children", "rss", "mapped"} - counts.keys())
        yield Check(
            "a child's counters",
            not missing,
            f"read from outside: {', '.join(counts)}" if not missing else f"not readable: {', '.join(missing)}",
            "a verdict cannot be CLEAN without " + ", ".join(sorted(set(missing) & REQUIRED_IN_A_RUN)),
            needed="rss" not in counts,
        )
        yield Check(
            "a child's pages",
            "pss" in details,
            "PSS, USS and swap can be read" if "pss" in details else "no smaps_rollup",
            "reports show RSS only",
        )
        yield _memory_access(child.pid)
    finally:
        child.kill()
        child.communicate()


def _memory_access(pid: int) -> Check:
    name, consequence = "a child's memory", "lost and held blocks cannot be told apart by a scan"
    try:
        mappings = parse_maps(Path(f"/proc/{pid}/maps").read_text(encoding="utf-8", errors="replace"))
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            memory.seek(next(mapping.start for mapping in mappings if mapping.permissions == "rw-p"))
            memory.read(16)
    except (OSError, StopIteration) as error:
        return Check(name, False, f"not readable ({error})", consequence)
    return Check(name, True, "a child's memory can be read", consequence)


def _compiler() -> Check:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return Check("compiler", False, "no C compiler (cc)", "the allocation tracker cannot be built here")
    return Check("compiler", True, compiler)


def _controls(interpreter: Interpreter, folder: Path) -> Iterator[Check]:
    controls = run_controls(RunContext(interpreter, folder, threading.Event()))
    limit = controls.blank.limit_of_detection_bytes
    floor = "" if limit is None else f"; growth above {limit:.3g} B per cycle would be seen"
    yield Check(
        "blank", controls.blank.ok, f"{controls.blank.detail}{floor}", "small growth cannot be told from noise here"
    )
    yield Check("spike", controls.spike.ok, controls.spike.detail, "rates cannot be trusted here")
    for spike in controls.spike.of_kinds:
        doubtful = f"{SIGNALS[spike.signal].title} cannot be trusted here"
        yield Check(f"spike: {spike.kind}", spike.ok, spike.detail, doubtful)


def can_measure(findings: list[Check]) -> bool:
    """Tell whether runs on this machine mean anything at all."""
    return not any(finding.needed and not finding.ok for finding in findings) and sys.implementation.name == "cpython"
