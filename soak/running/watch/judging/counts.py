"""Count the live blocks of a tracked program at a pace of its own, and hold back counts that may be of its end."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from soak.analysis.evidence import LEDGER
from soak.analysis.falls import FallCounter
from soak.native.ledger import Checkpoint
from soak.probes.ledgers.tables import WatchedTables
from soak.running.component.reading.ledger_reader import PYTHON_DOMAINS, LedgerReader
from soak.running.scanning.mapped_memory import MappedMemory
from soak.running.watch.judging.count_pace import CountPace
from soak.running.watch.judging.name_cache import NameCache
from soak.running.watch.judging.pace import WatchPace

_LONGEST_FALL = 16
"""Counts that are held back at most."""
_MOST_LOOKS = 4
_MARKS_BESIDE_PART = 128
"""Marks may be made while the blocks are counted, up to this part of n_min: a rate is wrong by as much."""


class BlockCounts:
    """Reads the ledger of one program, and hands on each count when it is known to count."""

    def __init__(
        self,
        tables: WatchedTables,
        ledger: LedgerReader,
        pace: WatchPace,
        every_s: float,
        take: Callable[[int, dict[str, float]], bool],
    ) -> None:
        """Count nothing yet. ``every_s``: between two samples.

        ``take`` gets the cycle and the sums of each count, and returns whether judging may say more than before.
        """
        self._tables, self._ledger, self._pace, self._take = tables, ledger, pace, take
        self._names = NameCache(tables)
        self._spacing = CountPace(every_s)
        self._held: list[tuple[Checkpoint, int]] = []
        self._removed = 0
        self.mapped = MappedMemory()
        self.falls = FallCounter()

    def count_when_due(self, active_s: float, cycles: int, now_s: float) -> bool:
        """Count what is alive, not too often; return whether judging may say more than before.

        ``active_s``: for how long the program has been at work, ``now_s``: on any clock.
        """
        if not self._spacing.is_due(active_s):
            return False
        begun_s, says_more = time.thread_time(), False
        checkpoint, cycles = self.look(cycles)
        if checkpoint is not None:
            self.mapped.look(cycles, now_s, self._tables.counted(checkpoint))
            checkpoint = self._names.without(checkpoint)
            falls = bool(self._held) and checkpoint.live_bytes < self._held[-1][0].live_bytes
            if not falls or len(self._held) == _LONGEST_FALL:
                says_more = self._add_held()
            self._held.append((checkpoint, cycles))
        self._spacing.spend(active_s, time.thread_time() - begun_s)
        return says_more

    def look(self, cycles: int) -> tuple[Checkpoint | None, int]:
        """Return what is alive, and after which cycle.

        On a busy machine the program may make many marks between the two readings. Then both are read again.
        """
        pace, checkpoint = self._pace, None
        if pace.noun != "mark":
            return self._ledger.look(), cycles
        for _ in range(_MOST_LOOKS):
            cycles = pace.catch_up(self._tables.marks())
            checkpoint = self._ledger.look()
            if self._tables.marks() - pace.marks <= max(pace.n_min // _MARKS_BESIDE_PART, 1):
                break
        return checkpoint, cycles

    def finish(self, *, has_ended: bool) -> None:
        """Take in what is held back; of a program that has ended only the first, before everything fell."""
        if has_ended:
            del self._held[1:]
        self._add_held()

    def _add_held(self) -> bool:
        """Take in the counts that were held back; return whether judging may say more than before.

        While what is alive falls and falls the program may be at its end, where it gives everything back.
        """
        says_more = [self._add(checkpoint, cycles) for checkpoint, cycles in self._held]
        self._held.clear()
        return any(says_more)

    def _add(self, checkpoint: Checkpoint, cycles: int) -> bool:
        ledger = self._ledger
        ledger.take_births(checkpoint, cycles)
        removed = self._tables.removed
        if removed != self._removed:
            self.falls.restart()
            ledger.forget_drops()
            self._removed = removed
        sums = ledger.take(checkpoint, cycles)
        is_python = np.isin(checkpoint.rows["domain"], PYTHON_DOMAINS)
        self.falls.add(float(checkpoint.rows["live_bytes"][is_python].sum()))
        return self._take(cycles, {name: sums[name] for name in LEDGER})
