"""Tuples that CPython keeps free are looked at before a leak of them stands: by then the process may have ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from soak.analysis.sites.ledger import Suspect
from soak.running.watch.judging.free_tuples import FreeTuples
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


def free_tuples(tables: Tables) -> FreeTuples:
    read: Any = tables
    ledger: Any = SimpleNamespace(stacks_in=lambda _: [])
    return FreeTuples(read, ledger, N_MIN)


def growing(*sites: int) -> list[Suspect]:
    return [Suspect(site, GROWS, 1.0, 56, 56.0) for site in sites]


def free_at(free: FreeTuples, cycles: int, *, grows: bool = False) -> set[int]:
    return set(free.look(growing(SITE), cycles, {SITE}, grows=grows))


def test_what_was_free_while_it_ran_is_known_when_the_last_look_finds_a_leak():
    tables = Tables(free=500)
    free = free_tuples(tables)

    assert free_at(free, N_MIN // 4) == set()
    assert free_at(free, N_MIN // 2) == {SITE}
    tables.ended = True
    assert free_at(free, N_MIN, grows=True) == {SITE}


def test_before_a_leak_stands_it_is_looked_at_now_and_then_only():
    tables = Tables(free=0)
    free = free_tuples(tables)

    assert all(free_at(free, cycles) == set() for cycles in range(N_MIN // 2, N_MIN, 8))
    assert tables.looks <= 5


def test_one_look_is_for_all_sites_that_grow():
    tables = Tables(free=1000)
    sites = set(range(SITE, SITE + 32))

    found = free_tuples(tables).look(growing(*sites), N_MIN, sites, grows=True)

    assert (tables.looks, found) == (1, sites)
