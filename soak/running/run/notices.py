"""Runs the user's command when something is found: once for each kind of notice."""

from __future__ import annotations

import shlex
import subprocess
import threading
from enum import StrEnum
from pathlib import Path

from soak.errors import SoakError
from soak.results import ComponentResult
from soak.verdict import Verdict


class Notice(StrEnum):
    """What the command is told, as its second argument."""

    PROVISIONAL = "provisional"
    """A component grows so far; the run goes on to confirm it."""
    CONFIRMED = "confirmed"
    """The first LEAK or FAILED that counts stands."""
    WITHDRAWN = "withdrawn"
    """What was provisional is not: the component slowed down, or ended without LEAK, and was not interrupted."""


class Notices:
    """Tells of the components of one run; threads may share it."""

    def __init__(self, command: str | None, folder: Path, *, is_told: bool = False) -> None:
        """Begin. ``is_told``: an earlier part of this run has told of a result already."""
        self._command, self._folder = command, folder
        self._lock = threading.Lock()
        self._provisional: set[str] = set()
        self._told = {Notice.CONFIRMED} if is_told else set()

    def so_far(self, result: ComponentResult) -> None:
        """Tell of a component at work that grows, or does so no longer."""
        if not result.gate:
            return
        if result.provisional is not None and result.name not in self._provisional:
            self._provisional.add(result.name)
            self._tell(Notice.PROVISIONAL)
        elif result.provisional is None and result.name in self._provisional and result.verdict is not Verdict.LEAK:
            self._tell(Notice.WITHDRAWN)

    def done(self, result: ComponentResult) -> None:
        """Tell of a result that the run's user waits for."""
        if is_news(result):
            self._tell(Notice.CONFIRMED)
        elif result.name in self._provisional and result.stopped_by != "signal":
            self._tell(Notice.WITHDRAWN)

    def _tell(self, notice: Notice) -> None:
        with self._lock:
            if self._command is None or notice in self._told:
                return
            self._told.add(notice)
        try:
            subprocess.Popen(
                [*shlex.split(self._command), str(self._folder), notice], stdin=subprocess.DEVNULL, stdout=2
            )
        except (OSError, ValueError) as error:
            raise SoakError(f"--on-verdict {self._command!r} cannot be run: {error}") from error


def is_news(result: ComponentResult) -> bool:
    """Say whether a result is one that the user's command is run for."""
    return result.gate and result.verdict in (Verdict.LEAK, Verdict.FAILED)
