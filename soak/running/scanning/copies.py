"""Copies of the measured process, whose memory is scanned while the process itself goes on.

A scan reads all memory, a gigabyte in one to two seconds. Where the process must not stand still for so long, it makes
a copy of itself at a checkpoint, which takes the kernel some milliseconds for each gigabyte.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from soak.running.child.child_ring import ChildRing

_LARGE_BYTES = 512 << 20
"""A process of this size is copied even where a pause has no budget."""
_LARGEST_SCORE = "1000"
_S_PER_BYTE = 0.03 / (1 << 30)
"""What the kernel takes to copy page tables, before it is known of a process."""
_LONG_PAUSES_APART = 200
"""Of so many pauses one may be longer than the budget, for a copy. 99 of 100 are to keep to it, and a collection of all
objects may exceed it too."""


class Copies:
    """Asks one process for copies, and ends each when it has been looked at."""

    def __init__(self, ring: ChildRing, *, max_pause_s: float | None) -> None:
        """Ask for nothing yet. ``max_pause_s``: the budget of a pause of the process; None if it has none."""
        self._ring = ring
        self._max_pause_s = max_pause_s
        self._is_possible = True
        self._s_per_byte = _S_PER_BYTE
        self._asked_at_bytes = 0.0
        self._long_pauses = 0

    def are_better(self, rss_bytes: float) -> bool:
        """Tell whether to scan a copy, and not the process while it is stopped."""
        return self._max_pause_s is not None or (self._is_possible and rss_bytes >= _LARGE_BYTES)

    def ask(self, rss_bytes: float) -> None:
        """Have a copy made of the process, which is so large, at the next checkpoint; unless it would wait too long.

        A large process waits longer than its budget, so it is copied seldom. After its last cycle none waits.
        """
        is_long = self._max_pause_s is not None and rss_bytes * self._s_per_byte > self._max_pause_s
        may_be_long = (self._long_pauses + 1) * _LONG_PAUSES_APART <= self._ring.pause_count
        if self._is_possible and (may_be_long or not is_long):
            self._asked_at_bytes = rss_bytes
            self._ring.ask_for_snapshot()

    def take(self, cycle: int | None) -> int | None:
        """Return the number of the copy of the process as it was after this cycle, or None; the caller has to end it.

        A copy from after another cycle is ended. Call it often enough that none is left.
        """
        number, of_cycle = self._ring.take_snapshot()
        self._is_possible = self._is_possible and number >= 0
        if number > 0:
            self._learn(self._ring.snapshot_cpu_s)
        if number > 0 and of_cycle == cycle:
            let_go_first(number)
            return number
        if number > 0:
            end_copy(number)
        return None

    def _learn(self, took_s: float) -> None:
        """Take note of how long a copy took; how long the process waited for a processor says nothing of the next."""
        self._long_pauses += self._max_pause_s is not None and took_s > self._max_pause_s
        if self._asked_at_bytes and took_s:
            self._s_per_byte = took_s / self._asked_at_bytes


def end_copy(number: int) -> None:
    """End a copy. It is a child of ours, or, that of a watched process, of the system's first process."""
    give_up_copy(number)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(number, 0)


def give_up_copy(number: int) -> None:
    """Free the memory of a copy that somebody else reads, and will end."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(number, signal.SIGKILL)


def let_go_first(number: int) -> None:
    """Have the kernel end the copy first where memory runs out."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{number}/oom_score_adj").write_text(_LARGEST_SCORE, encoding="ascii")
