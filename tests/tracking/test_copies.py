"""Where a process must not wait, its memory is scanned in a copy of it: the same is found, and nothing is left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tracking_builder import soak_text

from soak.analysis.sites.ledger import Suspect
from soak.probes.memory import ProcessMemory
from soak.running.child.child import ScriptedChild
from soak.running.child.child_ring import ScriptedRing
from soak.running.clock import ScriptedClock
from soak.running.scanning.copies import Copies
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


def test_the_program_sees_neither_a_child_nor_a_signal(tmp_path: Path):
    result = soak_text(tmp_path, WATCHES_ITSELF, iterations=500, max_pause_s=0.01)

    assert result.failure is None
    assert result.causes[0].state == "held"


def test_no_copy_is_made_where_nothing_grows():
    """To make one takes the program some milliseconds."""
    child = ScriptedChild(ScriptedClock(), iter(()))
    grows = Suspect(1, SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNDECIDED), 1.0, 48)
    scanner = Scanner(child, ScriptedClock())

    assert scanner.is_due(200, [grows], of_copy=True)
    assert not scanner.is_due(200, [], of_copy=True)


def test_a_copy_from_another_cycle_is_not_given_and_is_ended():
    ring = ScriptedRing()
    copies = Copies(ring, must_not_wait=True)
    copy = os.fork()
    if not copy:
        os.kill(os.getpid(), 19)  # SIGSTOP
    ring.make_snapshot(copy, after_cycle=5)

    with copies.taken(6) as given:
        assert given is None
    with copies.taken(5) as given:
        assert given is None
    with pytest.raises(OSError, match="No such"):
        ProcessMemory(copy)


def test_a_process_that_cannot_be_copied_is_asked_no_more():
    ring = ScriptedRing()
    copies = Copies(ring, must_not_wait=False)
    assert copies.are_better(1e12)
    assert not copies.are_better(1e6)
    copies.ask()
    assert ring.wants_snapshot
    ring.make_snapshot(-1, after_cycle=5)
    with copies.taken(5) as given:
        assert given is None

    copies.ask()
    assert not ring.wants_snapshot
    assert not copies.are_better(1e12)
