"""Notes of two numbers that rise together: bounded, and the older ones are as dense as the newer ones."""

from __future__ import annotations

_MOST = 4096


class PairedNotes:
    """Pairs of numbers, both rising: of many every second, fourth, ... and the latest."""

    def __init__(self) -> None:
        """Begin with none."""
        self.first: list[int] = []
        self.second: list[int] = []
        self._every, self._added = 1, 0

    def add(self, first: int, second: int) -> None:
        """Take in one more pair, neither number below those before."""
        if (self._added - 1) % self._every:
            del self.first[-1:], self.second[-1:]  # it was only the latest
        self.first.append(first)
        self.second.append(second)
        self._added += 1
        if len(self.first) > _MOST:
            self.first, self.second = self.first[::2], self.second[::2]
            self._every *= 2
