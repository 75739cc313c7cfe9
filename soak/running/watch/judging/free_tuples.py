"""Growth of a watched program by tuples that CPython keeps free for the next: they are bounded, so no leak."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from soak.analysis.sites.garbage import LARGEST_TUPLE_BYTES
from soak.analysis.sites.ledger import Suspect
from soak.probes.ledgers.tables import WatchedTables
from soak.running.component.reading.ledger_reader import LedgerReader

_LOOK_AGAIN_AFTER = 1.25
_MOST_OF_GROWTH = 0.8
"""A site grows by what lies in a free list when that is at least this share of its growth."""


class FreeTuples:
    """Knows which sites grow by free tuples.

    It looks before a site leaks: that may be at the last look only, and then the process may have ended.
    """

    def __init__(self, tables: WatchedTables, ledger: LedgerReader, n_min: int) -> None:
        """Know of none yet."""
        self._tables, self._ledger, self._n_min = tables, ledger, n_min
        self._looked: dict[int, int] = {}
        """After how many cycles each site was looked at."""
        self.sites: set[int] = set()

    def look(self, suspects: Sequence[Suspect], cycles: int, of_python: set[int], *, grows: bool) -> set[int]:
        """Return the sites that grow by them.

        ``of_python``: the sites of Python's allocators. ``grows``: the sum of all sites leaks, to which those belong
        that do not leak on their own.
        """
        looked_at = [
            suspect
            for suspect in suspects
            if suspect.bytes_per_cycle <= LARGEST_TUPLE_BYTES * suspect.blocks_per_cycle
            and suspect.site in of_python
            and (grows or suspect.is_leak or self._is_due(suspect.site, cycles))
        ]
        if not looked_at:
            return self.sites
        groups: dict[int, Collection[int]] = {s.site: {s.site, *self._ledger.stacks_in(s.site)} for s in looked_at}
        found = self._tables.free_tuples(groups)
        for suspect in looked_at:
            self._looked[suspect.site] = cycles
            free = found.get(suspect.site)
            if free is None:
                continue  # it has just ended, and what was known of it stands
            grown = suspect.blocks_per_cycle * cycles
            (self.sites.add if free >= _MOST_OF_GROWTH * grown > 0 else self.sites.discard)(suspect.site)
        return self.sites

    def _is_due(self, site: int, cycles: int) -> bool:
        return 2 * cycles >= self._n_min and cycles >= _LOOK_AGAIN_AFTER * self._looked.get(site, 0)
