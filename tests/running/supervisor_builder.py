"""Supervises scripted children: no process, and time that passes only in the script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from running_builder import a_plan

from soak.measurements import Reading
from soak.native.layout import NATIVE_SITE, RANGE, ROW, SITE, STATE_NATIVE, STATE_PYTHON_DOMAINS
from soak.native.ledger import Checkpoint, Ledger, SiteTable
from soak.running.child.child import ScriptedChild
from soak.running.clock import ScriptedClock
from soak.running.component.observations import ComponentProgress, Observations
from soak.running.component.supervisor import Supervisor
from soak.running.context import RunContext
from soak.running.interpreter import Interpreter

AT_REST = {"heap": 1e6, "python_blocks": 5e4, "fds": 5.0, "threads": 1.0, "children": 0.0, "rss": 3e7, "mapped": 9e7}
"""What a child that does nothing reads."""
HOUR_S = 3600.0


def a_course(
    cycles: int,
    *,
    cycle_s: float = 1e-3,
    at_s: Callable[[int], float] | None = None,
    every: int = 16,
    **growth: float | Callable[[int], float],
) -> Iterator[Reading]:
    """Read a child at every so many of its cycles.

    ``at_s``: when a cycle ends, where not all take ``cycle_s``. ``growth``: of signals, per cycle or as a function of
    the cycle.
    """
    for cycle in range(0, cycles + 1, every):
        grown = {name: rate(cycle) if callable(rate) else rate * cycle for name, rate in growth.items()}
        values = {name: float(int(at + grown.get(name, 0.0))) for name, at in AT_REST.items()}
        yield Reading(cycle, cycle * cycle_s if at_s is None else at_s(cycle), values)


LEDGER_SITE = 2


class ScriptedLedger(Ledger):
    """A tracker's ledger of one site, at which a child keeps so many bytes of each cycle."""

    OWN_BYTES = 1 << 20
    state = STATE_NATIVE | STATE_PYTHON_DOMAINS

    def __init__(self, *, bytes_per_cycle: int = 0, lost_blocks: int = 0) -> None:
        self._bytes_per_cycle = bytes_per_cycle
        self._lost_blocks = lost_blocks
        self.cycle: Callable[[], int] = lambda: 0
        self.flagged: list[int] = []
        self.waited: list[bool] = []
        """Of each time it was read: whether the child waited for that."""
        self.has_waiting_child: Callable[[], bool] = lambda: False

    def read(self) -> Checkpoint | None:
        """Return what is alive at the child's last checkpoint: blocks of all its cycles, in the epochs' buckets."""
        cycle = self.cycle()
        self.waited.append(self.has_waiting_child())
        sites = np.zeros(LEDGER_SITE + 1, SITE)
        sites["kind"][LEDGER_SITE], sites["address"][LEDGER_SITE] = NATIVE_SITE, 0x1000
        checkpoint = Checkpoint(
            sequence=cycle + 1,
            cycle=cycle,
            shift=0,
            rows=np.zeros(0, ROW),
            births=np.zeros(len(sites), np.uint64),
            site_table=SiteTable(sites),
            ranges=np.array([(1 << 30, (1 << 30) + self.OWN_BYTES)], RANGE),
            live_blocks=cycle if self._bytes_per_cycle else 0,
            live_bytes=cycle * self._bytes_per_cycle,
            unlisted_blocks=0,
            unlisted_bytes=0,
            lost_blocks=self._lost_blocks,
            lost_sites=0,
            lost_mappings=0,
            scan_ns=0,
            reinstalled=0,
        )
        if not checkpoint.live_blocks:
            return checkpoint
        buckets, born = np.unique(np.searchsorted(checkpoint.births_end, np.arange(1, cycle + 1)), return_counts=True)
        rows = np.zeros(len(buckets), ROW)
        rows["site"], rows["bucket"] = LEDGER_SITE, buckets
        rows["live_blocks"], rows["live_bytes"] = born, born * self._bytes_per_cycle
        return replace(checkpoint, rows=rows)

    def request_flags(self, sites: list[int]) -> None:
        self.flagged += sites

    def close(self) -> None:
        pass

    def _string(self, offset: int) -> str:
        return ""

    def _stack_words(self, at: int) -> tuple[int, ...]:
        return ()


@dataclass
class Supervised:
    """What the supervisor of a scripted child observed, and what it told meanwhile."""

    observed: Observations
    child: ScriptedChild
    clock: ScriptedClock
    n_mins: list[int] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    so_far: list[Observations] = field(default_factory=list)


def supervise(
    course: Iterator[Reading],
    *,
    on_progress: Callable[[ComponentProgress, ScriptedClock, threading.Event], object] = lambda *_: None,
    read_temperature_c: Callable[[], float | None] = lambda: None,
    ledger: ScriptedLedger | None = None,
    child: dict[str, Any] | None = None,
    **plan: Any,
) -> Supervised:
    """Supervise a child that takes this course. ``child``: how it behaves otherwise; ``plan``: as of `a_plan`."""
    clock, stopping = ScriptedClock(), threading.Event()
    scripted = ScriptedChild(clock, course, ledger=ledger, **(child or {}))
    if ledger is not None:
        ledger.cycle = lambda: scripted.ring.counted
        ledger.has_waiting_child = lambda: scripted.ring.rows_acknowledged < scripted.ring.rows_written
    context = RunContext(
        Interpreter("python", (3, 11, 0)), Path(), stopping, None, "scripted", read_temperature_c=read_temperature_c
    )
    n_mins: list[int] = []
    readings: list[Reading] = []
    notes: list[str] = []
    so_far: list[Observations] = []

    def progress(seen: ComponentProgress) -> None:
        notes.append(seen.note)
        so_far.extend([] if seen.so_far is None else [seen.so_far])
        on_progress(seen, clock, stopping)

    supervisor = Supervisor(
        scripted,
        clock,
        a_plan(**{"iterations": None, "early_stop": True, "full_budget": False, "n_min": None} | plan),
        context,
        on_n_min=n_mins.append,
        on_readings=readings.extend,
        on_progress=progress,
    )
    return Supervised(supervisor.run(), scripted, clock, n_mins, readings, notes, so_far)
