"""Sums over live blocks that follow what changes: most of a program's blocks are the same at the next count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soak.native.layout import DOMAINS, ROW, SITE_LIMIT

_SUMMED = ("live_blocks", "live_bytes")


@dataclass(frozen=True)
class Part:
    """What one piece of the slots adds to the sums."""

    positions: NDArray[np.int64]
    """Of its rows among all of them."""
    rows: NDArray[np.void]


class LiveSums:
    """Live blocks and bytes by site, domain and bucket of birth, ``ROW`` each: parts are added and taken away."""

    def __init__(self) -> None:
        self._rows = np.zeros(0, ROW)
        self._count = 0
        self._keys = np.zeros(0, np.int64)
        """Of the rows, ascending."""
        self._at = np.zeros(0, np.int64)
        """Where the row of each key is."""

    def add(self, rows: NDArray[np.void]) -> Part:
        """Add the rows of a piece, of which no two have the same site, domain and bucket."""
        part = Part(self._positions(rows), rows)
        for name in _SUMMED:
            self._rows[name][part.positions] += rows[name]
        return part

    def take_away(self, part: Part) -> None:
        """Take away what a piece added."""
        for name in _SUMMED:
            self._rows[name][part.positions] -= part.rows[name]

    def remove(self, rows: NDArray[np.void]) -> None:
        """Take away rows that were added, alone or among others."""
        self.take_away(Part(self._positions(rows), rows))

    def rows(self) -> NDArray[np.void]:
        """Return the rows that have live blocks."""
        rows = self._rows[: self._count]
        return rows[rows["live_blocks"] > 0]

    def _positions(self, rows: NDArray[np.void]) -> NDArray[np.int64]:
        keys = (rows["bucket"].astype(np.int64) * len(DOMAINS) + rows["domain"]) * SITE_LIMIT + rows["site"]
        found = np.minimum(np.searchsorted(self._keys, keys), max(len(self._keys) - 1, 0))
        is_new = self._keys[found] != keys if len(self._keys) else np.ones(len(keys), bool)
        if is_new.any():
            self._make_rows(keys[is_new], rows[is_new])
        at: NDArray[np.int64] = self._at[np.searchsorted(self._keys, keys)]
        return at

    def _make_rows(self, keys: NDArray[np.int64], like: NDArray[np.void]) -> None:
        """Make empty rows for new keys; ``like`` has their sites, domains and buckets in the order of the keys."""
        first, self._count = self._count, self._count + len(keys)
        if self._count > len(self._rows):
            self._rows = np.concatenate([self._rows[:first], np.zeros(self._count, ROW)])
        self._rows[first : self._count] = like
        for name in _SUMMED:
            self._rows[name][first : self._count] = 0
        keys, at = np.append(self._keys, keys), np.append(self._at, np.arange(first, self._count))
        order = np.argsort(keys)
        self._keys, self._at = keys[order], at[order]
