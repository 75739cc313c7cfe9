"""The tracker in a program that knows nothing of soak: preloaded into it, and read from outside while it runs."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

from soak.native.preload import EVERYBODY, WATCH_VARIABLE, for_tracker, preloading
from soak.probes.ledgers.announcements import Announcements
from soak.probes.ledgers.tables import LiveTables
from soak.probes.outside import living_thread

_NOT_LOADED = "the loader did not load it (a static or setuid program, one of another libc, or one with tight limits)"
_WAIT_S, _LOOK_EVERY_S = 0.1, 0.002


class PreloadedTracker:
    """The tracker's library in one program, from before its start. Close it when the program has ended."""

    def __init__(self, library: Path, environment: Mapping[str, str], *, follows: bool = False) -> None:
        """Prepare to start a child of this process with ``library`` in it.

        ``follows``: the library stays in the processes that the child starts.
        """
        self.announcements = Announcements()
        self._link = contextlib.ExitStack()
        self.environment: dict[str, str] = {
            **self._link.enter_context(preloading(library, for_tracker(environment))),
            WATCH_VARIABLE: f"{EVERYBODY if follows else os.getpid()}:{self.announcements.path}",
        }
        self._started_ns = 0
        self._tables: LiveTables | None = None
        self.reason: str | None = _NOT_LOADED
        """Why there are no tables; None when there are."""

    def wait(self, pid: int) -> None:
        """Wait for a moment until the library has told where its tables are, or the program has ended."""
        deadline_s = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline_s and self.announcements.of(pid) is None:
            if living_thread(pid) is None:
                return
            time.sleep(_LOOK_EVERY_S)

    def tables(self, pid: int) -> LiveTables | None:
        """Return the tables of the program that process ``pid`` runs now: new ones after an exec.

        None when there are none: `reason` says why. Of a process that has just ended they are those that it had.
        """
        places = self.announcements.of(pid)
        if places is None or places.started_ns == self._started_ns:
            if self._tables is not None and not self._tables.is_there() and living_thread(pid) is not None:
                self._forget()
                self.reason = _NOT_LOADED
            return self._tables
        self._started_ns = places.started_ns
        self._forget()
        try:
            self._tables, self.reason = LiveTables(places), None
        except OSError as error:
            self.reason = f"its memory may not be read ({error.strerror})"
        return self._tables

    def close(self) -> None:
        """Let go. In a program that goes on without its watcher the library goes on recording for nobody."""
        self._forget()
        self._link.close()
        self.announcements.close()

    def _forget(self) -> None:
        if self._tables is not None:
            self._tables.close()
        self._tables = None
