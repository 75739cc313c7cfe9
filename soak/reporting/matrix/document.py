"""``report.json`` of a matrix: schema 1 with "cells"."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from soak.analysis.matrix import VersionChange
from soak.matrix.merged import CellRun, Matrix, MatrixCell
from soak.reporting import words as say
from soak.reporting.formats.json_report import cause_document, finite
from soak.reporting.matrix.outcome import matrix_exit_code
from soak.reporting.matrix.page import runs_by_host
from soak.reporting.words import matrix as words
from soak.reporting.words import matrix_names as names
from soak.results import SCHEMA_VERSION


def render_matrix_json(matrix: Matrix, changes: Sequence[VersionChange]) -> str:
    """Write a matrix as JSON: one object a cell, with all its runs; rates per cycle."""
    document = {
        "schema": SCHEMA_VERSION,
        "run": matrix.run,
        "folder": matrix.folder,
        "soak": matrix.soak,
        "command": matrix.command,
        "headline": words.matrix_headline(matrix, changes),
        "exit_code": matrix_exit_code(matrix),
        "problems": list(matrix.problems),
        "columns": [
            {**dataclasses.asdict(column), "title": names.column_title(matrix, column)} for column in matrix.columns
        ],
        "changes": [_change(matrix, change) for change in changes],
        "hosts": [
            {**dataclasses.asdict(host), "runs": len({run.run for run in runs})} for host, runs in runs_by_host(matrix)
        ],
        "cells": [_cell(matrix, cell) for cell in matrix.cells],
    }
    return json.dumps(finite(document), indent=1, allow_nan=False, default=str) + "\n"


def _cell(matrix: Matrix, cell: MatrixCell) -> dict[str, Any]:
    """Return a cell: that of its worst run, and what each of its runs found."""
    worst = cell.worst
    head: dict[str, Any] = {
        "id": cell.missing.id if cell.missing else (worst.id if worst else ""),
        "component": cell.component,
        "column": names.column_title(matrix, cell.column),
        "python": worst.python if worst else "",
        "requirements": list(cell.column.requirements),
        "verdict": cell.verdict,
        "disputed": cell.is_disputed,
        "missing": cell.missing.reason if cell.missing else None,
    }
    return {**head, **(_result(worst) if worst else {}), "runs": [_run(run) for run in cell.runs]}


def _result(run: CellRun) -> dict[str, Any]:
    result = run.result
    return {
        "why": say.why_words(result),
        "growth": None if result.growth is None else dataclasses.asdict(result.growth),
        "iterations": result.iterations,
        "seconds": result.seconds,
        "failure": None if result.failure is None else dataclasses.asdict(result.failure),
        "causes": [cause_document(cause, result.cycle_noun) for cause in result.causes],
        "folder": run.folder,
        "host": run.host.name,
    }


def _run(run: CellRun) -> dict[str, Any]:
    return {
        "verdict": run.result.verdict,
        "host": run.host.name,
        "load": run.load,
        "controls_ok": None if run.controls is None else run.controls.ok,
        "python": run.python,
        "installed": run.installed,
        "started": run.started,
        "folder": run.folder,
    }


def _change(matrix: Matrix, change: VersionChange) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "of": change.axis,
        "before": change.before,
        "after": change.after,
        "undecided_between": list(change.undecided),
        "components": [one.component for one in change.changes],
        "columns": [names.column_title(matrix, column) for column in change.columns],
        "sentence": words.change_sentence(matrix, change),
    }
