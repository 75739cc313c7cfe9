"""``leaks.sarif`` of a matrix: each leak and each failure once, with the cells that have it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soak.matrix.merged import CellRun, Matrix, MatrixCell
from soak.reporting.formats.sarif import failure_entry, leak_entry, leaks_of, sarif_text
from soak.reporting.matrix.one_run import name_everywhere
from soak.reporting.matrix.outcome import cells_not_clean
from soak.reporting.outcome import excuse
from soak.reporting.words import matrix as words
from soak.reporting.words import matrix_names as names
from soak.results import Cause
from soak.verdict import Verdict


@dataclass(frozen=True)
class _Seen:
    """A leak by one cause, or a failure, as one run of one cell has it."""

    cell: MatrixCell
    run: CellRun
    cause: Cause | None

    @property
    def is_excused(self) -> bool:
        return excuse(self.run.result, self.run.known) is not None

    @property
    def is_certain(self) -> bool:
        """Whether it counts: a leak may be suspected in one cell and proven in another."""
        return not self.is_excused and (self.cause is None or self.cause.confirmed)


def render_matrix_sarif(matrix: Matrix, source_root: Path) -> str:
    """Write the leaks and failures of a matrix as SARIF; paths are relative to ``source_root``."""
    entries = [_entry(matrix, alike, source_root) for alike in _each_once(matrix)]
    return sarif_text(entries, soak=matrix.soak, run=matrix.run)


def _each_once(matrix: Matrix) -> list[list[_Seen]]:
    """Return the leaks and failures of all runs, those of a component that are the same together."""
    found: dict[Hashable, list[_Seen]] = {}
    for cell in cells_not_clean(matrix):
        for run in cell.runs:
            result = run.result
            if result.verdict is Verdict.FAILED and result.failure is not None:
                key: Hashable = (cell.component, "failure", result.failure.detail)
                found.setdefault(key, []).append(_Seen(cell, run, None))
            for cause in leaks_of(result):
                key = (cell.component, "leak", cause.fingerprint if cause else None)
                found.setdefault(key, []).append(_Seen(cell, run, cause))
    return list(found.values())


def _entry(matrix: Matrix, alike: Sequence[_Seen], root: Path) -> dict[str, Any]:
    """Return the result for a leak or a failure, as the first run has it in which it counts."""
    told = next((seen for seen in alike if seen.is_certain), alike[0])
    title = names.cells_title(matrix, [seen.cell for seen in alike])
    result = told.run.result
    if result.verdict is Verdict.FAILED:
        # A component can fail in several ways, so its name alone would not tell them apart.
        name = name_everywhere(alike[0].run)
        entry = failure_entry(result, root, is_excused=told.is_excused, fingerprint=name, title=title)
    else:
        entry = leak_entry(result, told.cause, root, is_excused=told.is_excused, title=title)
    disputed = dict.fromkeys(words.dispute_sentence(matrix, seen.cell) for seen in alike if seen.cell.is_disputed)
    entry["message"]["text"] = " ".join((entry["message"]["text"], *disputed))
    entry["properties"] = {"cells": list(dict.fromkeys(names.run_title(matrix, seen.cell, seen.run) for seen in alike))}
    return entry
