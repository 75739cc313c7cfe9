"""Find counts that missed a block because the program replaced it during the count, and count again.

The program runs on while soak reads its tables, address by address. If it copies an array into a larger block and frees
the old one, soak may read the new address too early and the old one too late. The count then misses the array.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_READINGS = 3
"""A site that had so much in each of so many counts before holds something for longer than a moment."""
_SHARE_LEFT = 0.5
_MOST_COUNTS = 8
"""A block that is missing in so many counts has been freed."""
_FEWEST_BYTES = 16384
"""Smaller tables come and go all the time, and each count again costs as much as the first."""
_MOST_FREED = 3
"""A site that was counted again in vain so often holds blocks that come and go."""


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
