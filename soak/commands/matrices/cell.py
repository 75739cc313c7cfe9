"""Measure one cell of a matrix. ``soak matrix`` and ``soak fleet`` start it; it is no command for people."""

from __future__ import annotations

import json
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from soak.commands.measuring.run import settings_of
from soak.documents import from_document
from soak.inside.child import die_with_parent
from soak.matrix.cells import Cell, Fleet
from soak.reporting.write import write_reports
from soak.running.fleet.cell_run import measure_cell
from soak.store.database import RunStore
from soak.store.fleets import read_fleet


def main(arguments: list[str]) -> int:
    """Measure the cell that the arguments name: the parent's process, the fleet's folder, the cell as JSON."""
    parent, folder, cell = int(arguments[0]), Path(arguments[1]), from_document(Cell, json.loads(arguments[2]))
    die_with_parent(parent)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    fleet = read_fleet(folder)
    measure_cell(fleet, folder, cell, cell_settings(fleet, cell), write_cell_reports, stopping)
    return 0


def cell_settings(fleet: Fleet, cell: Cell) -> dict[str, Any]:
    """Return the settings that the report of a cell shows."""
    return settings_of(fleet.plan_of(cell, cell.column.python), fleet.command)


def write_cell_reports(store: RunStore, folder: Path) -> None:
    """Write the reports of a cell beside its database; ``folder`` is the one that both will be in."""
    result = store.read_run()
    write_reports(replace(result, folder=str(folder)), store.read_readings, Path(result.folder))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
