"""Soak components with several interpreters and package versions; make one report of all.

A matrix has a cell for each component, interpreter and choice of package versions.
Several --with for one package (numpy==2.3.1, numpy==2.4.0) are alternatives; --with for
different packages are combined. Without --with, soak uses the interpreters as they are.
With it, each column gets its own virtual environment, which soak keeps. Each cell is its
own run. [tool.soak.matrix] in pyproject.toml may have the lists python and with.

  soak matrix drivers/ --python python3.11 --python python3.12
  soak matrix drivers/ --with numpy==2.3.1 --with numpy==2.4.0 --with simplejpeg --jobs 2
  soak matrix drivers/ --with numpy==2.4.0 --share 3/10 --out shared/     the third of ten jobs

The folder has one folder per cell and the merged report. --resume continues a matrix
that was interrupted. Exit codes, worst cell first: 2 usage or tool failure, 4 a driver
failed, 1 a leak, 3 undecided or not measured, 0 all clean.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from soak.commands.arguments import PYTHON_HELP, positive_count
from soak.commands.matrices.folders import report_matrix
from soak.commands.measuring.measure import say_at_once, signals_set
from soak.commands.measuring.run import add_component_arguments, request_of
from soak.errors import UsageError
from soak.matrix.cells import Fleet, Share, check_cells, own_python
from soak.matrix.columns import Column, make_columns, with_titles
from soak.settings import make_plan, read_matrix

if TYPE_CHECKING:
    from soak.matrix.merged import MissingCell
    from soak.running.fleet.engine import Engine


_STOPS = "stopping; cells at work are cancelled"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak matrix``."""
    add_matrix_arguments(parser)
    parser.add_argument("--jobs", type=positive_count, default=1, metavar="N", help="cells at a time (1)")


def add_matrix_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``soak matrix`` and ``soak fleet`` both take."""
    _, measured = add_component_arguments(parser)
    measured.add_argument(
        "--python",
        action="append",
        default=[],
        dest="pythons",
        metavar="INTERPRETER",
        help=f"{PYTHON_HELP}; repeatable",
    )
    measured.add_argument(
        "--with",
        action="append",
        default=[],
        dest="requirements",
        metavar="REQUIREMENT",
        help="a package version to install, such as numpy==2.4.0; repeatable",
    )
    measured.add_argument("--build", action="store_true", help="build releases that have no wheel from source")
    measured.add_argument("--cache", type=Path, metavar="DIR", help="where environments are kept (~/.cache/soak)")
    output = parser.add_argument_group("output")
    output.add_argument(
        "--share", type=_share, default=Share(), metavar="K/N", help="run only part K of N parts of the cells"
    )
    output.add_argument("--out", type=Path, metavar="DIR", help="where soak makes the folder of the matrix (reports/)")
    output.add_argument("--resume", type=Path, metavar="DIR", help="continue the matrix in this folder")


def run(options: argparse.Namespace) -> int:
    """Measure the matrix on this machine; return the exit code."""

    def make_engine(folder: Path, _say: Callable[[str], None]) -> AbstractContextManager[Engine]:
        from soak.running.fleet.local_jobs import LocalJobs

        return LocalJobs(folder, options.jobs)

    return measure_matrix(options, make_engine)


def measure_matrix(
    options: argparse.Namespace,
    make_engine: Callable[[Path, Callable[[str], None]], AbstractContextManager[Engine]],
) -> int:
    """Measure all cells by an engine and report; return the exit code.

    ``make_engine`` is given the fleet's folder and what writes a line for the user.
    """
    fleet, folder = _find_fleet(options)
    if not fleet.cells:
        # As of the last tasks of an array that is larger than the matrix.
        print(f"soak: share {fleet.share.number}/{fleet.share.of} has no cells: nothing is measured", file=sys.stderr)
        return 0
    say_at_once()
    from rich.console import Console

    from soak.commands.matrices.cell import cell_settings, write_cell_reports
    from soak.reporting.matrix.display import FleetDisplay
    from soak.running.environment import host_name
    from soak.running.fleet.fleet_run import FleetRun
    from soak.store.fleets import clear_unfinished, create_fleet, remove_fleet_without_runs
    from soak.store.runs import claimed

    is_new = folder is None
    if folder is None:
        folder = create_fleet(fleet, datetime.now(UTC).astimezone())
    stopping = threading.Event()
    with claimed(folder), FleetDisplay(Console(stderr=True), host_name()) as display, signals_set(stopping, _STOPS):
        clear_unfinished(folder)
        fleet_run = FleetRun(fleet, folder, display, cell_settings, write_cell_reports)
        try:
            with make_engine(folder, display.say) as engine:
                missing = fleet_run.run(engine, stopping)
        except UsageError:
            if is_new:
                remove_fleet_without_runs(folder)
            raise
        clear_unfinished(folder)
    return report_fleet(fleet, folder, missing, fleet_run.problems)


def report_fleet(fleet: Fleet, folder: Path, missing: Sequence[MissingCell], problems: Sequence[str]) -> int:
    """Merge the runs of a fleet in its folder and print the result; return the exit code."""
    from soak.store.merging import Merging

    merging = Merging()
    merging.add(folder)
    merging.problems += problems
    return report_matrix(merging, folder, fleet.command, missing)


def default_cache() -> Path:
    """Return the folder of the environments."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "soak"


def _find_fleet(options: argparse.Namespace) -> tuple[Fleet, Path | None]:
    """Return the fleet that the options ask for, and its folder if it is there already. Raises UsageError."""
    if options.resume is not None:
        from soak.store.fleets import read_fleet

        folder = options.resume.absolute()
        return read_fleet(folder), folder
    fleet = _make_fleet(options)
    check_cells(fleet)
    return fleet, None


def _make_fleet(options: argparse.Namespace) -> Fleet:
    from soak.running.environments.target_code import digest_of_code

    one_run = argparse.Namespace(**{**vars(options), "python": None, "jobs": None, "on_verdict": None})
    plan = make_plan(request_of(one_run), Path.cwd())
    configured = read_matrix(Path.cwd())
    columns = make_columns(options.pythons or configured["python"], options.requirements or configured["with"])
    return Fleet(
        plan,
        with_titles(columns, _versions(columns)),
        {component.name: digest_of_code(component.target, plan.base) for component in plan.components},
        shlex.join(["soak", *sys.argv[1:]]),
        str((options.cache or default_cache()).absolute()),
        own_python(),
        options.build,
        options.share,
    )


def _versions(columns: Sequence[Column]) -> dict[str | None, str]:
    """Return the version of each interpreter that is found here; hosts that measure may have others."""
    from soak.running.interpreter import find_interpreter

    versions = {}
    for python in {column.python for column in columns}:
        with contextlib.suppress(UsageError):
            versions[python] = ".".join(map(str, find_interpreter(python).version))
    return versions


def _share(text: str) -> Share:
    """Read ``K/N``."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    number, of = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= of:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share such as 3/10")
    return Share(number, of)
