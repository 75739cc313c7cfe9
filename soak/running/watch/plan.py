"""How to watch a process: the pace, the time, and how many samples a verdict needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from soak.analysis.component import LARGEST_N_MIN
from soak.running.scanning.allowed import AllowedScans

EVERY_OF_A_COMMAND_S, EVERY_OF_A_PROCESS_S = 0.1, 1.0
"""By default. The tracker shows a leak within seconds; what is seen from outside comes in pages."""
SMALLEST_N_MIN, _USUAL_N_MIN, _PART_OF_DURATION = 64, 256, 4
_TRACKED_N_MIN_S, _TRACKED_PART_OF_DURATION = 12.8, 8


@dataclass(frozen=True)
class WatchPlan:
    """How to watch."""

    every_s: float
    duration_s: float | None
    """None: until the verdict stands (a process we found) or the program ends (one we started)."""
    tolerance_bytes: float
    n_min: int | None
    """As it was asked for, in samples or marks; None to choose it."""
    stop_at_leak: bool
    tree: bool = False
    """What is sampled is the program with all its descendants; the tracker is in the program alone."""
    follow: bool = False
    """The tracker counts in the processes that the program starts as well."""
    marks: tuple[str, ...] = ()
    """What was to be marked without the program's doing."""
    scans: AllowedScans | None = None
    """None: the program is not copied for scans."""

    def choose_samples(self, *, tracked: bool) -> int:
        """Return n_min, in samples: a part of what the duration has, within bounds; 256 where none is given.

        ``tracked``: the tracker is in the program. Its counts are exact, so 13 s are enough.
        """
        if self.n_min is not None:
            return self.n_min
        smallest, part = SMALLEST_N_MIN, _PART_OF_DURATION
        if tracked:
            smallest, part = max(smallest, math.ceil(_TRACKED_N_MIN_S / self.every_s)), _TRACKED_PART_OF_DURATION
        elif self.duration_s is None:
            return _USUAL_N_MIN
        return int(min(max((self.duration_s or 0.0) / self.every_s / part, smallest), LARGEST_N_MIN))
