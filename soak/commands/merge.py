"""Make one report of many runs.

A FOLDER is a run, the folder of a matrix or a fleet, or a folder that such folders lie
in. A run may be its report.json alone. Rows of the report are components, columns are
interpreters and versions; what one version has and another has not is said first. Runs
of the same cell on several hosts are set side by side.

  soak merge reports/2026-11-20T19-00-00 reports/2026-11-21T19-00-00 --out merged
  soak merge artifacts/ --out merged

--out gets report.html, report.json, report.md, junit.xml and leaks.sarif. Exit codes,
worst cell first: 2 a folder could not be merged, 4 a driver failed, 1 a leak, 3
undecided or not measured, 0 all clean.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from soak.commands.matrix import report_matrix
from soak.errors import UsageError

NO_RUN = "it has no run; its matrix was interrupted, or still goes on"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak merge``."""
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the report is written")


def run(options: argparse.Namespace) -> int:
    """Merge and report; return the exit code."""
    from soak.store.merging import Merging

    merging = Merging()
    for folder in options.folders:
        merging.add(folder)
    if not merging.runs and not merging.missing:
        raise UsageError("; ".join(merging.problems))
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {options.out}: cannot be written ({error.strerror}); name another folder") from error
    command = shlex.join(["soak", *sys.argv[1:]])
    return report_matrix(merging, options.out.absolute(), command, [cell.missing(NO_RUN) for cell in merging.missing])
