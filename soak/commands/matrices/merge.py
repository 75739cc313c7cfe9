"""Make one report of many runs.

A FOLDER is a run, the folder of a matrix, a fleet or an earlier merge, or a folder that
contains runs and matrices. The report.json of a run is enough. Rows of the report are
components; columns are interpreters and versions. Differences between versions come
first. Runs of the same cell on several hosts stand side by side.

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
from datetime import UTC, datetime
from pathlib import Path

from soak.commands.matrices.folders import NO_RUN, report_matrix
from soak.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak merge``."""
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the report is written")


def run(options: argparse.Namespace) -> int:
    """Merge and report; return the exit code."""
    from soak.store.database import FILE_NAME
    from soak.store.merges import write_merge
    from soak.store.merging import Merging
    from soak.store.runs import is_fleet

    out = options.out.absolute()
    if (out / FILE_NAME).is_file() or is_fleet(out):
        raise UsageError(f"--out {options.out} is a run or a matrix with a report of its own; name another folder")
    merging = Merging()
    for folder in options.folders:
        merging.add(folder)
    if not merging.runs and not merging.missing:
        raise UsageError("; ".join(merging.problems))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {options.out}: cannot be written ({error.strerror}); name another folder") from error
    command = shlex.join(["soak", *sys.argv[1:]])
    write_merge(out, command, [folder.absolute() for folder in merging.folders], datetime.now(UTC).astimezone())
    return report_matrix(merging, out, command, [cell.missing(NO_RUN) for cell in merging.missing])
