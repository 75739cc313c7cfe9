"""How to watch a process: the pace, the time, and how many samples a verdict needs."""

from __future__ import annotations

from dataclasses import dataclass

from soak.analysis.component import LARGEST_N_MIN

SMALLEST_N_MIN, USUAL_N_MIN = 64, 256


@dataclass(frozen=True)
class WatchPlan:
    """How to watch."""

    every_s: float
    duration_s: float | None
    """None: until the verdict stands (a process we found) or the program ends (one we started)."""
    tolerance_bytes: float
    n_min: int
    stop_at_leak: bool
    tree: bool = False
    """What is sampled is the program with all its descendants; the tracker is in the program alone."""
    n_min_marks: int | None = None
    """n_min for a program that marks its cycles; None: as many as come in ``n_min`` samples."""


def choose_samples(duration_s: float | None, every_s: float) -> int:
    """Return n_min, in samples: a quarter of what the duration has, within bounds; 256 where none is given."""
    if duration_s is None:
        return USUAL_N_MIN
    return int(min(max(duration_s / every_s / 4, SMALLEST_N_MIN), LARGEST_N_MIN))
