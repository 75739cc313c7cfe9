"""How much work other processes do in the cycles of one that only waits for them: it may keep as much for each piece.

A server's first process makes no marks, so its cycles are samples. It allocates a kilobyte once, by the way, and
restarts a worker now and then. Per sample that is more than the tolerance for minutes, and per request next to nothing.
Where it keeps something for each request, that is as much per request as in any other process.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from soak.analysis.notes import PairedNotes


class WorkOfOthers:
    """The marks of other processes at the cycles of one."""

    def __init__(self) -> None:
        """Begin with none."""
        self._notes = PairedNotes()

    def note(self, cycle: int, marks: int) -> None:
        """Take note of how often the others have marked by a cycle, later than those before."""
        self._notes.add(cycle, marks)

    def marks_per_cycle(self, first: int, last: int) -> float:
        """Return how often they have marked at least in each cycle of ``(first, last]``, on average.

        At least once: where they do less, or nothing is known, the cycle itself is the measure.
        """
        cycles, marks = self._notes.first, self._notes.second
        begins, ends = bisect_left(cycles, first), bisect_right(cycles, last) - 1
        if ends <= begins:
            return 1.0
        return max((marks[ends] - marks[begins]) / (last - first), 1.0)
