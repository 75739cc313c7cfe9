"""Show the results of a run in the terminal.

soak show
soak show reports/2026-11-20T14-40-57 --json -
"""

from __future__ import annotations

import argparse
import sys

from soak.commands.arguments import add_run_argument, runs_folder
from soak.store.runs import find_run, read_as_it_stands


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak show``."""
    add_run_argument(parser)
    parser.add_argument("--json", metavar="-", choices=["-"], help="print report.json on stdout instead")


def run(options: argparse.Namespace) -> int:
    """Print the run. Return 0, whatever its verdicts are."""
    result = read_as_it_stands(find_run(options.which, runs_folder(options)))
    if options.json:
        from soak.reporting.formats.json_report import render_json

        sys.stdout.write(render_json(result).rstrip("\n") + "\n")
        return 0
    from rich.console import Console

    from soak.reporting.formats.terminal import print_result

    print_result(result, Console())
    return 0
