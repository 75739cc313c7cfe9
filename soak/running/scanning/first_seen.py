"""When the blocks of some sites were first seen, in a program that does not mark its cycles."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from soak.probes.ledgers.shadow import Blocks


class FirstSeen:
    """Keeps the cycle at which each block was first seen at its address, and forgets those that are gone."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._addresses = np.zeros(0, np.uint64)
        self._cycles = np.zeros(0, np.uint64)

    def see(self, addresses: NDArray[np.uint64], cycle: int) -> NDArray[np.uint64]:
        """Take in the addresses ``(n,)`` of all blocks that live at a cycle; return for each when it was first seen."""
        born = np.full(len(addresses), cycle, np.uint64)
        if len(self._addresses):
            at = np.minimum(np.searchsorted(self._addresses, addresses), len(self._addresses) - 1)
            known = self._addresses[at] == addresses
            born[known] = self._cycles[at[known]]
        order = np.argsort(addresses)
        self._addresses, self._cycles = addresses[order], born[order]
        return born

    def date(self, blocks: Blocks, chosen: NDArray[np.intp], cycle: int) -> Blocks:
        """Return the blocks with the cycles at which those at some positions were first seen; 0 for the others."""
        cycles = np.zeros(len(blocks), np.uint64)
        cycles[chosen] = self.see(blocks.addresses[chosen], cycle)
        return replace(blocks, cycles=cycles)


def date_by_marks(blocks: Blocks, *, first: int, newest: int, period: int) -> Blocks:
    """Return the blocks with the marks after ``first`` at which they were born; 0 for those from before.

    ``newest``: the latest mark. ``period``: marks of birth are kept modulo this.
    """
    age = (np.uint64(newest % period) + np.uint64(period) - blocks.cycles) % np.uint64(period)
    born = np.int64(newest - first) - age.astype(np.int64)
    return replace(blocks, cycles=np.maximum(born, 0).astype(np.uint64))


def positions_of(sites: NDArray[np.uint32], wanted: Collection[int]) -> NDArray[np.intp]:
    """Return where the sites are that are wanted."""
    found: NDArray[np.intp] = np.flatnonzero(np.isin(sites, np.array(sorted(wanted), np.uint32)))
    return found
