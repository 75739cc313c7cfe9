"""Argument types that several commands share. argparse reports a value that they refuse (exit code 2)."""

from __future__ import annotations

import argparse
from pathlib import Path

from soak.errors import UsageError
from soak.settings import read_configuration
from soak.units import parse_duration_s, parse_size_bytes

CYCLE_TIMEOUT_HELP = "a cycle that takes longer counts as hung (60s)"
INTERVAL_HELP = "start a cycle every 100ms; 0: without pauses (default: the driver's INTERVAL, else 0)"
MAX_PAUSE_HELP = "longest time that a checkpoint may delay a cycle (default: the driver's MAX_PAUSE, else no limit)"
MAX_RSS_HELP = "stop and judge a component whose RSS reaches this size (default: 80 %% of the free memory)"
N_MIN_HELP = "cycles before memory that is still held can be called a leak"
PYTHON_HELP = "run components with this CPython, 3.8 or later (default: soak's own)"


def duration(text: str) -> float:
    """Read a duration; seconds."""
    try:
        return parse_duration_s(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def size(text: str) -> float:
    """Read a size; bytes."""
    try:
        return parse_size_bytes(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def positive_count(text: str) -> int:
    """Read a whole number above 0."""
    try:
        number = int(text.replace("_", "").replace(",", ""))
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def nice_level(text: str) -> int:
    """Read a nice level from 0 to 19; a negative one would need privileges."""
    if not text.isdecimal() or int(text) > 19:
        raise argparse.ArgumentTypeError(f"{text!r} is not a nice level from 0 to 19")
    return int(text)


def temperature(text: str) -> float:
    """Read a temperature in °C."""
    try:
        degrees = float(text.removesuffix("°C").removesuffix("C"))
    except ValueError:
        degrees = 0.0
    if not 0.0 < degrees < 200.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a temperature in °C, such as 90")
    return degrees


def add_run_argument(parser: argparse.ArgumentParser) -> None:
    """Declare RUN and --out, which every command that reads a run takes."""
    parser.add_argument("which", nargs="?", default="latest", metavar="RUN", help="a run's folder, or latest (default)")
    add_out_argument(parser)


def add_out_argument(parser: argparse.ArgumentParser) -> None:
    """Declare --out."""
    parser.add_argument("--out", type=Path, metavar="DIR", help="where runs are kept (reports/)")


def runs_folder(options: argparse.Namespace) -> Path:
    """Return where runs are kept: --out, else the configured folder, else reports/."""
    if options.out is not None:
        return Path(options.out)
    root, configuration = read_configuration(Path.cwd())
    return root / str(configuration.get("out", "reports"))
