"""Births of several processes are told in the marks of all of them."""

from __future__ import annotations

import numpy as np
from ledger_builder import a_checkpoint
from numpy.typing import NDArray

from soak.native.layout import NATIVE, ROW, SITE, STATE_NATIVE, UNKNOWN_SITE
from soak.native.ledger import Checkpoint, buckets_of
from soak.probes.ledgers.merged import MergedLedger
from soak.probes.ledgers.tables import CountedProcess, WatchedTables


class Worker(WatchedTables):
    """A process that keeps a block of 10 B at some of its marks."""

    def __init__(self, kept_at: range) -> None:
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
        rows["site"], rows["domain"], rows["live_blocks"], rows["live_bytes"] = UNKNOWN_SITE, NATIVE, 1, 10
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

    def close(self) -> None:
        pass

    def _string(self, offset: int) -> str:
        return str(offset)

    def _stack_words(self, at: int) -> tuple[int, ...]:
        return (at,)


def births(ledger: MergedLedger) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and the last mark at which each live block may have been born."""
    found = ledger.read()
    assert found is not None
    assert (np.diff(found.births_end) >= 0).all()
    buckets = found.rows["bucket"]
    return found.births_from[buckets], found.births_end[buckets]


def test_births_of_two_workers_lie_between_the_marks_of_both():
    """One marks three times as often as the other, and both had marked before; each keeps a block of 32 marks."""
    often, rarely = Worker(range(70, 102)), Worker(range(69, 101))
    often.made, rarely.made = 6, 5
    ledger = MergedLedger()
    ledger.add("often", often)
    ledger.add("rarely", rarely)
    ledger.count_births_from(0)
    for _ in range(200):
        often.made, rarely.made = often.made + 3, rarely.made + 1
        ledger.marks()

    born_from, born_by = births(ledger)

    assert len(born_from) == 64
    often_from, often_by = born_from[:32], born_by[:32]
    assert (often_from >= 80).all()  # 64 marks of 3 in each 4
    assert (often_by <= 132).all()  # 95 marks, up to the end of a span
    assert (born_from[32:] >= 252).all()
    assert (born_by[32:] <= 384).all()


def test_what_a_worker_that_joins_later_began_with_was_there_before():
    first, later = Worker(range(0)), Worker(range(1, 41))
    ledger = MergedLedger()
    ledger.add("first", first)
    ledger.count_births_from(10)
    first.made = 100
    ledger.marks()
    later.made = 20
    ledger.add("later", later)
    later.made = 40
    assert ledger.marks() == 120

    born_from, born_by = births(ledger)

    assert (born_by[:20] == 0).all()
    assert (born_from[20:] == 90).all()
    assert (born_by[20:] >= 110).all()


def test_what_nothing_holds_is_told_by_site_and_birth_as_what_is_alive_is():
    first, second = Worker(range(1, 30)), Worker(range(5, 40))
    ledger = MergedLedger()
    ledger.add("first", first)
    ledger.add("second", second)
    ledger.count_births_from(0)
    for _ in range(50):
        first.made, second.made = first.made + 2, second.made + 1
        ledger.marks()
    found = ledger.read()
    assert found is not None

    unheld = ledger.unheld({UNKNOWN_SITE + 1})
    assert not len(unheld)
    for member in ledger._members.values():
        member.numbers_of = lambda _sites: [UNKNOWN_SITE]  # type: ignore[method-assign]
    unheld = ledger.unheld({UNKNOWN_SITE})

    assert len(unheld) == len(found.rows) > 40
    assert (unheld[["site", "bucket", "live_bytes"]] == found.rows[["site", "bucket", "live_bytes"]]).all()
