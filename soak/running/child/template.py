"""A warm process that forks measured processes (see soak.inside.forking.template), as its parent sees it.

Only what starts it is imported: it is started before anything else is.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from soak.inside import ring
from soak.inside.forking.messages import receive, send
from soak.native.preload import for_tracker, preloading

MARK_VARIABLE = "SOAK_MEASURED"
"""Every process that a measured one starts has it in its environment, whichever session it moves to."""
MAIN = Path(ring.__file__).with_name("__main__.py")
_CHANGES_WITH_EACH_TEST = "PYTEST_CURRENT_TEST"
_STATUS_LINES = (
    *("Umask:", "Uid:", "Gid:", "Groups:", "SigBlk:", "SigIgn:"),
    *("CapEff:", "NoNewPrivs:", "Seccomp:", "Cpus_allowed:"),
)


def new_mark() -> str:
    """Return a mark for a measured process and all that it starts; all marks of this process are equally long."""
    return f"{os.getpid()}-{secrets.token_hex(8)}"


class Template:
    """Starts at once, and forks one process at a time. ``refused`` says why it does not, or is empty."""

    def __init__(self, library: Path | None, module: str, file: str, modules: Sequence[str] = ()) -> None:
        """Start it, without waiting for it.

        ``library``: the tracker, preloaded. ``module``: imported in it, from ``file``; with ``modules``. Raises OSError
        when it cannot be started.
        """
        self.refused = "" if sys.platform == "linux" else "only Linux can give a forked process pages of its own"
        self._library, self._is_ready = library, False
        self._child: ForkedProcess | None = None
        self._resources = contextlib.ExitStack()
        if self.refused:
            return
        self._surroundings = _surroundings()
        environment = for_tracker(os.environ)
        if library is not None:
            environment = self._resources.enter_context(preloading(library, environment))
        environment[MARK_VARIABLE] = new_mark()
        its_requests, self._requests = os.pipe()
        self._replies, its_replies = os.pipe()
        for descriptor in (self._requests, self._replies):
            self._resources.callback(os.close, descriptor)
        try:
            self._process = subprocess.Popen(
                [sys.executable, str(MAIN), "--template", str(its_requests), str(its_replies)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                pass_fds=(its_requests, its_replies),
                start_new_session=True,
            )
        except BaseException:
            self._resources.close()
            raise
        finally:
            os.close(its_requests)
            os.close(its_replies)
        self.pid = self._process.pid
        self._ask({"parent_pid": os.getpid(), "module": module, "file": file, "modules": list(modules)})

    def can_fork(self, library: Path | None) -> bool:
        """Tell whether a process forked now would be what one is that is started now, preloaded with ``library``."""
        if not self.refused and not self._is_ready:
            self.refused = self._answer()["refused"]
            self._is_ready = True
        if not self.refused and self._surroundings != _surroundings():
            return False  # a process that a fixture changes for a while
        return not self.refused and library == self._library and (self._child is None or self._child.poll() is not None)

    def fork(self, ring_path: str, folder: Path, mark: str) -> ForkedProcess | None:
        """Return a new process that is measured, or None, with the reason in ``refused``, where it cannot be forked."""
        ours, its = os.pipe()
        changes = {_CHANGES_WITH_EACH_TEST: os.environ.get(_CHANGES_WITH_EACH_TEST)}
        self._ask(
            {
                "ring": ring_path,
                "output": f"/proc/{os.getpid()}/fd/{its}",
                "folder": str(folder),
                "mark": (MARK_VARIABLE, mark),
                "changes": changes,
            }
        )
        reply = self._answer()
        os.close(its)
        if "pid" not in reply:
            os.close(ours)
            self.refused = reply["refused"]
            return None
        self._child = ForkedProcess(reply["pid"], os.fdopen(ours, "rb"), self._replies)
        return self._child

    def close(self) -> None:
        """End it, and what it forked."""
        self._resources.close()
        if hasattr(self, "_process"):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.5)
            self._process.kill()
            self._process.wait()

    def _ask(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # the answer then is that it has ended
            send(self._requests, message)

    def _answer(self) -> dict[str, Any]:
        return receive(self._replies) or {"refused": "the process that would be forked has ended"}


class ForkedProcess:
    """A process that a template has forked; used like a subprocess.Popen."""

    def __init__(self, pid: int, stdout: IO[bytes], replies: int) -> None:
        """Take it over; ``replies``: where its exit status will be told."""
        self.pid, self.stdout = pid, stdout
        self._replies = replies
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, negative the number of a signal; None while it runs."""
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        deadline_s = None if timeout is None else time.monotonic() + timeout
        while (status := self._look(None if deadline_s is None else deadline_s - time.monotonic())) is None:
            if deadline_s is not None and time.monotonic() >= deadline_s:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _look(self, timeout_s: float | None) -> int | None:
        if self._status is None and select.select([self._replies], [], [], timeout_s and max(timeout_s, 0.0))[0]:
            reply = receive(self._replies)
            # Where the template has ended, the kernel has killed what it forked.
            self._status = -signal.SIGKILL if reply is None else int(reply["status"])
        return self._status


def _surroundings() -> tuple[object, ...]:
    """Return what a process that is started takes over from this one."""
    import resource

    environment = {name: value for name, value in os.environ.items() if name != _CHANGES_WITH_EACH_TEST}
    limits = [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")]
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return environment, limits, [line for line in status if line.startswith(_STATUS_LINES)]
