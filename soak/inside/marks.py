"""``soak.mark()``: a program says where its cycles begin, for the tracker when it was preloaded."""

from __future__ import annotations

import os

_LOADER_VARIABLE, _LIBRARY_PREFIX = "LD_PRELOAD", "libsoak_tracker"


def mark() -> None:
    """Say that a cycle begins: what is allocated from here on is of the next one.

    Without the tracker, and in a process whose cycles soak counts itself, it does nothing: a call, some 30 ns. Never
    raises. Call it from one thread: another one's marks may get lost.
    """
    if _cell is not None:
        _cell[0] += 1


def _find_cell() -> memoryview[int] | None:
    """Return the tracker's word; None where nobody reads it, and then nothing is imported either."""
    # A tracker that soak's own loop has started has taken itself out of the environment; that loop counts the cycles.
    if _LIBRARY_PREFIX not in os.environ.get(_LOADER_VARIABLE, ""):
        return None
    from soak.inside import tracker

    hook = tracker.connect()
    return None if isinstance(hook, tracker.NoTracker) or hook.covers else hook.cycle


_cell = _find_cell()
