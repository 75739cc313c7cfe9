"""The processes that a program started and in which the tracker counted."""

from __future__ import annotations

from dataclasses import dataclass

from soak.results.places import Place
from soak.verdict import Verdict


@dataclass(frozen=True)
class ProcessResult:
    """One process that the program started and in which the tracker counted."""

    pid: int
    first_cycle: int
    last_cycle: int
    """The first and the last checkpoint at which it was counted."""
    first_bytes: float
    last_bytes: float
    """The bytes that it had requested and not freed at these two checkpoints."""
    first_rss_bytes: float
    last_rss_bytes: float
    bytes_per_iteration: float | None
    """Its growth per cycle over the later half of the checkpoints; None if there are too few."""
    has_ended: bool


@dataclass(frozen=True)
class RoleResult:
    """Processes that do the same: of one program, one parent, and started by one line of it."""

    command: str
    verdict: Verdict
    living: int
    ended: int
    """How many of them were counted and have ended."""
    bytes_per_iteration: float | None
    """The growth of all of them together, in bytes requested and not freed; None if it is not known."""
    low: float | None
    high: float | None
    processes: tuple[ProcessResult, ...] = ()
    """Each process; if many have ended, only the latest of these."""
    ended_bytes_per_iteration: float | None = None
    """The rate at which each ended process still grew at its end; None if it is not known."""
    ended_grew_in: Place | None = None
    """The place where the ended processes grew most; None if it is not known."""
    ended_grew_there: float | None = None
    """The growth at that place, in bytes per cycle of theirs."""
