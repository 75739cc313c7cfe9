"""A matrix as one run, for what knows runs only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from soak.matrix.columns import requirement_words
from soak.matrix.merged import CellRun, Matrix
from soak.results import SCHEMA_VERSION, ComponentResult, RunResult


def as_one_run(matrix: Matrix, components: Iterable[ComponentResult]) -> RunResult:
    """Return a run with these components, and with the leaks that any of the runs knows."""
    known = sorted({fingerprint for run in matrix.runs for fingerprint in run.known})
    return RunResult(
        schema=SCHEMA_VERSION,
        run=matrix.run,
        folder=matrix.folder,
        started=min((run.started for run in matrix.runs), default=""),
        finished=None,
        soak=matrix.soak,
        environment={},
        settings={"known": known},
        controls=None,
        parts=None,
        components=tuple(components),
    )


def cells_by_name(matrix: Matrix) -> list[ComponentResult]:
    """Return the worst result of each cell, under a name that is the same in every matrix that has this cell."""
    worst = [cell.worst for cell in matrix.cells if cell.worst is not None]
    return [dataclasses.replace(run.result, name=_name(run)) for run in worst]


def _name(run: CellRun) -> str:
    column = run.key
    python = [column.minor.replace("CPython", "Python") or column.asked_python] if column.asked_python else []
    versions = python + [requirement_words(each) for each in column.requirements]
    return f"{run.result.name} with {', '.join(versions)}" if versions else run.result.name
