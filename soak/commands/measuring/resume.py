"""Continue a run that was interrupted by Ctrl-C, the end of an ssh session, kill -9 or a power cut.

A component with a final verdict keeps it. A component that was running starts again
at its first cycle. If it has an interval and a driver with resume(cycle), it continues
where it was. A component that had not started is measured now. A component that
is INCONCLUSIVE or SETTLING runs for as many cycles as its report asked for.
soak writes the same reports as soak run.

  soak resume latest
  soak resume reports/2026-11-20T19-00-00

Exit codes: 0 all clean, 1 a leak, 2 usage or tool failure, 3 undecided, 4 a driver failed.
"""

from __future__ import annotations

import argparse

from soak.commands.arguments import add_run_argument, runs_folder
from soak.commands.measuring.measure import add_copies, copies_of, measure_and_report
from soak.errors import UsageError
from soak.store.merges import is_merge
from soak.store.runs import find_run_or_matrix, is_fleet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak resume``."""
    add_run_argument(parser)
    add_copies(parser)


def run(options: argparse.Namespace) -> int:
    """Continue the run; return the exit code."""
    folder = find_run_or_matrix(options.which, runs_folder(options))
    if is_fleet(folder):
        raise UsageError(f"{folder} is a matrix: soak matrix --resume or soak fleet --resume goes on with it")
    if is_merge(folder):
        raise UsageError(f"{folder} is the merged report of several runs: name one of them, or their matrix")
    copies = copies_of(options)

    from soak.running.run.experiment import resume_experiment

    return measure_and_report(
        lambda listener, stopping: resume_experiment(folder, listener, stopping), copies, options.metrics_file
    )
