"""Births of several processes are told in the marks of all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from worker_builder import Worker

from soak.native.layout import UNKNOWN_SITE
from soak.probes.ledgers.merged import MergedLedger


def births(ledger: MergedLedger) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and the last mark at which each live block may have been born."""
    found = ledger.read()
    assert found is not None
    assert (np.diff(found.births_end) >= 0).all()
    buckets = found.rows["bucket"]
    return found.births_from[buckets], found.births_end[buckets]


def read_while_both_mark(*workers: tuple[Worker, int], times: int) -> MergedLedger:
    """Return their ledger after so many readings; before each, every worker has made its number of marks."""
    ledger = MergedLedger()
    for number, (worker, _) in enumerate(workers):
        ledger.add(f"worker {number}", worker)
    ledger.count_births_from(0)
    for _ in range(times):
        for worker, marks in workers:
            worker.made += marks
        ledger.marks()
    return ledger


def test_births_of_two_workers_lie_between_the_marks_of_both():
    """One marks three times as often as the other, and both had marked before; each keeps a block of 32 marks."""
    often, rarely = Worker(range(70, 102)), Worker(range(69, 101))
    often.made, rarely.made = 6, 5
    ledger = read_while_both_mark((often, 3), (rarely, 1), times=200)

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
    ledger = read_while_both_mark((first, 2), (second, 1), times=50)
    found = ledger.read()
    assert found is not None

    unheld = ledger.unheld({UNKNOWN_SITE + 1})
    assert not len(unheld)
    for member in ledger._members.values():
        member.numbers_of = lambda _sites: [UNKNOWN_SITE]  # type: ignore[method-assign]
    unheld = ledger.unheld({UNKNOWN_SITE})

    assert len(unheld) == len(found.rows) > 40
    assert (unheld[["site", "bucket", "live_bytes"]] == found.rows[["site", "bucket", "live_bytes"]]).all()


def test_births_of_long_ago_are_told_as_closely_after_many_readings():
    """One of a hundred thousand marks, each read; the other process makes as many."""
    first, second = Worker(range(100_000, 100_016)), Worker(range(0))
    ledger = read_while_both_mark((first, 10), (second, 10), times=30_000)

    born_from, born_by = births(ledger)

    assert (born_from > 150_000).all()
    assert (born_by < 250_000).all()
