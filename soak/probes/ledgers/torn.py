"""Tell where a count has missed a block that was replaced while it went on.

A program is not stopped while its tables are read, address by address. A table that is made anew (an array that is one
item longer each time) may be at an address that was read before it came, and gone from the other one. It is counted not
at all, and a series of such readings has troughs as if there were no table.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_READINGS = 3
"""A site that had so much in each of so many counts before holds something for longer than a moment."""
_SHARE_LEFT = 0.5


_MOST_COUNTS = 8
"""What still lacks after so many has been freed."""
_FEWEST_BYTES = 16384
"""Smaller tables come and go all the time, and each count again costs as much as the first."""
_MOST_FREED = 3
"""A site that was counted again in vain so often holds what comes and goes."""


class TornCounts:
    """Follows the live bytes of each site from count to count."""

    def __init__(self) -> None:
        """Begin with no counts."""
        self._before: list[NDArray[np.float64]] = []
        self._freed = np.zeros(0)

    def settle(self, count: Callable[[], NDArray[np.float64]]) -> None:
        """Count until no site lacks most of the bytes that it had in each of the last counts.

        ``count``: counts again; returns the live bytes ``(sites,)``, indexed by site.
        """
        for _ in range(_MOST_COUNTS):
            sizes = count()
            sites = max(map(len, (sizes, self._freed, *self._before)))
            sizes, self._freed = _padded(sizes, sites), _padded(self._freed, sites)
            before = [_padded(each, sites) for each in self._before]
            if len(before) < _READINGS:
                break
            least = np.min(before, axis=0)
            is_gone = (least >= _FEWEST_BYTES) & (sizes < _SHARE_LEFT * least) & (self._freed < _MOST_FREED)
            if not is_gone.any():
                break
        else:
            self._freed = self._freed + is_gone
        # What a site has lost is gone by now, and is not looked for again.
        self._before = [*(np.minimum(each, sizes) for each in before[1 - _READINGS :]), sizes]


def _padded(sizes: NDArray[np.float64], sites: int) -> NDArray[np.float64]:
    return np.pad(sizes, (0, sites - len(sizes)))
