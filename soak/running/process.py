"""A measured process: started, listened to, stopped."""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soak.inside import ring
from soak.inside.futex import Futex
from soak.native.preload import preloading
from soak.running.interpreter import Interpreter

_MAIN = Path(ring.__file__).with_name("__main__.py")
_OUTPUT_KEPT_BYTES = 65536


class MeasuredProcess:
    """One child, its ring, and the end of what it writes to stdout and stderr."""

    def __init__(
        self, interpreter: Interpreter, settings: dict[str, Any], folder: Path, tracker_library: Path | None = None
    ) -> None:
        """Start the child in ``folder``.

        ``settings`` go to soak.inside.child (plain values). ``tracker_library``: preloaded, to write ``ledger``.
        Raises OSError when it cannot be started.
        """
        shared = Path("/dev/shm")  # a ring on a disk would make the measured process wait for the disk
        place = tempfile.mkdtemp(prefix="soak-", dir=shared if shared.is_dir() else None)
        path = Path(place, "ring")
        # In memory of its own, reached through /proc, so that it is gone with the two of us whoever dies first.
        self._ledger = None if tracker_library is None else os.memfd_create("soak-ledger")
        self.ledger_path = Path(f"/proc/{os.getpid()}/fd/{self._ledger}")
        settings = {
            **settings,
            "parent_pid": os.getpid(),
            "ledger": str(self.ledger_path) if self._ledger is not None else "",
        }
        ring.create(str(path), marshal.dumps(settings, 2))
        self.ring = ring.Ring(str(path))
        self.words = self.ring.words
        self._rows_written = Futex(self.ring.word_address(ring.WORD_ROWS_WRITTEN))
        self._rows_read = Futex(self.ring.word_address(ring.WORD_ROWS_READ))
        self._preloading = contextlib.ExitStack()
        environment: Mapping[str, str] = os.environ
        if tracker_library is not None:
            environment = self._preloading.enter_context(preloading(tracker_library, os.environ))
        try:
            self._process = subprocess.Popen(
                [interpreter.executable, str(_MAIN), str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=dict(environment),
                # Ctrl-C is for soak, which then ends its children in order.
                start_new_session=True,
            )
        except OSError:
            path.unlink()
            path.parent.rmdir()
            self._forget_tracker()
            raise
        self._place = Path(place)
        self.pid = self._process.pid
        self._output: deque[bytes] = deque()
        self._output_bytes = 0
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

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

    def wait_for_row(self, rows_read: int, timeout_s: float) -> bool:
        """Wait until there are more than ``rows_read`` rows; False after ``timeout_s`` or a spurious wake-up."""
        if self.words[ring.WORD_ROWS_WRITTEN] > rows_read:
            return True
        self._rows_written.wait(rows_read, timeout_s)
        return bool(self.words[ring.WORD_ROWS_WRITTEN] > rows_read)

    def acknowledge(self, rows_read: int) -> None:
        """Tell the child that its rows, and the outside at this moment, were read."""
        self.words[ring.WORD_ROWS_READ] = rows_read
        self._rows_read.wake()

    def ask_to_stop(self) -> None:
        """Ask the child to end after the cycle under way, with a last checkpoint and its teardown."""
        self.words[ring.WORD_STOP] = 1

    def abort(self) -> None:
        """End a child that does not react, in a way that makes it print its Python stack (see soak.inside.child)."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGABRT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(3)
        self.kill()

    def kill(self) -> None:
        """End the child and every process of its session at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def exit_status(self) -> int | None:
        """Return the exit status (negative: the signal), or None while it runs."""
        return self._process.poll()

    def output(self) -> str:
        """Return the last 64 KiB of stdout and stderr; complete once the child has ended."""
        if self._process.poll() is not None:
            # A grandchild that goes on holds the pipe open: its output is not waited for.
            self._listener.join(0.5)
        kept = b"".join(list(self._output))[-_OUTPUT_KEPT_BYTES:]
        return kept.decode("utf-8", "replace")

    def close(self) -> None:
        """Make sure that nothing of the child is left."""
        self.kill()
        self._forget_tracker()
        self._listener.join(0.5)
        with contextlib.suppress(OSError):
            (self._place / "ring").unlink(missing_ok=True)
            self._place.rmdir()

    def _forget_tracker(self) -> None:
        self._preloading.close()
        if self._ledger is not None:
            os.close(self._ledger)
            self._ledger = None
