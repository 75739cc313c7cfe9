"""Keep a watch as a run: its readings while it goes on, its result at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import soak
from soak.measurements import Reading
from soak.results import SCHEMA_VERSION, ComponentResult
from soak.running.environment import describe_environment
from soak.running.interpreter import find_interpreter
from soak.store.database import RunStore
from soak.store.runs import claimed, create_run, new_run_folder

_KEPT_BACK = 64
"""Cycles whose readings may still get values: counts of the ledger come some samples later, seldom more than these."""


class WatchRecord:
    """Writes what a watch reads into the database of a run."""

    def __init__(self, store: RunStore, name: str) -> None:
        """Keep nothing yet. ``name``: of what is watched."""
        self._store = store
        self._name = name
        self._waiting: dict[int, Reading] = {}
        self.begin()

    def begin(self) -> None:
        """Begin again: the process became another program, or its cycles are counted in another way."""
        self._waiting.clear()
        self._component = self._store.begin_component(self._name, _now())

    def add(self, cycle: int, at_s: float, values: dict[str, float]) -> None:
        """Take in values that were read at a cycle, perhaps not for the first time."""
        self._waiting.setdefault(cycle, Reading(cycle, at_s)).values.update(values)
        if len(self._waiting) > 2 * _KEPT_BACK:
            self._write(_KEPT_BACK)

    def finish(self, result: ComponentResult) -> None:
        """Write the rest, and the result."""
        self._write(0)
        self._store.write_result(self._component, result)
        self._store.write_facts(finished=_now())

    def _write(self, kept_back: int) -> None:
        cycles = sorted(self._waiting)
        done = cycles[: len(cycles) - kept_back]
        self._store.write_readings(self._component, [self._waiting.pop(cycle) for cycle in done], completes=True)


@contextlib.contextmanager
def new_record(out: Path, settings: dict[str, Any], name: str) -> Iterator[tuple[RunStore, WatchRecord]]:
    """Give the open database of a new run and its record. Raises UsageError when it cannot be written.

    ``settings``: plain facts for the report. ``name``: of what is watched.
    """
    started = datetime.now(UTC)
    folder = new_run_folder(out, started.astimezone())
    store = create_run(
        folder,
        run=folder.name,
        started=started.isoformat(timespec="seconds"),
        soak=soak.__version__,
        schema=SCHEMA_VERSION,
        environment=describe_environment(find_interpreter(None)),
        settings=settings,
    )
    with claimed(folder), store:
        yield store, WatchRecord(store, name)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
