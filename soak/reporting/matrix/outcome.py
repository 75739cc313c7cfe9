"""The exit code of a matrix, and the order in which its cells are read."""

from __future__ import annotations

from collections.abc import Hashable

from soak.matrix.merged import CellRun, Matrix, MatrixCell
from soak.reporting.outcome import component_exit_code
from soak.verdict import WORST_FIRST, Verdict

_NOT_MERGED, _NOT_MEASURED = 2, 3
_WORST_CODES = (2, 4, 1, 3, 0)


def matrix_exit_code(matrix: Matrix) -> int:
    """Give the worst code: 2 where something could not be merged, 3 also for a cell that was not measured."""
    codes = {component_exit_code(run.result, run.known) for run in matrix.runs}
    codes |= {_NOT_MERGED} if matrix.problems else set()
    codes |= {_NOT_MEASURED} if any(not cell.runs for cell in matrix.cells) else set()
    return next((code for code in _WORST_CODES if code in codes), 0)


def components_worst_first(matrix: Matrix) -> list[str]:
    """Order components: those that hosts disagree on, then by their worst cell; alike ones stay in order."""

    def rank(component: str) -> tuple[bool, int]:
        cells = matrix.row(component)
        worst = min((_rank(cell) for cell in cells), default=len(WORST_FIRST))
        return not any(cell.is_disputed for cell in cells), worst

    return sorted(matrix.components, key=rank)


def cells_not_clean(matrix: Matrix) -> list[MatrixCell]:
    """Return the cells with a run that is not CLEAN, those that hosts disagree on first, then the worst."""
    found = [cell for cell in matrix.cells if cell.runs and cell.verdict is not WORST_FIRST[-1]]
    return sorted(found, key=lambda cell: (not cell.is_disputed, _rank(cell)))


def findings(matrix: Matrix) -> list[list[tuple[MatrixCell, CellRun]]]:
    """Return the runs that are not CLEAN, in the order of their cells, those that found the same together.

    The same is the same failure of a component, or the same verdict by the same causes.
    """
    found: dict[Hashable, list[tuple[MatrixCell, CellRun]]] = {}
    for cell in cells_not_clean(matrix):
        for run in cell.runs:
            result = run.result
            if result.verdict is Verdict.CLEAN:
                continue
            causes = frozenset(cause.fingerprint for cause in result.causes)
            what = result.failure.detail if result.failure else causes
            key = (cell.component, cell.is_disputed and cell.column, result.verdict, what)
            found.setdefault(key, []).append((cell, run))
    return list(found.values())


def _rank(cell: MatrixCell) -> int:
    """Rank a cell, the worst lowest; one that was not measured stands just before those that are CLEAN."""
    ranks: tuple[Verdict | None, ...] = (*WORST_FIRST[:-1], None, *WORST_FIRST[-1:])
    return ranks.index(cell.verdict)
