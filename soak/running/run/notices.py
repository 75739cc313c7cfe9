"""Runs the user's command when something is found, and when nothing is left of it."""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
from enum import StrEnum
from pathlib import Path

from soak.errors import SoakError
from soak.results import ComponentResult
from soak.verdict import Verdict

COMPONENT_VARIABLE = "SOAK_COMPONENT"
"""The variable in which the command finds the component that it is told of."""


class Notice(StrEnum):
    """What the command is told, as its second argument."""

    PROVISIONAL = "provisional"
    """A component grows so far, and none did before; the run goes on to confirm it."""
    CONFIRMED = "confirmed"
    """The first LEAK or FAILED that counts stands."""
    WITHDRAWN = "withdrawn"
    """None of what was provisional stands: each slowed down, or ended without LEAK, and was not interrupted."""


class Notices:
    """Tells of the components of one run; threads may share it."""

    def __init__(self, command: str | None, folder: Path, *, is_told: bool = False) -> None:
        """Begin. ``is_told``: an earlier part of this run has told of a result already."""
        self._command, self._folder = command, folder
        self._lock = threading.Lock()
        self._noticed: set[str] = set()
        self._standing: set[str] = set()
        """The components whose growth is provisional now, of those that were noticed."""
        self._is_confirmed = is_told

    def so_far(self, result: ComponentResult) -> None:
        """Tell of a component at work that grows, or does so no longer."""
        if not result.gate:
            return
        with self._lock:
            if result.provisional is not None and result.name not in self._noticed:
                self._noticed.add(result.name)
                self._standing.add(result.name)
                if len(self._standing) == 1:
                    self._tell(Notice.PROVISIONAL, result.name)
            elif result.provisional is None and result.verdict is not Verdict.LEAK:
                self._withdraw(result.name)

    def done(self, result: ComponentResult) -> None:
        """Tell of a result that the run's user waits for."""
        with self._lock:
            if not is_news(result):
                if result.stopped_by != "signal":
                    self._withdraw(result.name)
                return
            self._standing.discard(result.name)
            if not self._is_confirmed:
                self._is_confirmed = True
                self._tell(Notice.CONFIRMED, result.name)

    def _withdraw(self, component: str) -> None:
        """Take back what was said of a component; tell of it where that leaves nothing that was found."""
        if component not in self._standing:
            return
        self._standing.remove(component)
        if not self._standing and not self._is_confirmed:
            self._tell(Notice.WITHDRAWN, component)

    def _tell(self, notice: Notice, component: str) -> None:
        if self._command is None:
            return
        try:
            subprocess.Popen(
                [*shlex.split(self._command), str(self._folder), notice],
                stdin=subprocess.DEVNULL,
                stdout=2,
                env={**os.environ, COMPONENT_VARIABLE: component},
            )
        except (OSError, ValueError) as error:
            raise SoakError(f"--on-verdict {self._command!r} cannot be run: {error}") from error


def is_news(result: ComponentResult) -> bool:
    """Say whether a result is one that the user's command is run for."""
    return result.gate and result.verdict in (Verdict.LEAK, Verdict.FAILED)
