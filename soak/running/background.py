"""Work in a thread of its own, while the thread that began it goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

_Result = TypeVar("_Result")


class Background(threading.Thread, Generic[_Result]):
    """One piece of work. It shares no state with others while it is at work; its result is taken when it is over."""

    def __init__(self, work: Callable[[], _Result]) -> None:
        """Begin."""
        super().__init__(daemon=True)
        self._work = work
        self._results: list[_Result] = []
        self._error: BaseException | None = None
        self.took_s = 0.0
        """Processor time; known when it is over."""
        self.start()

    def run(self) -> None:
        """Do the work."""
        try:
            self._results.append(self._work())
        except BaseException as error:
            self._error = error
        finally:
            self.took_s = time.thread_time()

    def is_over(self, within_s: float | None = 0.0) -> bool:
        """Wait for so long, or without a limit; return whether it is over."""
        self.join(within_s)
        return not self.is_alive()

    def result(self) -> _Result:
        """Wait until it is over; return what came of it, or raise what it raised."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._results[0]
