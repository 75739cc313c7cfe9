"""``leaks.sarif`` of a matrix: each leak once, however many cells have it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from soak.matrix.merged import Matrix
from soak.reporting.formats.sarif import render_sarif
from soak.reporting.matrix.one_run import as_one_run
from soak.reporting.matrix.outcome import cells_not_clean
from soak.results import ComponentResult


def render_matrix_sarif(matrix: Matrix, source_root: Path) -> str:
    """Write the leaks and failures of a matrix as SARIF; paths are relative to ``source_root``."""
    return render_sarif(as_one_run(matrix, _each_once(matrix)), source_root)


def _each_once(matrix: Matrix) -> list[ComponentResult]:
    """Return the results that are not clean, without causes and failures that an earlier one has."""
    seen: set[tuple[str, str]] = set()
    found = []
    for cell in cells_not_clean(matrix):
        for run in cell.runs:
            result = run.result
            failure = {(result.name, result.failure.detail)} if result.failure else set()
            causes = tuple(cause for cause in result.causes if (result.name, cause.fingerprint) not in seen)
            if causes or failure - seen:
                found.append(dataclasses.replace(result, causes=causes))
            seen |= failure | {(result.name, cause.fingerprint) for cause in causes}
    return found
