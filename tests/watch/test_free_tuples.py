"""Tuples that CPython keeps free are looked at before a leak of them stands: by then the process may have ended."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from soak.analysis.sites.ledger import Suspect
from soak.running.watch.plan import WatchPlan
from soak.running.watch.watch import Watch
from soak.verdict import SeriesState, SeriesVerdict, Verdict

SITE, N_MIN = 7, 1024
GROWS = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.EARLY, 56.0, 55.0, 57.0)


class Tables:
    """The tables of a process; ``ended``: nothing can be read any more."""

    def __init__(self, free: int) -> None:
        self.free, self.ended, self.looks = free, False, 0

    def free_tuples(self, groups: dict[int, set[int]]) -> dict[int, int]:
        self.looks += 1
        return {} if self.ended else dict.fromkeys(groups, self.free)


def a_watch(tables: Tables) -> Any:
    subject: Any = SimpleNamespace(
        name="it", describe_fds=dict, program=lambda: "python", tables=lambda: None, has_huge_pages=lambda: False
    )
    watch: Any = Watch(subject, WatchPlan(1.0, None, 1.0, N_MIN, stop_at_leak=True), threading.Event())
    watch._begin(0, "python", None)
    watch._tables, watch._pace = tables, SimpleNamespace(cycles=0, n_min=N_MIN)
    watch._suspects = [Suspect(SITE, GROWS, 1.0, 56, 56.0)]
    return watch


def free_at(watch: Any, cycles: int, *, grows: bool = False) -> set[int]:
    watch._pace.cycles = cycles
    ledger = SimpleNamespace(stacks_in=lambda _: [])
    return set(watch._sites_of_free_tuples(ledger, {SITE}, grows=grows))


def test_what_was_free_while_it_ran_is_known_when_the_last_look_finds_a_leak():
    tables = Tables(free=500)
    watch = a_watch(tables)

    assert free_at(watch, N_MIN // 4) == set()
    assert free_at(watch, N_MIN // 2) == {SITE}
    tables.ended = True
    assert free_at(watch, N_MIN, grows=True) == {SITE}


def test_before_a_leak_stands_it_is_looked_at_now_and_then_only():
    tables = Tables(free=0)
    watch = a_watch(tables)

    assert all(free_at(watch, cycles) == set() for cycles in range(N_MIN // 2, N_MIN, 8))
    assert tables.looks <= 5


def test_one_look_is_for_all_sites_that_grow():
    tables = Tables(free=1000)
    watch = a_watch(tables)
    watch._suspects = [Suspect(site, GROWS, 1.0, 56, 56.0) for site in range(SITE, SITE + 32)]
    watch._pace.cycles = N_MIN
    ledger = SimpleNamespace(stacks_in=lambda _: [])

    found = watch._sites_of_free_tuples(ledger, set(range(SITE, SITE + 32)), grows=True)

    assert (tables.looks, found) == (1, set(range(SITE, SITE + 32)))
