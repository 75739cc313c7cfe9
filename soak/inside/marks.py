"""``soak.mark()``: a program says where its cycles begin. The tracker uses it when it was preloaded."""

from __future__ import annotations

import os

_LOADER_VARIABLE, _LIBRARY_PREFIX = "LD_PRELOAD", "libsoak_tracker"


def mark() -> None:
    """Say that a cycle begins: what is allocated from here on belongs to it.

    It does nothing without the tracker, or when soak itself counts the cycles of this process; the call then takes some
    30 ns. It never raises. Call it from one thread only; marks of several threads may get lost.
    """
    if _cell is not None:
        _cell[0] += 1


def _find_cell() -> memoryview[int] | None:
    """Return the word of the tracker that counts marks; None when nothing reads it. Then nothing is imported either."""
    # When soak's own loop counts the cycles, it has started the tracker, which removed itself from the environment.
    if _LIBRARY_PREFIX not in os.environ.get(_LOADER_VARIABLE, ""):
        return None
    from soak.inside import tracker

    hook = tracker.connect()
    return None if isinstance(hook, tracker.NoTracker) or hook.covers else hook.cycle


_cell = _find_cell()
