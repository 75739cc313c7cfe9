"""Write every raw reading of a run as CSV: component, cycle, seconds, then one column per signal.

soak export latest --format csv > readings.csv
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from soak.commands.arguments import add_run_argument, runs_folder
from soak.errors import UsageError
from soak.store.runs import find_run, open_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak export``."""
    add_run_argument(parser)
    parser.add_argument("--format", choices=["csv"], default="csv", help="output format (csv)")
    parser.add_argument("--to", default="-", metavar="FILE", help="output file; - is stdout (default)")


def run(options: argparse.Namespace) -> int:
    """Write the readings."""
    from soak.reporting.formats.csv_export import write_csv

    with open_run(find_run(options.which, runs_folder(options))) as store:
        names = store.component_names()
        if options.to == "-":
            write_csv(names, store.read_readings, sys.stdout)
            return 0
        try:
            with Path(options.to).open("w", encoding="utf-8", newline="") as file:
                write_csv(names, store.read_readings, file)
        except OSError as error:
            raise UsageError(f"{options.to} cannot be written: {error.strerror}") from error
    return 0
