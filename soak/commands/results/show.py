"""Show the results of a run, or of a matrix, in the terminal.

soak show
soak show reports/2026-11-20T14-40-57 --json -
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from soak.commands.arguments import add_run_argument, runs_folder
from soak.store.runs import find_run_or_matrix, is_matrix, read_as_it_stands


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak show``."""
    add_run_argument(parser)
    parser.add_argument("--json", metavar="-", choices=["-"], help="print report.json on stdout instead")


def run(options: argparse.Namespace) -> int:
    """Print the run. Return 0, whatever its verdicts are."""
    folder = find_run_or_matrix(options.which, runs_folder(options))
    if is_matrix(folder):
        return _show_matrix(folder, as_json=bool(options.json))
    result = read_as_it_stands(folder)
    if options.json:
        from soak.reporting.formats.json_report import render_json

        sys.stdout.write(render_json(result).rstrip("\n") + "\n")
        return 0
    from rich.console import Console

    from soak.reporting.formats.terminal import print_result

    print_result(result, Console())
    return 0


def _show_matrix(folder: Path, *, as_json: bool) -> int:
    from soak.commands.matrices.folders import matrix_of_folder

    matrix = matrix_of_folder(folder)
    if as_json:
        from soak.analysis.matrix import find_changes
        from soak.reporting.matrix.document import render_matrix_json

        sys.stdout.write(render_matrix_json(matrix, find_changes(matrix)))
        return 0
    from rich.console import Console

    from soak.reporting.matrix.display import print_matrix

    print_matrix(matrix, Console())
    return 0
