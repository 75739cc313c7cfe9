"""Memory that climbs for a while and then falls at once, again and again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SHARE_OF_CLIMB = 0.5
"""A fall by less than this part of the climb before it is noise."""
_FEWEST_BYTES = 65_536
_FEWEST_FALLS, _FEWEST_READINGS = 2, 4
"""So many falls, and so many readings of each climb: what goes up and down all the time does not wait for anything."""
_WARMED_UP = 1 / 8
"""Of the cycles. A program that starts takes much and gives it back; that does not come again."""
_PARTS = 24
"""Of the cycles after that. A climb that looks like a leak fills at least three sixteenths of all cycles."""


class Drop(NamedTuple):
    """How far live bytes fell at most, from a peak to a later reading, and how far they have risen since then."""

    fallen_bytes: float
    risen_bytes: float


def largest_drop(cycles: NDArray[np.int64], sizes: NDArray[np.int64], since: int = 0) -> Drop:
    """Return the largest drop of a series of live bytes, ``(checkpoints,)`` each, after its beginning.

    Only the least of each short part counts. An array that is copied into a larger block is there twice for a moment,
    and the drop after that would always be as large as the array. ``since``: the cycle to begin at, if that is later.
    """
    first = int(np.searchsorted(cycles, max(cycles[-1] * _WARMED_UP, since))) if len(cycles) else 0
    if first == len(cycles):
        return Drop(0.0, 0.0)
    parts = (cycles[first:] - cycles[first]) * _PARTS // (cycles[-1] - cycles[first] + 1)
    least = np.minimum.reduceat(sizes[first:], np.unique(parts, return_index=True)[1])
    below = np.maximum.accumulate(least) - least
    lowest = int(np.argmax(below))
    return Drop(float(below[lowest]), float(sizes[-1] - least[lowest:].min()))


class FallCounter:
    """Counts the falls of one series, in constant memory."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._lowest = self._latest = float("inf")
        self._climbing = 0
        self._falls, self._fallen = 0, 0.0

    def restart(self) -> None:
        """Take the next reading for a first one: memory went with a process that has ended."""
        self._lowest = self._latest = float("inf")
        self._climbing = 0

    def add(self, value: float) -> None:
        """Take in the next reading, in bytes."""
        fall, climb = self._latest - value, self._latest - self._lowest
        if _FEWEST_BYTES <= fall < float("inf"):
            if fall >= _SHARE_OF_CLIMB * climb and self._climbing >= _FEWEST_READINGS:
                self._falls += 1
                self._fallen += fall
            # The first climb began with all that the program takes at its start.
            self._lowest, self._climbing = value, 0
        self._lowest, self._latest = min(self._lowest, value), value
        self._climbing += 1

    @property
    def falls(self) -> tuple[int, float] | None:
        """How many falls there were, and by how many bytes on average; None below two."""
        return (self._falls, self._fallen / self._falls) if self._falls >= _FEWEST_FALLS else None
