"""A measured process: started, listened to, stopped."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import marshal
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soak.inside import ring
from soak.native.preload import for_tracker, preloading
from soak.probes.ledgers.announcements import Announcements
from soak.probes.limits import read_limits
from soak.probes.outside import OutsideReader, open_reader
from soak.running.child.child_ring import ChildRing
from soak.running.child.template import MAIN, MARK_VARIABLE, Template, new_mark
from soak.running.context import RunContext
from soak.running.interpreter import Interpreter
from soak.settings import ComponentPlan

if TYPE_CHECKING:
    from soak.native.ledger import LedgerFile

_OUTPUT_KEPT_BYTES = 65536


def child_settings(plan: ComponentPlan, folder: Path) -> dict[str, Any]:
    """Return what every measured process is told: what to run, from where, and at which pace.

    ``folder``: the working folder; it is on the path, behind the driver's own.
    """
    target = plan.target
    own_folder = [str(Path(target.path).parent)] if target.path else []
    return {
        "target": {
            "kind": target.kind,
            "path": target.path or "",
            "module": target.module or "",
            "function": target.function or "",
            "resumed_at": plan.resumed_at,
        },
        "path": [*own_folder, str(folder)],
        "settings": plan.settings,
        "interval_s": plan.interval_s,
        "iterations": plan.iterations,
        "period": target.period,
        "max_pause_s": plan.max_pause_s or 0.0,
        "tracemalloc_frames": 0,
    }


def start_component(
    plan: ComponentPlan,
    context: RunContext,
    tracemalloc_frames: int = 0,
    tracemalloc_file: Path | None = None,
    template: Template | None = None,
) -> MeasuredProcess:
    """Start the process of a component. Raises OSError when that is not possible.

    ``tracemalloc_frames``: above 0 for the second pass of a component that grows. ``template``: forks it where it can.
    """
    settings = {
        **child_settings(plan, context.folder),
        "checkpoint_every": plan.checkpoint_every,
        "checkpoint_share": plan.checkpoint_share,
        "nice": plan.nice,
        "inject": (plan.injection.kind, plan.injection.size, plan.injection.every) if plan.injection else None,
        "tracemalloc_frames": tracemalloc_frames,
        "tracemalloc_file": str(tracemalloc_file or ""),
    }
    # tracemalloc is itself a wrapper around Python's allocators; in the second pass it is alone.
    library = None if tracemalloc_frames else context.tracker_library
    return MeasuredProcess(
        context.interpreter, settings, context.folder, library, follows=plan.follow, template=template
    )


class MeasuredProcess:
    """One child (see soak.running.child.child), its ring, and the end of what it writes to stdout and stderr."""

    def __init__(
        self,
        interpreter: Interpreter,
        settings: dict[str, Any],
        folder: Path,
        tracker_library: Path | None = None,
        *,
        follows: bool = False,
        template: Template | None = None,
    ) -> None:
        """Start the child in ``folder``.

        ``settings`` go to soak.inside.child (plain values). ``tracker_library``: preloaded, to write the ledger.
        ``follows``: the tracker stays in the processes that the child starts. ``template``: forks the child where it
        can; it stays until the child is closed. Raises OSError when it cannot be started.
        """
        self._memory = contextlib.ExitStack()
        self.is_tracked = tracker_library is not None
        self.announcements: Announcements | None = None
        if self.is_tracked and follows:
            self.announcements = Announcements()
            self._memory.callback(self.announcements.close)
        try:
            self._start(interpreter, settings, folder, tracker_library, template)
        except BaseException:
            self._memory.close()
            raise
        self._output: deque[bytes] = deque()
        self._output_bytes = 0
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _start(
        self,
        interpreter: Interpreter,
        settings: dict[str, Any],
        folder: Path,
        tracker_library: Path | None,
        template: Template | None,
    ) -> None:
        path = self._memory.enter_context(_shared_memory("ring"))
        self._ledger_path = self._memory.enter_context(_shared_memory("ledger")) if self.is_tracked else None
        self._mark = new_mark()
        settings = {
            **settings,
            "parent_pid": os.getpid(),
            "ledger": str(self._ledger_path or ""),
            "follow": "" if self.announcements is None else self.announcements.path,
        }
        forked = None
        if template is not None and template.can_fork(tracker_library):
            ring.create(str(path), marshal.dumps({**settings, "parent_pid": template.pid}, 2))
            forked = template.fork(str(path), folder, self._mark)
        if forked is None:
            os.truncate(path, 0)
            ring.create(str(path), marshal.dumps(settings, 2))
        self.ring = ChildRing(ring.Ring(str(path)))
        self._process = forked or self._run(interpreter, path, folder, tracker_library)
        self.pid = self._process.pid
        self.outside: OutsideReader = open_reader(self.pid)

    def _run(
        self, interpreter: Interpreter, path: Path, folder: Path, tracker_library: Path | None
    ) -> subprocess.Popen[bytes]:
        environment = for_tracker(os.environ)
        if environment.get("PYTHONDONTWRITEBYTECODE"):
            _compile_inside(interpreter.executable)
        if tracker_library is not None:
            environment = self._memory.enter_context(preloading(tracker_library, environment))
        return subprocess.Popen(
            [interpreter.executable, str(MAIN), str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**environment, MARK_VARIABLE: self._mark},
            # Ctrl-C is for soak, which then ends its children in order.
            start_new_session=True,
        )

    def _listen(self) -> None:
        """Keep the last of the output; a child that floods its stdout must never wait for us."""
        stream = self._process.stdout
        assert stream is not None
        with stream:
            while piece := os.read(stream.fileno(), _OUTPUT_KEPT_BYTES):
                self._output.append(piece)
                self._output_bytes += len(piece)
                while self._output_bytes - len(self._output[0]) >= _OUTPUT_KEPT_BYTES:
                    self._output_bytes -= len(self._output.popleft())

    def read_limits(self) -> dict[str, float]:
        """See Child."""
        return read_limits(self.pid)

    def open_ledger(self) -> LedgerFile | None:
        """See Child."""
        from soak.native.ledger import LedgerFile  # with numpy, which a process need not wait for to be started

        path = self._ledger_path
        return LedgerFile(path) if path is not None and path.stat().st_size else None

    def wait_for_row(self, rows_read: int, timeout_s: float) -> None:
        """See Child."""
        self.ring.wait_for_row(rows_read, timeout_s)

    def is_stopped(self) -> bool:
        """See Child."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
        except (OSError, IndexError):
            return False
        return state in (b"T", b"t")

    def abort(self) -> None:
        """See Child; soak.inside.child has faulthandler print the stack."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGABRT)
            self._process.send_signal(signal.SIGCONT)  # one that was stopped could not print anything
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(3)
        self.kill()

    def kill(self) -> None:
        """End the child and every process that it started, at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            self._process.send_signal(signal.SIGKILL)  # a process just forked has no group of its own yet
        self._process.wait()
        _kill_marked(f"{MARK_VARIABLE}={self._mark}".encode())

    def exit_status(self) -> int | None:
        """See Child."""
        return self._process.poll()

    def output(self) -> str:
        """See Child; the last 64 KiB."""
        if self._process.poll() is not None:
            # A grandchild that goes on holds the pipe open: its output is not waited for.
            self._listener.join(0.5)
        kept = b"".join(list(self._output))[-_OUTPUT_KEPT_BYTES:]
        return kept.decode("utf-8", "replace")

    def close(self) -> None:
        """Make sure that nothing of the child is left."""
        self.kill()
        self._memory.close()
        self._listener.join(0.5)


@contextlib.contextmanager
def _shared_memory(name: str) -> Iterator[Path]:
    """Give the path of an empty file in memory that both processes can open.

    Nameless and reached through /proc where there is such a thing, so that it is gone with the two processes at
    whatever moment either dies; elsewhere in a folder of its own.
    """
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create(f"soak-{name}")
        try:
            yield Path(f"/proc/{os.getpid()}/fd/{handle}")
        finally:
            os.close(handle)
    else:
        with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as place:
            yield Path(place, name)


@functools.cache
def _compile_inside(executable: str) -> None:
    """Make the bytecode of what runs inside, where it is not made on its own, once for each interpreter.

    Otherwise every measured process compiles it, and what that takes, 0.7 MiB, stays resident there. Where the folder
    cannot be written to, it does.
    """
    if executable == sys.executable and all(is_compiled(file) for file in MAIN.parent.rglob("*.py")):
        return
    command = [executable, "-m", "compileall", "-q", str(MAIN.parent)]
    with contextlib.suppress(OSError):
        subprocess.run(
            command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


def is_compiled(file: Path) -> bool:
    """Tell whether this interpreter would read the bytecode of a file instead of compiling it."""
    with contextlib.suppress(OSError):
        found = file.stat()
        with Path(importlib.util.cache_from_source(str(file))).open("rb") as header:
            magic, flags, mtime_s, size_bytes = struct.unpack("<4sIII", header.read(16))
        is_of_file = (mtime_s, size_bytes) == (int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF)
        return magic == importlib.util.MAGIC_NUMBER and not flags and is_of_file
    return False


def _kill_marked(mark: bytes) -> None:
    """Kill every process with the mark in its environment (Linux): those that left the measured one's session."""
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in environment.read_bytes().split(b"\0"):
                os.kill(int(environment.parent.name), signal.SIGKILL)
