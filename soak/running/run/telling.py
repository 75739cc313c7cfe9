"""Who is told how a run goes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Protocol

from soak.progress import Progress
from soak.results import ComponentResult


class RunListener(Protocol):
    """Who is told how a run goes. Calls come from the threads that supervise components, one call at a time."""

    def limit_memory(self, max_rss_bytes: float) -> None:
        """Take note that a component which is given no ``--max-rss`` is stopped at this RSS."""

    def stage(self, note: str) -> None:
        """See what the run as a whole is at; empty while its components are at work."""

    def begin(self, component: str, position: int, total: int) -> None:
        """Take note that ``component``, the ``position``-th of ``total`` (from 1), is at work."""

    def update(self, component: str, progress: Progress) -> None:
        """See how far a component is."""

    def so_far(self, result: ComponentResult) -> None:
        """See what can be said of a component at work."""

    def done(self, result: ComponentResult) -> None:
        """See what was found: ``result.name`` is finished."""


class Teller:
    """Tells a listener, one call at a time, whichever thread it comes from."""

    def __init__(self, listener: RunListener) -> None:
        """Tell ``listener``."""
        self._listener = listener
        self._telling = threading.Lock()

    def tell(self, call: Callable[[RunListener], None]) -> None:
        """Make a call of the listener. A terminal that was closed takes nothing any more; the run goes on."""
        with self._telling, contextlib.suppress(OSError):
            call(self._listener)
