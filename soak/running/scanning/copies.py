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


class Copies:
    """Asks one process for copies, and ends each when it has been looked at."""

    def __init__(self, ring: ChildRing, *, must_not_wait: bool) -> None:
        """Ask for nothing yet. ``must_not_wait``: the pauses of the process have a budget."""
        self._ring = ring
        self._must_not_wait = must_not_wait
        self._is_possible = True

    def are_better(self, rss_bytes: float) -> bool:
        """Tell whether to scan a copy, and not the process while it is stopped."""
        return self._must_not_wait or (self._is_possible and rss_bytes >= _LARGE_BYTES)

    def ask(self) -> None:
        """Have a copy made at the next checkpoint."""
        if self._is_possible:
            self._ring.ask_for_snapshot()

    def take(self, cycle: int | None) -> int | None:
        """Return the number of the copy of the process as it was after this cycle, or None; the caller has to end it.

        A copy from after another cycle is ended. Call it often enough that none is left.
        """
        number, of_cycle = self._ring.take_snapshot()
        self._is_possible = self._is_possible and number >= 0
        if number > 0 and of_cycle == cycle:
            let_go_first(number)
            return number
        if number > 0:
            end_copy(number)
        return None


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
