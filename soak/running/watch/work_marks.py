"""How often the processes of a watch have marked: what one does beside the work of others is compared with it."""

from __future__ import annotations

from collections.abc import Hashable


class WorkMarks:
    """The marks of each process or role. Watches note theirs in threads of their own."""

    def __init__(self) -> None:
        """Begin with none."""
        self._marks: dict[Hashable, int] = {}

    def note(self, watch: Hashable, marks: int) -> None:
        """Take note of how often the processes of a watch have marked so far; of those that have ended it stays."""
        self._marks[watch] = max(marks, self._marks.get(watch, 0))

    def of_others(self, watch: Hashable) -> int:
        """Return how often the processes of all other watches have marked."""
        return sum(marks for each, marks in list(self._marks.items()) if each is not watch)
