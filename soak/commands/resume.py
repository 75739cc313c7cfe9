"""Go on with a run that was cut off: by Ctrl-C, by the end of an ssh session, by kill -9, by a power cut.

What has a verdict keeps it. Components that were at work begin again from their first cycle, those that never began
begin, and one that was left INCONCLUSIVE or SETTLING runs for as many cycles as it said would decide. Reports and
exit codes are those of soak run.

  soak resume latest
  soak resume reports/2026-11-20T19-00-00

Exit codes: 0 all clean, 1 a leak, 2 usage or tool failure, 3 undecided, 4 a driver failed.
"""

from __future__ import annotations

import argparse

from soak.commands.arguments import add_run_argument, runs_folder
from soak.commands.measure import add_copies, copies_of, measure_and_report
from soak.store.runs import find_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak resume``."""
    add_run_argument(parser)
    add_copies(parser)


def run(options: argparse.Namespace) -> int:
    """Go on with the run; return the exit code."""
    folder = find_run(options.which, runs_folder(options))
    copies = copies_of(options)

    from soak.running.run.experiment import resume_experiment

    return measure_and_report(lambda listener, stopping: resume_experiment(folder, listener, stopping), copies)
