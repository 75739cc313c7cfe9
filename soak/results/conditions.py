"""How a component ran: its tracker, its pace, its pauses, its failure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrackerState:
    """Whether the allocation tracker watched, and if not, why."""

    active: bool
    reason: str | None
    covers: tuple[str, ...] = ()
    follows_objects: bool = True
    """Whether a block that CPython keeps in a free list has the line of the object that is in it now."""
    is_filtered: bool = False
    """Whether the program filters its system calls, so that the tracker makes none."""


@dataclass(frozen=True)
class Pacing:
    """Pace asked for and pace held."""

    interval_s: float | None
    mean_period_s: float | None
    missed_deadlines: int
    worst_lag_s: float


@dataclass(frozen=True)
class Pauses:
    """For how long cycles waited while soak counted, exact to a tenth.

    Of a watched program: for how long a thread waited while the program was copied for a scan.
    """

    count: int
    p50_s: float
    p99_s: float
    worst_s: float
    budget_s: float | None
    """The longest allowed pause; None without a budget."""


@dataclass(frozen=True)
class Failure:
    """Why a driver failed."""

    phase: str
    cycle: int
    """The cycle under way, counted from 1; 0 in setup."""
    reason: str
    detail: str
    stack: tuple[str, ...] = ()
