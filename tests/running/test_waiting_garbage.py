"""The garbage of a process that collects after a checkpoint only: it is as old as checkpoints are apart."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
from supervisor_builder import LEDGER_SITE, ScriptedLedger

from soak.analysis.sites.labels import LabelledBlocks
from soak.native.layout import PYTHON_OBJ, PYTHON_SITE, ROW
from soak.native.ledger import Checkpoint, Frame, SiteTable
from soak.probes.descendants import Descendant
from soak.probes.ledgers.tables import WatchedTables
from soak.running.processes.role import Role
from soak.verdict import Verdict

CYCLES, N_MIN, SIZE = 1100, 1024, 168


class CollectingTables(ScriptedLedger, WatchedTables):
    """The tables of a process that makes so many objects a cycle.

    All go at each collection; with ``keeps`` none does.
    """

    def __init__(self, per_cycle: int, *, keeps: bool) -> None:
        super().__init__()
        self._per_cycle, self._keeps = per_cycle, keeps
        self.now = self.collected_at = 0
        self.cycles_from = self.born_with_it = 0

    def read(self) -> Checkpoint | None:
        """Return what is alive now, by the cycle of its birth."""
        empty = super().read()
        assert empty is not None
        sites = empty.sites.copy()
        sites["kind"][LEDGER_SITE] = PYTHON_SITE
        born = np.arange(1 + (0 if self._keeps else self.collected_at), self.now + 1)
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
        """See LiveTables."""

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

    def free_tuples(self, groups: dict[int, Collection[int]]) -> dict[int, int]:
        return {}


def judged(per_cycle: int, *, keeps: bool) -> Verdict:
    """Judge a process at checkpoints that come further and further apart."""
    role, tables = Role("python", 0, 1.0), CollectingTables(per_cycle, keeps=keeps)
    role.fix_n_min(N_MIN, asked_for=True)
    role.join((1, 0.0), Descendant(os.getpid(), 1, 0.0, "worker.py", "python", 0), tables, 0)  # type: ignore[arg-type]
    verdict = Verdict.INCONCLUSIVE
    while tables.now <= CYCLES:
        role.read(tables.now, 0.0, collect=True)
        spacing = max(tables.now // 40, 1)
        verdict = role.judge(N_MIN, is_last=tables.now + spacing > CYCLES).role.verdict
        tables.now += spacing
    return verdict


@pytest.mark.parametrize("per_cycle", [1, 4, 20])
def test_objects_that_wait_for_a_collection_are_no_leak_however_far_apart_checkpoints_are(per_cycle: int):
    assert judged(per_cycle, keeps=False) is not Verdict.LEAK


def test_as_few_objects_that_each_collection_leaves_are_a_leak():
    assert judged(1, keeps=True) is Verdict.LEAK
