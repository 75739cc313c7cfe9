"""Compare two runs: which leaks are new, gone, worse or better.

A is the earlier run, B the later one. Each is a run or a matrix (a folder, a name under
--out, or latest), or the report.json of a run. Two matrices are compared cell by cell.
A report.json in the repository serves as a baseline in CI:

  soak compare baseline.json latest
  soak compare 2026-03-01T02-00-00 latest --markdown comment.md --sarif leaks.sarif

A leak is worse when the two intervals do not overlap and the rates differ by more than
the tolerance. Exit codes: 0 no leak is new or worse, 1 a leak is new or worse, 2 usage
or tool failure.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from soak.analysis.comparison import compare_runs
from soak.commands.arguments import add_out_argument, runs_folder
from soak.errors import UsageError
from soak.reporting.commands.compare import render_json, render_markdown, render_text
from soak.reporting.formats.sarif import render_sarif
from soak.reporting.write import write_text
from soak.results import RunResult
from soak.store.reports import REPORT, read_report
from soak.store.runs import LATEST, find_run_or_matrix, is_matrix, open_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak compare``."""
    parser.add_argument("before", metavar="A", help="the earlier run: folder, name, latest or report.json")
    parser.add_argument("after", metavar="B", help="the later run")
    add_out_argument(parser)
    parser.add_argument("--json", metavar="FILE", help="the comparison as JSON; - is stdout")
    parser.add_argument("--markdown", metavar="FILE", help="the comparison for a pull request; - is stdout")
    parser.add_argument("--sarif", metavar="FILE", help="the leaks of B with their source lines; - is stdout")
    parser.add_argument(
        "--source-root",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="paths in SARIF and Markdown are relative to this folder (the working folder)",
    )


def run(options: argparse.Namespace) -> int:
    """Compare and print; return the exit code."""
    runs = runs_folder(options)
    before, after = read_result(options.before, runs), read_result(options.after, runs)
    changes = compare_runs(before, after)
    outputs: tuple[tuple[str | None, Callable[[], str]], ...] = (
        (options.json, lambda: render_json(before, after, changes)),
        (options.markdown, lambda: render_markdown(before, after, changes, options.source_root)),
        (options.sarif, lambda: render_sarif(after, options.source_root, changes)),
    )
    copies: dict[str, Callable[[], str]] = {}
    for file, render in outputs:
        if file in copies:
            raise UsageError(f"two outputs cannot both go to {file}")
        if file is not None:
            copies[file] = render
    to_stdout = copies.pop("-", None)
    for file, render in copies.items():
        write_text(Path(file), render())
    print(render_text(before, after, changes), end="", file=sys.stderr if to_stdout else sys.stdout)
    if to_stdout:
        sys.stdout.write(to_stdout())
    return 1 if any(change.is_failing for change in changes) else 0


def read_result(text: str, runs: Path) -> RunResult:
    """Return the run that ``text`` names: a report.json, a folder that holds one, or a run. Raises UsageError."""
    path = Path(text)
    if path.is_file():
        return read_report(path)
    if text != LATEST and (path / REPORT).is_file() and not ((path / "run.db").is_file() or is_matrix(path)):
        return read_report(path / REPORT)
    folder = find_run_or_matrix(text, runs)
    if is_matrix(folder):
        from soak.commands.matrices.folders import matrix_of_folder
        from soak.reporting.matrix.one_run import as_one_run

        return as_one_run(matrix_of_folder(folder))
    with open_run(folder) as store:
        return store.read_run()
