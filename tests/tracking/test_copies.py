"""Where a process must not wait, its memory is scanned in a copy of it: the same is found, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
from tracking_builder import soak_text

from soak.analysis.sites.ledger import Suspect
from soak.attribution.holders import UNSCANNED, SiteScan
from soak.measurements import Reading
from soak.probes.memory import ProcessMemory
from soak.running.child.child import ScriptedChild
from soak.running.child.child_ring import ScriptedRing
from soak.running.clock import ScriptedClock
from soak.running.component.reading.checkpoints import Beside, RowReader
from soak.running.scanning import scanner as scans
from soak.running.scanning.copies import Copies, end_copy
from soak.running.scanning.scan import memory_scan
from soak.running.scanning.scanner import Scanner
from soak.verdict import SeriesState, SeriesVerdict, Verdict

LOSES = """
    import ctypes, time
    allocate = ctypes.CDLL(None).malloc
    allocate.restype = ctypes.c_void_p
    def cycle(state):
        time.sleep(0.001)
        allocate(106)
"""
HOLDS = """
    import ctypes, time
    allocate = ctypes.CDLL(None).malloc
    allocate.restype = ctypes.c_void_p
    kept = (ctypes.c_void_p * 100_000)()
    def setup(): return [0]
    def cycle(state):
        time.sleep(0.001)
        kept[state[0]] = allocate(106)
        state[0] += 1
"""
WATCHES_ITSELF = """
    import os, signal, time
    def setup():
        signal.signal(signal.SIGCHLD, lambda *_: os._exit(3))
        return []
    def cycle(state):
        state.append(bytearray(100))
        time.sleep(0.002)
        if len(state) % 50 == 0:
            try:
                os.waitpid(-1, os.WNOHANG)
                raise SystemExit("the copy is a child of the program")
            except ChildProcessError:
                pass
"""
GROWS = Suspect(1, SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNDECIDED), 1.0, 48)
NODES = """
    def setup(): return nodes()
    def nodes(): return [0, *map(allocate, [200] * 30_000)]
"""


@pytest.fixture(autouse=True)
def _no_child_is_left() -> Iterator[None]:
    before = set(psutil.Process().children())
    yield
    assert set(psutil.Process().children()) <= before


def test_blocks_that_are_lost_are_found_in_copies(tmp_path: Path):
    result = soak_text(tmp_path, LOSES, iterations=60_000, max_pause_s=0.01)

    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "lost-scan")
    assert result.causes[0].bytes_per_iteration == pytest.approx(106)
    assert result.signals["children"].last == 0


def test_blocks_that_are_held_are_not_lost_in_copies(tmp_path: Path):
    result = soak_text(tmp_path, HOLDS, iterations=2000, max_pause_s=0.01)

    assert {cause.state for cause in result.causes} == {"held"}
    assert result.decided_by != "lost-scan"


def test_rows_are_read_while_a_copy_is_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A row that is not read in time has no readings from outside, and a short run ends for want of them."""
    rows, seen = [0], []
    read, run = RowReader.read, scans.MemoryScan.run

    def read_and_count(self: RowReader, written: int, beside: Beside) -> list[Reading]:
        readings = read(self, written, beside)
        rows[0] += 1
        return readings

    def wait_for_rows(self: scans.MemoryScan) -> None:
        until, ends_at_s = rows[0] + 3, time.monotonic() + 20
        # Only in the first: at the last checkpoint the process waits for the scan.
        while not seen and rows[0] < until and time.monotonic() < ends_at_s:
            time.sleep(0.001)
        seen.append(rows[0] >= until)
        run(self)

    monkeypatch.setattr(RowReader, "read", read_and_count)
    monkeypatch.setattr(scans.MemoryScan, "run", wait_for_rows)
    monkeypatch.setattr("soak.running.scanning.copies._LARGE_BYTES", 0)
    result = soak_text(tmp_path, LOSES, iterations=60_000)

    assert (result.verdict, result.decided_by) == (Verdict.LEAK, "lost-scan")
    assert seen[0]


def test_of_a_copy_that_ends_while_it_is_scanned_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    find_targets, ended = scans.MemoryScan._find_targets, []

    def find_and_end(self: scans.MemoryScan) -> Any:
        targets = find_targets(self)
        if not ended:
            ended.append(self.memory.pid)
            os.kill(ended[0], signal.SIGKILL)
            while self.memory.mappings():
                time.sleep(0.001)
        return targets

    monkeypatch.setattr(scans.MemoryScan, "_find_targets", find_and_end)
    result = soak_text(tmp_path, HOLDS, iterations=2000, max_pause_s=0.01)

    assert ended
    assert result.decided_by != "lost-scan"
    assert "lost" not in {cause.state for cause in result.causes}


def test_a_scan_that_takes_too_long_at_the_end_is_given_up_with_its_copy(monkeypatch: pytest.MonkeyPatch):
    class NeverRead:
        def __init__(self, pid: int, *_: object, **__: object) -> None:
            self.pid = pid

        def run(self) -> None:
            while psutil.Process(copy).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.001)
            raise ProcessLookupError

        def close(self) -> None:
            pass

    monkeypatch.setattr(scans, "ProcessMemory", NeverRead)
    monkeypatch.setattr(scans, "MemoryScan", NeverRead)
    copy = os.fork() or _sleep()
    scanner = Scanner(ScriptedChild(ScriptedClock(), iter(())), ScriptedClock())
    checkpoint: Any = SimpleNamespace(cycle=200)
    scanner.begin_copy(copy, checkpoint, [GROWS])
    assert scanner.is_reading
    assert not scanner.is_due(400, [GROWS], of_copy=True)
    scanner.take_in()
    assert scanner.is_reading

    scanner.finish_copy(0.01)

    assert not scanner.is_reading
    assert not psutil.pid_exists(copy)
    assert scanner.reachability(GROWS.site) is UNSCANNED


def test_many_blocks_from_before_the_cycles_do_not_keep_a_scan_from_those_of_the_cycles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A heap of nodes that setup makes by the same call has more blocks than can be looked for."""
    monkeypatch.setattr(memory_scan, "_MOST_BLOCKS", 20_000)
    monkeypatch.setattr(memory_scan, "_MOST_BLOCKS_BESIDE", 5_000)
    lost = soak_text(tmp_path / "lost", LOSES + NODES, iterations=60_000)
    held = soak_text(tmp_path / "held", HOLDS.replace("return [0]", "return nodes()") + NODES, iterations=2000)

    assert (lost.verdict, lost.decided_by) == (Verdict.LEAK, "lost-scan")
    assert {cause.state for cause in held.causes} == {"held"}


def test_the_program_sees_neither_a_child_nor_a_signal(tmp_path: Path):
    result = soak_text(tmp_path, WATCHES_ITSELF, iterations=500, max_pause_s=0.01)

    assert result.failure is None
    assert result.causes[0].state == "held"


def test_no_copy_is_made_where_nothing_grows():
    """To make one takes the program some milliseconds."""
    child = ScriptedChild(ScriptedClock(), iter(()))
    scanner = Scanner(child, ScriptedClock())

    assert scanner.is_due(200, [GROWS], of_copy=True)
    assert not scanner.is_due(200, [], of_copy=True)


def test_no_scan_begins_that_takes_longer_than_what_is_left(monkeypatch: pytest.MonkeyPatch):
    """On a busy machine one may take half a minute by the clock, in which no cycle runs; one of a copy holds nobody."""
    clock = ScriptedClock()
    scanner = Scanner(ScriptedChild(clock, iter(())), clock)
    checkpoint: Any = SimpleNamespace(cycle=200)

    @contextlib.contextmanager
    def long(_pid: int) -> Iterator[bool]:
        clock.advance(30.0)
        yield False

    monkeypatch.setattr(scans, "held_still", long)
    assert scanner.is_due(200, [GROWS], left_s=1.0)  # nobody knows yet how long it takes

    scanner.scan(checkpoint, [GROWS])

    assert not scanner.is_due(400, [GROWS], left_s=29.0)
    assert scanner.is_due(400, [GROWS], left_s=31.0)
    assert scanner.is_due(400, [GROWS], left_s=29.0, of_copy=True)


@pytest.mark.parametrize(
    ("survivors", "is_all_held", "other_bytes", "is_outdated"),
    [(0, True, 1.0, True), (9, True, 1.0, False), (0, False, 1.0, False), (0, True, 500.0, False)],
)
def test_what_is_made_anew_in_each_cycle_is_looked_at_after_the_last_one(
    survivors: int, is_all_held: bool, other_bytes: float, is_outdated: bool
):
    """Not the table of a list whose items grow more: they tell who holds both."""
    scanner = Scanner(ScriptedChild(ScriptedClock(), iter(())), ScriptedClock())
    grows = replace(GROWS, verdict=replace(GROWS.verdict, rate=2.0))
    other = replace(grows, site=grows.site + 1, verdict=replace(grows.verdict, rate=other_bytes))
    none = np.zeros(0, np.uint64)
    alive = np.arange(survivors, dtype=np.uint64)
    scan = SiteScan(200, alive, none, survivors, is_all_held, None, 0, None, None, (), None)
    assert not scanner.is_outdated([grows, other])

    scanner._scans = {GROWS.site: [scan], other.site: [replace(scan, alive=np.arange(9, dtype=np.uint64))]}

    assert scanner.is_outdated([grows, other]) is is_outdated
    assert not scanner.is_outdated([])


@pytest.mark.parametrize(
    ("was_scanned", "survivors", "blocks_per_cycle", "share", "is_outdated"),
    [
        (True, 2, 1.0, 0.1, True),
        (False, 0, 1.0, 0.1, True),
        (True, 9, 1.0, 0.1, False),
        (True, 2, 1.0, 0.04, False),
        (True, 2, 0.0, 0.1, False),
    ],
)
def test_what_began_to_stay_after_the_latest_scan_is_looked_at_after_the_last_cycle(
    was_scanned: bool, survivors: int, blocks_per_cycle: float, share: float, is_outdated: bool
):
    """The keys of a cache are new ints from 257 on; on a busy machine the latest scan may be before they are old."""
    scanner = Scanner(ScriptedChild(ScriptedClock(), iter(())), ScriptedClock())
    values = replace(GROWS, verdict=replace(GROWS.verdict, rate=1.0 - share))
    rate = replace(GROWS.verdict, rate=share)
    keys = replace(GROWS, site=GROWS.site + 1, verdict=rate, blocks_per_cycle=blocks_per_cycle)
    scan = SiteScan(200, np.arange(9, dtype=np.uint64), np.zeros(0, np.uint64), 9, True, None, 0, None, None, (), None)
    young = replace(scan, alive=np.arange(survivors, dtype=np.uint64), held=survivors)

    scanner._scans = {values.site: [scan], **({keys.site: [young]} if was_scanned else {})}

    assert scanner.is_outdated([values, keys]) is is_outdated


def test_a_copy_from_another_cycle_is_not_given_and_is_ended():
    ring = ScriptedRing()
    copies = Copies(ring, max_pause_s=0.01)
    copy = os.fork()
    if not copy:
        os.kill(os.getpid(), 19)  # SIGSTOP
    ring.make_snapshot(copy, after_cycle=5)

    assert copies.take(6) is None
    assert copies.take(5) is None
    with pytest.raises(OSError, match="No such"):
        ProcessMemory(copy)


def test_a_process_that_cannot_be_copied_is_asked_no_more():
    ring = ScriptedRing()
    copies = Copies(ring, max_pause_s=None)
    assert copies.are_better(1e12)
    assert not copies.are_better(1e6)
    copies.ask(1e12)
    assert ring.wants_snapshot
    ring.make_snapshot(-1, after_cycle=5)
    assert copies.take(5) is None

    copies.ask(1e12)
    assert not ring.wants_snapshot
    assert not copies.are_better(1e12)


def test_a_process_that_takes_longer_to_copy_than_its_pauses_may_is_copied_once_in_200_pauses():
    ring, asked = ScriptedRing(), []
    copies = Copies(ring, max_pause_s=0.01)
    for pauses in range(1, 850):
        ring.pause_often(pauses)
        copies.ask(4e9)
        if ring.wants_snapshot:
            asked.append(pauses)
            ring.make_snapshot(os.fork() or _sleep(), after_cycle=pauses, took_s=0.08)
            end_copy(copies.take(pauses) or 0)

    assert asked == [200, 400, 600, 800]


def test_how_long_the_next_copy_takes_is_known_from_the_last():
    """Where the kernel is faster than most, a process of gigabytes is copied within its budget."""
    ring, asked = ScriptedRing(), 0
    copies = Copies(ring, max_pause_s=0.01)
    ring.pause_often(200)
    for _ in range(5):
        copies.ask(4e9)
        asked += ring.wants_snapshot
        ring.make_snapshot(os.fork() or _sleep(), after_cycle=7, took_s=0.004)
        end_copy(copies.take(7) or 0)
    small = Copies(ring, max_pause_s=0.01)
    ring.pause_often(1)
    small.ask(1e8)

    assert asked == 5
    assert ring.wants_snapshot


def _sleep() -> int:
    time.sleep(60)
    os._exit(0)
