"""The progress of a run in the terminal, and in a file for Prometheus."""

from __future__ import annotations

import contextlib
from pathlib import Path

from rich.console import Console

from soak.errors import SoakError
from soak.reporting.formats.metrics import write_metrics
from soak.reporting.formats.terminal import ProgressDisplay
from soak.results import ComponentResult


class MetricsDisplay(ProgressDisplay):
    """Writes what is known of each component into a file, as often as the run sums it up.

    Raises SoakError if the file cannot be written at the beginning. Later that does not disturb the run.
    """

    def __init__(self, console: Console, file: Path) -> None:
        super().__init__(console)
        self._file = file
        self._known: dict[str, ComponentResult] = {}
        write_metrics(file, [])

    def so_far(self, result: ComponentResult) -> None:
        """Write what can be said of a component at work."""
        super().so_far(result)
        self._write(result)

    def done(self, result: ComponentResult) -> None:
        """Write what was found of a component."""
        super().done(result)
        self._write(result)

    def _write(self, result: ComponentResult) -> None:
        self._known[result.name] = result
        with contextlib.suppress(SoakError):
            write_metrics(self._file, [("", one) for one in self._known.values()])
