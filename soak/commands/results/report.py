"""Write the reports of a run (HTML, Markdown, JSON, JUnit, figures) again, from its database.

For a matrix, soak writes the reports of the whole matrix, from the runs of its cells.

soak report latest
"""

from __future__ import annotations

import argparse
from pathlib import Path

from soak.commands.arguments import add_run_argument, runs_folder
from soak.store.runs import find_run_or_matrix, is_matrix, open_run, read_as_it_stands


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak report``."""
    add_run_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Write the reports and print the path of report.html."""
    folder = find_run_or_matrix(options.which, runs_folder(options))
    if is_matrix(folder):
        from soak.commands.matrices.folders import matrix_of_folder
        from soak.reporting.matrix.write import write_matrix

        write_matrix(matrix_of_folder(folder), folder, Path.cwd())
        print(folder / "report.html")
        return 0
    from soak.reporting.write import write_reports

    result = read_as_it_stands(folder)
    with open_run(folder) as store:
        write_reports(result, store.read_readings, folder)
    print(folder / "report.html")
    return 0
