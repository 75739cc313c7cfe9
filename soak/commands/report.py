"""Write the reports of a run (HTML, Markdown, JSON, JUnit, figures) again, from its database.

soak report latest
"""

from __future__ import annotations

import argparse

from soak.commands.arguments import add_run_argument, runs_folder
from soak.store.runs import find_run, open_run, read_as_it_stands


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak report``."""
    add_run_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Write the reports and print the path of report.html."""
    from soak.reporting.write import write_reports

    folder = find_run(options.which, runs_folder(options))
    result = read_as_it_stands(folder)
    with open_run(folder) as store:
        write_reports(result, store.read_readings, folder)
    print(folder / "report.html")
    return 0
