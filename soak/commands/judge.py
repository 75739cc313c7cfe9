"""Give a verdict on any log: does the memory in it grow, how fast, and how certain is that.

  soak judge rss.csv
  soak judge psrecord.txt --html judged.html
  soak judge night.csv --column heap_used --only pid=4711 --tolerance 64KiB/h
  ps_loop | soak judge -

It reads CSV with any separator, psrecord, mprof .dat, pidstat, loops of ps, top, free,
docker stats or cat memory.current, range queries of Prometheus, CSV of Grafana, k6 and
locust, JSON lines, and what soak export writes. soak chooses the column by its name (rss,
uss, heap, memory). If that is not clear, it asks you to name one. The rate is per hour if
the log has times, else per iteration. The exit codes are those of soak run.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from soak.commands.arguments import positive_count, size
from soak.errors import UsageError
from soak.logs.choice import Asked
from soak.logs.judging import JudgedPiece, LogVerdict, judge_log
from soak.logs.reading.numbers import unit_of
from soak.logs.reading.source import Source
from soak.logs.reading.times import PAIRS
from soak.logs.series import LogSeries, read_series
from soak.reporting.outcome import EXIT_CODES
from soak.reporting.words.logs import log_sentence, log_sentences
from soak.units import parse_duration_s


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak judge``."""
    parser.add_argument("file", metavar="FILE", help="the log; - is stdin")
    parser.add_argument("--column", default="", metavar="NAME", help="the column of the values, or a part of its name")
    parser.add_argument("--axis", default="", metavar="NAME", help="the column of the times or iterations")
    parser.add_argument(
        "--only", action="append", type=_name_and_value, default=[], metavar="COLUMN=VALUE", help="use only these rows"
    )
    parser.add_argument(
        "--tolerance",
        type=_rate,
        metavar="1B",
        help="accepted growth per iteration or second, or a rate such as 64KiB/h (1B)",
    )
    parser.add_argument("--n-min", type=positive_count, metavar="N", help="no verdict before N iterations or seconds")
    parser.add_argument("--grain", type=size, metavar="4096", help="resolution of the values (default: as printed)")
    parser.add_argument("--unit", type=_unit, metavar="KiB", help="unit of values that have none")
    parser.add_argument("--decimal", choices=(".", ","), default="", help="decimal separator, if 29,320 is ambiguous")
    parser.add_argument("--times", choices=PAIRS, default="", help="how to read 12:34, if it is ambiguous")
    parser.add_argument("--restarts", action="store_true", help="treat each sharp drop of the value as a restart")
    parser.add_argument("--html", metavar="FILE", help="write a page with a plot of the series")
    parser.add_argument("--json", metavar="FILE", help="the verdict as JSON; - is stdout")


def run(options: argparse.Namespace) -> int:
    """Judge the log and print the verdict."""
    asked = Asked(options.column, options.axis, options.only, options.unit or "", options.decimal, options.times)
    series = read_series(Source(options.file), asked)
    tolerance = _tolerance(options.tolerance, series)
    judged = judge_log(series, tolerance=tolerance, n_min=options.n_min, grain=options.grain, restarts=options.restarts)
    said = log_sentences(series, judged)
    if options.html:
        from soak.reporting.commands.judge import judged_page  # imports jinja

        _write(options.html, judged_page(series, judged, said))
    text = json.dumps(_document(series, judged), indent=2) + "\n"
    if options.json == "-":
        sys.stdout.write(text)
        return EXIT_CODES[judged.verdict]
    if options.json:
        _write(options.json, text)
    print(f"{judged.verdict.value}: " + "\n".join(said))
    return EXIT_CODES[judged.verdict]


def _document(series: LogSeries, judged: LogVerdict) -> dict[str, Any]:
    telling = judged.telling
    return {
        "verdict": judged.verdict.value,
        **_of_piece(series, telling),
        "tolerance": telling.found.tolerance,
        "grain": series.grain,
        "readings": series.readings,
        "column": series.column,
        "unit": series.unit,
        "per": series.noun,
        "blanks": series.blanks,
        "pieces": [
            {"verdict": one.found.verdict.value, "from": float(one.piece.at[0]), **_of_piece(series, one)}
            for one in judged.judged
        ],
    }


def _of_piece(series: LogSeries, judged: JudgedPiece) -> dict[str, Any]:
    found = judged.found
    return {
        "reason": log_sentence(series, found),
        "rate": found.rate,
        "low": found.low,
        "high": found.high,
        "decided_at": found.decided_at,
        "since": found.since,
        "needed": found.needed,
        "n": float(judged.piece.at[-1] - judged.piece.at[0]),
        "n_min": judged.n_min,
    }


def _tolerance(given: tuple[float, float] | None, series: LogSeries) -> float | None:
    """Return the tolerance per step of the axis; None for the default.

    Raises UsageError for one per time where there are no times.
    """
    if given is None:
        return None
    amount, per_s = given
    if not per_s:
        return amount
    if not series.is_over_time:
        raise UsageError(f"{series.file} has no times, so a tolerance is per {series.noun}, without / and a time")
    return amount / per_s


def _rate(text: str) -> tuple[float, float]:
    """Read a growth: a size, and the seconds it is for where it is a rate per time."""
    amount, _, per = text.partition("/")
    try:
        per_s = parse_duration_s(per if per[:1].isdigit() else f"1{per}") if per else 0.0
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return size(amount), per_s


def _unit(text: str) -> str:
    unit = unit_of(text)
    if unit is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a unit of memory: B, KiB, MiB or GiB")
    return unit


def _name_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not COLUMN=VALUE")
    return name, value


def _write(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error
