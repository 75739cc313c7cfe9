"""What carries the cells of a fleet to where they are measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from soak.errors import SoakError
from soak.matrix.cells import Cell


class EngineLostError(SoakError):
    """No more cells can be measured; the message says why."""


@dataclass(frozen=True)
class Ended:
    """A cell is not at work any more."""

    cell_id: str
    host: str | None
    """Where it was; None if that is not known."""
    cause: str | None
    """Why it has no run; None when it should have one."""


class Engine(Protocol):
    """Measures cells at several places at once. All calls come from one thread."""

    def submit(self, cell: Cell, avoid: Collection[str] = ()) -> None:
        """Have a cell measured, on another host than those of ``avoid`` if there is one."""

    def next_ended(self, timeout_s: float) -> Ended | None:
        """Wait for a cell to end; None when none did. Raises EngineLostError."""

    def at_work(self) -> Mapping[str, str]:
        """Map each host, or place on it, to the id of the cell that it measures."""

    def leave_out(self, host: str) -> bool:
        """Give a host no more cells; False when it is the only one and stays."""

    def stop(self) -> None:
        """Stop all cells; return when those at work have ended, or cannot be reached."""
