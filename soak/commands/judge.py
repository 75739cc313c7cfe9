"""Give a verdict on any series: a CSV of iteration,value, for example an RSS log from another tool.

  soak judge rss.csv --tolerance 1B --grain 4096
  soak judge soak.csv --column rss_bytes --n-min 1000 --json -

The first column is the iteration. The second is the value, unless --column NAME
names another. The rate is in the value's unit per iteration. The exit codes are
those of soak run.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from soak.analysis import check_series, judge
from soak.analysis.component import choose_n_min
from soak.commands.arguments import positive_count, size
from soak.errors import SeriesError, UsageError
from soak.reporting.outcome import EXIT_CODES
from soak.reporting.words.series import lookalike, needed_words, series_sentence
from soak.verdict import SeriesVerdict, Verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak judge``."""
    parser.add_argument("file", metavar="FILE.csv", help="the series; - is stdin")
    parser.add_argument("--tolerance", type=size, default=1.0, metavar="1", help="accepted growth per iteration (1)")
    parser.add_argument("--n-min", type=positive_count, metavar="N", help="no LEAK and no CLEAN before N iterations")
    parser.add_argument("--grain", type=size, default=0.0, metavar="4096", help="resolution of the values (0)")
    parser.add_argument("--column", metavar="NAME", help="the column of the values (default: the second)")
    parser.add_argument("--json", metavar="FILE", help="the verdict as JSON; - is stdout")


def run(options: argparse.Namespace) -> int:
    """Judge the file and print the verdict."""
    iterations, values = _read(options.file, options.column)
    span = iterations[-1] - iterations[0]
    n_min = options.n_min or choose_n_min(span)
    found = judge(iterations, values, tolerance=options.tolerance, n_min=n_min, grain=options.grain)
    document = {
        "verdict": found.verdict.value,
        "reason": series_sentence(found, "", "iteration"),
        "rate": found.rate,
        "low": found.low,
        "high": found.high,
        "decided_at": found.decided_at,
        "since": found.since,
        "needed": found.needed,
        "n": span,
        "n_min": n_min,
        "tolerance": options.tolerance,
        "grain": options.grain,
        "readings": len(values),
    }
    text = json.dumps(document, indent=2) + "\n"
    if options.json == "-":
        sys.stdout.write(text)
    else:
        if options.json:
            _write(options.json, text)
        print(f"{found.verdict.value}: {_sentences(found)}")
    return EXIT_CODES[found.verdict]


def _sentences(found: SeriesVerdict) -> str:
    """Say what was found, and what would look the same as a leak or is missing to decide."""
    said = series_sentence(found, "", "iteration")
    if found.verdict is Verdict.LEAK:
        return f"{said}\n{lookalike(found.n_min or 0)}"
    return f"{said} {needed_words(found.needed, 'iteration')}" if found.needed else said


def _write(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error


def _read(file: str, column: str | None) -> tuple[list[float], list[float]]:
    """Return both columns. Raises UsageError when the file cannot be read, SeriesError with the line of a bad row."""
    try:
        # A heading may be in another encoding. A value that is not a number is an error that names its line.
        path, name = ("/dev/stdin", "stdin") if file == "-" else (file, file)
        with Path(path).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            return _parse(lines, column, name)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error


def _rows(lines: Iterable[str], file: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line and the fields of each row that is not empty."""
    reader = csv.reader(lines)
    try:
        yield from ((reader.line_num, row) for row in reader if any(field.strip() for field in row))
    except csv.Error as error:
        raise SeriesError(f"{file}, line {reader.line_num}: {error}") from error


def _parse(lines: Iterable[str], column: str | None, file: str) -> tuple[list[float], list[float]]:
    rows = _rows(lines, file)
    head = next(rows, None)
    if head is None:
        raise SeriesError(f"{file} is empty")
    position = 1
    body: Iterable[tuple[int, list[str]]] = rows
    if column is None and _is_number(head[1][0]):
        body = itertools.chain([head], rows)
    elif column is not None:
        names = [name.strip() for name in head[1]]
        if column not in names:
            raise UsageError(f"{file} has no column {column!r}; its first line has {', '.join(names)}")
        position = names.index(column)
    iterations: list[Any] = []
    values: list[Any] = []
    numbers: list[int] = []
    for number, row in body:
        if len(row) <= position:
            raise SeriesError(
                f"{file}, line {number}: {len(row)} fields, but the value should be in field {position + 1}"
            )
        iterations.append(row[0])
        values.append(row[position])
        numbers.append(number)
    if len(values) < 2:
        readings = "one reading" if values else "no readings"
        raise SeriesError(f"{file} has {readings}; a verdict needs at least 64")
    at, read = check_series(iterations, values, name_row=lambda row: f"{file}, line {numbers[row]}")
    return at.tolist(), read.tolist()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
