"""How far a component is, for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a component is, and what it may still take."""

    cycles: int
    elapsed_s: float
    note: str = ""
    budget_s: float | None = None
    """None if it has no budget in time."""
    iterations: int | None = None
    """The budget in cycles; None if it has none."""
    rss_bytes: float | None = None
    growth_bytes: float | None = None
    """Per cycle so far; None if it is not known yet."""
