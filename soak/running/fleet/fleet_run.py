"""The cells of a fleet from the first to the last: each is measured, given up, or left undone with a reason."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from soak.matrix.cells import Cell, Fleet
from soak.matrix.merged import MissingCell
from soak.results import ComponentResult
from soak.running.fleet.cell_run import OnRun, write_failed_cell
from soak.running.fleet.engine import Ended, Engine, EngineLostError
from soak.running.fleet.losses import UNKNOWN_HOST, Loss, Losses
from soak.store.fleets import is_done, wait_until_done
from soak.store.runs import open_run

_LOOK_S = 0.5
_SEEN_WITHIN_S = 60.0
"""A network file system may hide a folder that another host made for up to this long."""
CANCELLED = "cancelled before it was measured"


class FleetListener(Protocol):
    """Who is told how a fleet goes."""

    def begin(self, cells: int, done_before: int) -> None:
        """Take note of how many cells there are, and how many have their run already."""

    def at_work(self, cells: Mapping[str, Cell]) -> None:
        """See what each host is at."""

    def done(self, cell: Cell, host: str | None, result: ComponentResult) -> None:
        """See what was found in a cell."""

    def lost(self, cell: Cell, loss: Loss) -> None:
        """Take note that a cell was lost, and will be measured once more."""

    def left_out(self, host: str) -> None:
        """Take note that a host was lost too often and gets no more cells."""


class FleetRun:
    """Measures the cells that have no run yet."""

    def __init__(
        self,
        fleet: Fleet,
        folder: Path,
        listener: FleetListener,
        settings_of_cell: Callable[[Fleet, Cell], dict[str, Any]],
        on_run: OnRun,
    ) -> None:
        """Prepare; ``settings_of_cell`` and ``on_run`` are for the runs of cells that are given up."""
        self._fleet = fleet
        self._folder = folder
        self._listener = listener
        self._settings_of_cell = settings_of_cell
        self._on_run = on_run
        self._losses = Losses()
        self._cells = {cell.id: cell for cell in fleet.cells}
        self.problems: list[str] = []
        """What kept cells from being measured, a line each."""

    def run(self, engine: Engine, stopping: threading.Event) -> list[MissingCell]:
        """Measure until each cell has its run, or it is told to stop; return the cells without one, with the reason."""
        waiting = [cell for cell in self._cells.values() if not is_done(self._folder, cell.id)]
        self._listener.begin(len(self._cells), len(self._cells) - len(waiting))
        pending = {cell.id: cell for cell in waiting}
        reason = CANCELLED
        try:
            for cell in waiting:
                engine.submit(cell)
            while pending and not stopping.is_set():
                ended = engine.next_ended(_LOOK_S)
                self._listener.at_work({place: self._cells[cell_id] for place, cell_id in engine.at_work().items()})
                if ended is not None and ended.cell_id in pending and self._settle(ended, engine):
                    del pending[ended.cell_id]
        except EngineLostError as error:
            reason = str(error)
            self.problems.append(reason)
        if pending:
            engine.stop()
        return [cell.missing(reason) for cell in self._without_run(list(pending.values()))]

    def _without_run(self, cells: Sequence[Cell]) -> list[Cell]:
        return [cell for cell in cells if not is_done(self._folder, cell.id)]

    def _settle(self, ended: Ended, engine: Engine) -> bool:
        """See to a cell that has ended; tell whether it has its run now."""
        cell = self._cells[ended.cell_id]
        cause = ended.cause
        if not is_done(self._folder, cell.id):
            if cause is None and not wait_until_done(self._folder, cell.id, _SEEN_WITHIN_S):
                cause = f"its run is not to be seen in {self._folder}; --out must be a folder that all hosts share;"
            if cause is not None and not self._is_settled_after(Loss(ended.host or UNKNOWN_HOST, cause), cell, engine):
                return False
        with open_run(self._folder / cell.id) as store:
            result = store.read_run().components[0]
        self._listener.done(cell, ended.host, result)
        return True

    def _is_settled_after(self, loss: Loss, cell: Cell, engine: Engine) -> bool:
        """Measure a lost cell once more, or give it up; tell whether it has its run now."""
        again = self._losses.add(cell.id, loss)
        if self._losses.is_left_out(loss.host) and engine.leave_out(loss.host):
            self._listener.left_out(loss.host)
        if again:
            self._listener.lost(cell, loss)
            engine.submit(cell, self._losses.hosts_of(cell.id))
            return False
        settings = self._settings_of_cell(self._fleet, cell)
        environment = {"host": ", ".join(sorted(self._losses.hosts_of(cell.id)))}
        reason = self._losses.reason(cell.id)
        write_failed_cell(self._fleet, self._folder, cell, reason, settings, self._on_run, environment)
        return True
