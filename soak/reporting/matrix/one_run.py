"""A matrix as one run, for what knows runs only."""

from __future__ import annotations

import dataclasses

from soak.matrix.columns import requirement_words
from soak.matrix.merged import CellRun, Matrix
from soak.results import SCHEMA_VERSION, RunResult


def as_one_run(matrix: Matrix) -> RunResult:
    """Return a run whose components are the cells, each by its worst result; it knows the leaks that any run knows."""
    worst = [cell.worst for cell in matrix.cells if cell.worst is not None]
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
        components=tuple(dataclasses.replace(run.result, name=name_everywhere(run)) for run in worst),
    )


def name_everywhere(run: CellRun) -> str:
    """Name a run's cell so that it has this name in every matrix: not by what columns of this one differ in."""
    column = run.key
    python = [column.minor.replace("CPython", "Python") or column.asked_python] if column.asked_python else []
    versions = python + [requirement_words(each) for each in column.requirements]
    return f"{run.result.name} with {', '.join(versions)}" if versions else run.result.name
