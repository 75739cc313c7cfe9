"""Copies of the measured process, whose memory is scanned while the process itself goes on.

A scan reads all memory, a gigabyte in one to two seconds. Where the process must not stand still for so long, it makes
a copy of itself at a checkpoint, which takes the kernel some milliseconds for each gigabyte.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

from soak.running.child.child_ring import ChildRing

_LARGE_BYTES = 512 << 20
"""A process of this size is copied even where a pause has no budget."""


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

    @contextlib.contextmanager
    def taken(self, cycle: int | None) -> Iterator[int | None]:
        """Give the number of the copy of the process as it was after this cycle, or None; end it afterwards.

        A copy from after another cycle is ended as well. Call it often enough that none is left.
        """
        number, of_cycle = self._ring.take_snapshot()
        self._is_possible = self._is_possible and number >= 0
        try:
            yield number if number > 0 and of_cycle == cycle else None
        finally:
            if number > 0:
                _end(number)


def _end(number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(number, 0)
