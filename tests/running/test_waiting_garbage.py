"""The garbage of a process that collects after a checkpoint only: it is as old as checkpoints are apart."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from supervisor_builder import LEDGER_SITE, ScriptedLedger

from soak.analysis.sites.labels import LabelledBlocks
from soak.native.layout import PYTHON_OBJ, PYTHON_SITE, ROW
from soak.native.ledger import Checkpoint, Frame, SiteTable
from soak.probes.descendants import Descendant
from soak.probes.ledgers.tables import CountedProcess, WatchedTables
from soak.probes.outside import ScriptedReader
from soak.running.component.reading.ledger_reader import LedgerReader
from soak.running.processes.role import Role
from soak.verdict import SeriesVerdict, Verdict

CYCLES, N_MIN, SIZE = 1100, 1024, 168


class CollectingTables(ScriptedLedger, WatchedTables):
    """The tables of a process that makes so many objects a cycle.

    All go at each collection; with ``keeps`` none does. No more than ``most`` are alive: so many a free list keeps.
    """

    def __init__(self, per_cycle: int, *, keeps: bool, every: int = 1, most: int = 1 << 40) -> None:
        super().__init__()
        self._per_cycle, self._keeps, self._every, self._most = per_cycle, keeps, every, most
        self.now = self.collected_at = 0
        self.cycles_from = self.born_with_it = 0
        self.garbage_of_row = 0

    def read(self) -> Checkpoint | None:
        """Return what is alive now, by the cycle of its birth."""
        empty = super().read()
        assert empty is not None
        sites = empty.sites.copy()
        sites["kind"][LEDGER_SITE] = PYTHON_SITE
        born = np.arange(1 + (0 if self._keeps else self.collected_at), self.now + 1, self._every)[: self._most]
        buckets, counts = np.unique(np.searchsorted(empty.births_end, born), return_counts=True)
        rows = np.zeros(len(buckets), ROW)
        rows["site"], rows["domain"], rows["bucket"] = LEDGER_SITE, PYTHON_OBJ, buckets
        rows["live_blocks"] = self._per_cycle * counts
        rows["live_bytes"] = SIZE * rows["live_blocks"]
        live = int(rows["live_blocks"].sum())
        return replace(
            empty,
            sequence=self.now + 1,
            rows=rows,
            site_table=SiteTable(sites),
            live_blocks=live,
            live_bytes=live * SIZE,
        )

    def place(self, checkpoint: Checkpoint, site: int) -> Frame | None:
        return Frame(None, "worker.py", "work", 5)

    def set_cycle(self, cycle: int) -> None:
        """See WatchedTables."""

    def count_births_from(self, mark: int) -> None:
        """See WatchedTables."""

    def want_collection(self) -> None:
        """See LiveTables: it is made as soon as the process runs again."""
        self.collected_at = self.now

    def forked_at(self) -> tuple[str, str, int] | None:
        return None

    def marks(self) -> int:
        return 0

    def process_of(self, sites: Collection[int], before: int | None = None) -> None:
        """See WatchedTables: there is no process to be copied."""

    def own_mapped(self) -> int:
        return 0

    def maps(self) -> str:
        return ""

    def labelled(self, sites: Collection[int], first: int) -> list[LabelledBlocks]:
        return []

    def counted(self, checkpoint: Checkpoint) -> list[CountedProcess]:
        return [CountedProcess(os.getpid(), checkpoint, lambda site: site)]

    def in_use(self, groups: dict[int, Collection[int]]) -> dict[int, int]:
        return {}

    def unheld(self, sites: Collection[int]) -> NDArray[np.void]:
        """Return so much of each row as is garbage."""
        checkpoint = self.read()
        assert checkpoint is not None
        rows = checkpoint.rows[np.isin(checkpoint.rows["site"], list(sites))].copy()
        rows["live_blocks"] = np.minimum(rows["live_blocks"], self.garbage_of_row)
        rows["live_bytes"] = SIZE * rows["live_blocks"]
        return rows

    def free_tuples(self, groups: dict[int, Collection[int]]) -> dict[int, int]:
        return {}


def judged(per_cycle: int, *, keeps: bool, cycles: int = CYCLES, every: int = 1, most: int = 1 << 40) -> Verdict:
    """Judge a process at checkpoints that come further and further apart."""
    role, tables = Role("python", 0, 1.0), CollectingTables(per_cycle, keeps=keeps, every=every, most=most)
    role.fix_n_min(N_MIN, asked_for=True)
    role.join((1, 0.0), Descendant(os.getpid(), 1, 0.0, "worker.py", "python", 0), tables, 0)  # type: ignore[arg-type]
    verdict = Verdict.INCONCLUSIVE
    while tables.now <= cycles:
        role.read(tables.now, 0.0, collect=True)
        spacing = max(tables.now // 40, 1)
        verdict = role.judge(N_MIN, is_last=tables.now + spacing > cycles).role.verdict
        tables.now += spacing
    return verdict


@pytest.mark.parametrize("per_cycle", [1, 4, 20])
def test_objects_that_wait_for_a_collection_are_no_leak_however_far_apart_checkpoints_are(per_cycle: int):
    assert judged(per_cycle, keeps=False) is not Verdict.LEAK


def test_as_few_objects_that_each_collection_leaves_are_a_leak():
    assert judged(1, keeps=True) is Verdict.LEAK


def test_a_free_list_that_fills_is_no_leak():
    """A worker of CPython 3.9 came to keep 80 free tables of dicts in a thousand cycles, and was a leak for ever."""
    assert judged(1, keeps=True, every=12, most=80) is not Verdict.LEAK


def test_objects_that_come_rarely_are_a_leak_when_there_are_more_than_any_free_list_keeps():
    assert judged(1, keeps=True, cycles=1500, every=2) is Verdict.LEAK


def test_pages_of_its_parents_packed_tables_that_a_worker_uses_again_are_no_growth():
    role, tables = Role("python", 0, 1.0), CollectingTables(1, keeps=False)
    role.fix_n_min(N_MIN, asked_for=True)
    role.join((1, 0.0), Descendant(os.getpid(), 1, 0.0, "worker.py", "python", 0), tables, 0)  # type: ignore[arg-type]
    (member,) = role.members.values()
    used = [{"rss": 3e7 + 4096 * number, "fds": 5.0, "threads": 1.0} for number in range(8)]
    member.reader = ScriptedReader(used)
    for number in range(len(used)):
        tables.now, tables.saved_bytes = number, 4096 * (8 - number)
        role.read(number, 0.0, collect=False)

    assert [count.rss_bytes for count in member.counts] == [3e7 + 8 * 4096] * 8
    assert role._judge.last["rss"] == 3e7 + 8 * 4096


@pytest.mark.parametrize(("garbage_of_row", "verdict"), [(1 << 40, Verdict.CLEAN), (0, Verdict.INCONCLUSIVE)])
def test_nothing_stays_where_all_that_is_left_is_known_to_be_garbage(garbage_of_row: int, verdict: Verdict):
    survivors = of_a_process_that_never_collects(garbage_of_row)

    assert survivors.verdict is verdict


def test_garbage_beside_it_does_not_hide_what_stays():
    survivors = of_a_process_that_never_collects(garbage_of_row=1)

    assert survivors.verdict is Verdict.INCONCLUSIVE
    assert survivors.rate is not None
    assert survivors.rate > SIZE


def of_a_process_that_never_collects(garbage_of_row: int) -> SeriesVerdict:
    """Return what the births say of one that makes two objects a cycle. Rows of the first cycles are of one cycle."""
    tables = CollectingTables(2, keeps=True)
    tables.garbage_of_row = garbage_of_row
    reader = LedgerReader(lambda: tables, tables.maps, 1.0)
    for cycle in range(1, CYCLES):
        tables.now = cycle
        checkpoint = reader.look()
        assert checkpoint is not None
        reader.take_births(checkpoint, cycle)
        reader.take(checkpoint, cycle)
    survivors = reader.survivors(N_MIN, at_end=True)
    assert survivors is not None
    return survivors
