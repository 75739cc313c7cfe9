"""Names what a matrix consists of: cells, columns, versions, hosts."""

from __future__ import annotations

from collections.abc import Sequence

from soak.analysis.matrix import INTERPRETER, requirement_for, varying_axes, version_on
from soak.matrix.merged import CellRun, ColumnKey, Host, Matrix, MatrixCell
from soak.reporting.words.vocabulary import count_words, printable

_MOST_NAMED = 3
_AS_INSTALLED = "as installed"


def cell_title(matrix: Matrix, cell: MatrixCell) -> str:
    """Name a cell: its component, and its column where there are several."""
    column = column_title(matrix, cell.column)
    return _with(cell.component, column) if column and len(matrix.columns) > 1 else printable(cell.component)


def run_title(matrix: Matrix, cell: MatrixCell, run: CellRun) -> str:
    """Name a run by its cell, and by its host where hosts disagree."""
    return f"{cell_title(matrix, cell)}{f' on {host_words(run.host)}' if cell.is_disputed else ''}"


def cells_title(matrix: Matrix, cells: Sequence[MatrixCell]) -> str:
    """Name cells of one component: by what they have in common and no other cell has, else by their columns.

    A cell that is named for each of its runs counts once.
    """
    cells = list({cell.column: cell for cell in cells}.values())
    component = cells[0].component
    if len(cells) == 1:
        return cell_title(matrix, cells[0])
    row = matrix.row(component)
    if len(cells) == len(row):
        return printable(f"{component} in {part_words(len(cells), len(cells))}")
    for title in (versions_title, interpreter_title):
        name = title(matrix, cells[0].column)
        if name and [cell for cell in row if title(matrix, cell.column) == name] == list(cells):
            return _with(component, name)
    return _with(component, _together([column_title(matrix, cell.column) for cell in cells]))


def column_title(matrix: Matrix, column: ColumnKey) -> str:
    """Name a column in one line, by what columns differ in: ``Python 3.12.4, numpy 2.4.0``."""
    versions = versions_title(matrix, column)
    has_one_interpreter = INTERPRETER not in varying_axes(matrix.columns)
    return (
        versions
        if versions and has_one_interpreter
        else ", ".join(part for part in (interpreter_title(matrix, column), versions) if part)
    )


def interpreter_title(matrix: Matrix, column: ColumnKey) -> str:
    """Name the interpreter of a column; as the user named it too where several have the same version."""
    found = sorted({run.python.rpartition(" ")[2] for run in matrix.runs_of(column) if run.python})
    name = f"{INTERPRETER} {', '.join(found)}" if found else ""
    alike = {other.asked_python for other in matrix.columns if other.minor == column.minor}
    if len(alike) > 1 or not name:
        asked = column.asked_python or "soak's own"
        name = f"{name} ({asked})" if name else asked
    return printable(name)


def versions_title(matrix: Matrix, column: ColumnKey) -> str:
    """Name the package versions of a column, as far as columns differ in them: ``numpy 2.4.0``."""
    runs = matrix.runs_of(column)
    run = next((one for one in runs if one.installed), None)
    packages = [axis for axis in varying_axes(matrix.columns) if axis != INTERPRETER]
    said = [version_words(name, version_on(name, column, run)) for name in packages if requirement_for(name, column)]
    return printable(", ".join(said) or (_AS_INSTALLED if packages else ""))


def version_words(axis: str, version: str) -> str:
    """Name a version of a package or of CPython: ``numpy 2.4.0``; ``no numpy`` where there is none."""
    return f"{axis} {version}" if version else f"no {axis}"


def host_words(host: Host) -> str:
    """Name a host."""
    return printable(host.name or "a host without a name")


def seen_on_words(matrix: Matrix, runs: Sequence[CellRun]) -> str:
    """Say on which hosts something was found: ``on n1, n2``; empty if all was measured on one."""
    if len({run.host for run in matrix.runs}) < 2:
        return ""
    hosts = sorted({host_words(run.host) for run in runs})
    more = f" and {len(hosts) - _MOST_NAMED} more" if len(hosts) > _MOST_NAMED else ""
    return f"on {', '.join(hosts[:_MOST_NAMED])}{more}"


def part_words(count: int, of: int) -> str:
    """Say how many of some cells, as in ``3 of 4 cells`` or ``both cells``."""
    if count == of:
        return {1: "its cell", 2: "both cells"}.get(of, f"all {of} cells")
    return f"{count} of {count_words(of, 'cell')}"


def _together(titles: Sequence[str]) -> str:
    """Name several columns: ``numpy 1 and numpy 2``; with a semicolon where a title has commas of its own."""
    more = len(titles) - _MOST_NAMED
    *first, last = [*titles[:_MOST_NAMED], *([f"{more} more"] if more > 0 else [])]
    if any("," in title for title in titles):
        return f"{'; '.join(first)}; {'and ' if more > 0 else ''}{last}"
    return f"{', '.join(first)} and {last}"


def _with(component: str, column: str) -> str:
    """Return ``decoder with numpy 2.4.0``, or ``decoder as installed``."""
    return printable(f"{component} {'' if column.startswith(_AS_INSTALLED) else 'with '}{column}")
