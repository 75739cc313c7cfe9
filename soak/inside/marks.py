"""``soak.mark()``: a program says where its cycles begin, for the tracker when it was preloaded."""

from __future__ import annotations

from soak.inside import tracker

TYPE_CHECKING = False  # importing typing would be resident in every measured process
_cell: memoryview[int] | None = None


def mark() -> None:
    """Say that a cycle begins: what is allocated from here on is of the next one.

    Without the tracker, and in a process whose cycles soak counts itself, it does nothing and costs nothing that
    shows: one call and one addition, about 0.2 µs. Never raises.
    """
    global _cell
    if _cell is None:
        _cell = _find_cell()
    _cell[0] += 1


def _find_cell() -> memoryview[int]:
    """Return the tracker's word, or one that nobody reads."""
    hook = tracker.connect()
    # A tracker that covers something was started by soak's own loop, which counts the cycles itself.
    if isinstance(hook, tracker.NoTracker) or hook.covers:
        return memoryview(bytearray(8)).cast("Q")
    return hook.cycle
