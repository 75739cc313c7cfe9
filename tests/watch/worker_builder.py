"""Tables of processes that are scripted: which blocks they keep, and how often they mark."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from ledger_builder import a_checkpoint
from numpy.typing import NDArray

from soak.native.layout import NATIVE, ROW, SITE, STATE_NATIVE, STATE_PYTHON_DOMAINS, UNKNOWN_SITE
from soak.native.ledger import Checkpoint, buckets_of
from soak.probes.ledgers.tables import CountedProcess, WatchedTables


class Worker(WatchedTables):
    """A process that keeps a block of 10 B at some of its marks."""

    size_bytes = 10

    def __init__(self, kept_at: Collection[int]) -> None:
        self.made = 0
        self._kept_at = kept_at
        self._first = 0

    @property
    def state(self) -> int:
        return STATE_NATIVE

    def marks(self) -> int:
        return self.made

    def count_births_from(self, mark: int) -> None:
        self._first = mark

    def set_cycle(self, cycle: int) -> None:
        self.made = cycle

    def read(self) -> Checkpoint:
        births = np.array([mark for mark in self._kept_at if mark <= self.made], np.int64)
        rows = np.zeros(len(births), ROW)
        rows["site"], rows["domain"], rows["live_blocks"], rows["live_bytes"] = UNKNOWN_SITE, NATIVE, 1, self.size_bytes
        rows["bucket"] = buckets_of(np.maximum(births - self._first, 0))
        return a_checkpoint(rows, np.zeros(UNKNOWN_SITE + 1, SITE), self.made)

    def own_mapped(self) -> int:
        return 0

    def maps(self) -> str:
        return ""

    def counted(self, checkpoint: Checkpoint) -> list[CountedProcess]:
        return [CountedProcess(7, checkpoint, lambda site: site)]

    def process_of(self, *_args: object) -> None:
        return None

    def labelled(self, *_args: object) -> list:
        return []

    def in_use(self, *_args: object) -> dict:
        return {}

    def unheld(self, _sites: object) -> NDArray[np.void]:
        """Return all that is alive."""
        return self.read().rows.copy()

    def free_tuples(self, *_args: object) -> dict:
        return {}

    def request_flags(self, sites: list[int]) -> None:
        pass

    def release_flags(self, sites: list[int]) -> bool:
        return True

    def place(self, checkpoint: Checkpoint, site: int) -> None:
        return None

    def stack(self, checkpoint: Checkpoint, site: int) -> list:
        return []

    def python_files(self, checkpoint: Checkpoint) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        pass

    def _string(self, offset: int) -> str:
        return str(offset)

    def _stack_words(self, at: int) -> tuple[int, ...]:
        return (at,)


class Supervisor(Worker):
    """A process that makes no marks, so it is told the number of each sample; it keeps blocks at some of them.

    What it has otherwise rises to 85 kB and is gone at each 170th sample.
    """

    def __init__(self, kept_at: Collection[int], size_bytes: int) -> None:
        super().__init__(kept_at)
        self.size_bytes = size_bytes

    def read(self) -> Checkpoint:
        kept = super().read()
        young = np.zeros(1, ROW)
        young["site"], young["domain"], young["live_blocks"] = UNKNOWN_SITE, NATIVE, 1
        young["live_bytes"], young["bucket"] = 500 * (self.made % 170), buckets_of(np.array([self.made]))
        return a_checkpoint(np.concatenate([kept.rows, young]), kept.sites, self.made)

    @property
    def state(self) -> int:
        return STATE_NATIVE | STATE_PYTHON_DOMAINS

    def marks(self) -> int:
        return 0

    def unheld(self, _sites: object) -> NDArray[np.void]:
        """Return nothing: all that is alive is held."""
        return np.zeros(0, ROW)
