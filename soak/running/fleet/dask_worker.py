"""What runs in a worker of Dask: it says who it is, and has cells measured in processes of their own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dask

import soak
from soak.documents import from_document
from soak.matrix.cells import Cell
from soak.running.environment import host_name
from soak.running.fleet.cell_process import CellLostError, run_cell_process
from soak.store.fleets import begin_attempt

VERSIONS = ("dask", "distributed")
"""The packages that must have the same version everywhere."""


@dataclass(frozen=True)
class WorkerFacts:
    """What a worker says of itself."""

    host: str
    versions: dict[str, str]


def own_facts() -> WorkerFacts:
    """Describe this process."""
    return WorkerFacts(host_name(), {"soak": soak.__version__, **{name: version(name) for name in VERSIONS}})


def measure_on_worker(folder: str, document: dict[str, Any], attempt: int) -> tuple[str, str | None]:
    """Measure a cell; return the host, and why the cell has no run, or None when it has one.

    If a worker is lost, Dask may start its task on another worker. But the fleet decides how often a cell is
    tried, so the second start of one attempt counts as the loss of the first.
    """
    cell = from_document(Cell, document)
    host = host_name()
    before = begin_attempt(Path(folder), cell.id, attempt, host)
    if before is not None:
        return before, "the worker was lost"
    try:
        run_cell_process(Path(folder), cell, _plain_environment())
    except (CellLostError, OSError) as error:
        return host, str(error)
    return host, None


def _plain_environment() -> dict[str, str]:
    """Return the environment without what Dask has set in it: it changes the allocator and threads of the program."""
    added = dask.config.get("distributed.nanny.pre-spawn-environ", default={}) or {}
    return {name: value for name, value in os.environ.items() if str(added.get(name)) != value}
