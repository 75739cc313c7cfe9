"""Cells on this machine, some at a time."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from soak.matrix.cells import Cell
from soak.running.environment import host_name
from soak.running.fleet.cell_process import CellLostError, run_cell_process
from soak.running.fleet.engine import Ended


class LocalJobs:
    """An engine with this machine as its only host."""

    def __init__(self, folder: Path, jobs: int) -> None:
        """Measure ``jobs`` cells at a time into the folder of a fleet."""
        self._folder = folder
        self._pool = ThreadPoolExecutor(max_workers=jobs)
        self._ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._at_work: dict[str, str] = {}
        self._places = [f"job {number}" for number in range(jobs, 0, -1)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def submit(self, cell: Cell, avoid: Collection[str] = ()) -> None:
        """See Engine."""
        del avoid  # there is no other host
        self._pool.submit(self._run, cell)

    def next_ended(self, timeout_s: float) -> Ended | None:
        """See Engine."""
        try:
            return self._ended.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def at_work(self) -> Mapping[str, str]:
        """See Engine."""
        with self._lock:
            return dict(self._at_work)

    def leave_out(self, host: str) -> bool:
        """See Engine."""
        del host
        return False

    def stop(self) -> None:
        """See Engine."""
        self._stopping.set()
        self._pool.shutdown(cancel_futures=True)

    def _run(self, cell: Cell) -> None:
        with self._lock:
            place = self._places.pop()
            self._at_work[place] = cell.id
        cause = None
        try:
            run_cell_process(self._folder, cell, os.environ, self._stopping.is_set)
        except (CellLostError, OSError) as error:
            cause = str(error)
        finally:
            with self._lock:
                del self._at_work[place]
                self._places.append(place)
            self._ended.put(Ended(cell.id, host_name(), cause))
