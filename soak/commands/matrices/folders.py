"""Reads the runs of a matrix as one and reports them, for the commands that do so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soak.matrix.merged import Matrix, MissingCell
    from soak.store.merging import Merging

NO_RUN = "it has no run; its matrix was interrupted, or still goes on"


def report_matrix(merging: Merging, folder: Path, command: str, missing: Sequence[MissingCell]) -> int:
    """Write the reports of merged runs and print the result, the folder last; return the exit code."""
    from rich.console import Console

    from soak.reporting.matrix.display import print_matrix
    from soak.reporting.matrix.outcome import matrix_exit_code
    from soak.reporting.matrix.write import write_matrix

    matrix = _matrix_of(merging, folder, command, missing)
    write_matrix(matrix, folder, Path.cwd())
    print_matrix(matrix, Console())
    print(folder)
    return matrix_exit_code(matrix)


def matrix_of_folder(folder: Path) -> Matrix:
    """Return what the runs of a fleet, or of a merge, have found so far. Raises SoakError when they cannot be read."""
    from soak.store.fleets import read_fleet
    from soak.store.merges import is_merge, merged_folders, read_merge
    from soak.store.merging import Merging
    from soak.store.runs import is_being_measured

    merging = Merging()
    if is_merge(folder):
        command, reason = read_merge(folder).command, NO_RUN
        for each in merged_folders(folder):
            merging.add(each)
    else:
        command, reason = read_fleet(folder).command, "the matrix goes on"
        merging.add(folder)
        if not is_being_measured(folder):
            reason = f"the matrix was interrupted; --resume {folder} goes on with it"
    return _matrix_of(merging, folder, command, [cell.missing(reason) for cell in merging.missing])


def _matrix_of(merging: Merging, folder: Path, command: str, missing: Sequence[MissingCell]) -> Matrix:
    import soak
    from soak.analysis.matrix import set_into_matrix
    from soak.reporting.words.matrix import repeated_sentences

    folder = folder.absolute()
    matrix = set_into_matrix(
        merging.runs, missing, run=folder.name, folder=str(folder), soak=soak.__version__, command=command
    )
    return replace(matrix, problems=(*merging.problems, *repeated_sentences(matrix)))
