"""What processes that have ended grew by at each call site: it went with them, so the sums of a role do not show it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_FEWEST_READINGS = 8


class GrownSite(NamedTuple):
    """The call site at which processes that have ended grew most."""

    site: int
    bytes: float
    """In the later part of their lives, of all of them together."""
    marks: int
    """Their cycles in that time."""


class Life:
    """Readings of one process: the latest, and some from about the middle of its life, whenever that ends."""

    def __init__(self) -> None:
        """Begin with a process that was not read yet."""
        self._readings = 0
        self._earlier: tuple[int, NDArray[np.float64]] = (0, np.zeros(0))
        self._middle = self._latest = self._earlier

    def see(self, marks: int, owners: NDArray[np.int64], rows: NDArray[np.void]) -> None:
        """Take in what is alive after a number of marks. ``owners``: by site, the one that it counts for.

        A reading with less than before is left out: the process may be ending, and free everything.
        """
        live = np.bincount(owners[rows["site"]], rows["live_bytes"], len(owners)).astype(np.float64)
        if live.sum() < self._latest[1].sum():
            return
        self._readings += 1
        self._latest = marks, live
        if self._readings.bit_count() == 1:
            self._earlier, self._middle = self._middle, self._latest

    def grown(self) -> tuple[int, NDArray[np.float64]] | None:
        """Return marks and bytes by site of the later part of its life; None if too little was read."""
        if self._readings < _FEWEST_READINGS:
            return None
        (first, before), (last, after) = self._earlier, self._latest
        return last - first, after - np.pad(before, (0, len(after) - len(before)))


class EndedGrowth:
    """Sums up what ended processes grew by."""

    def __init__(self) -> None:
        """Begin with none."""
        self._marks, self._bytes = 0, np.zeros(0)

    def add(self, life: Life) -> None:
        """Add one that has ended."""
        grown = life.grown()
        if grown is None:
            return
        marks, sizes = grown
        longest = max(len(sizes), len(self._bytes))
        self._bytes = np.pad(self._bytes, (0, longest - len(self._bytes)))
        self._bytes[: len(sizes)] += sizes
        self._marks += marks

    def per_mark(self, sites: Collection[int]) -> float | None:
        """Return by how many bytes a mark of theirs these sites grew together; None where too little was read."""
        known = [site for site in sites if site < len(self._bytes)]
        return float(self._bytes[known].sum()) / self._marks if self._marks else None

    def most(self) -> GrownSite | None:
        """Return the site that grew most; None if none did."""
        if not len(self._bytes) or self._bytes.max() <= 0:
            return None
        site = int(self._bytes.argmax())
        return GrownSite(site, float(self._bytes[site]), self._marks)
