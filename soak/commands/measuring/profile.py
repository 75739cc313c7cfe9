"""Profile components one by one under cProfile, each in its own process, and show where the time of a cycle goes.

TARGETs are those of soak run. Each component is warmed up first. Then blocks of cycles
run alternately with and without the profiler, so that the report can state the cost of
profiling. The run's folder gets one .prof per component, merged.prof and report.html.

  soak profile
  soak profile drivers/drive_decoder.py --iterations 1000
  soak profile drivers/ --function Decompressor.decompress
  soak view                                              shows the profiles in the browser

Exit codes: 0 all profiled, 2 usage or tool failure, 4 a driver failed.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soak.commands.arguments import CYCLE_TIMEOUT_HELP, INTERVAL_HELP, PYTHON_HELP, duration, positive_count
from soak.request import Request, parse_driver_settings
from soak.settings import make_plan

DEFAULT_DURATION_S = 2.0
DEFAULT_WARM_UP_S = 0.5
EXIT_DRIVER_FAILED = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak profile``."""
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--iterations", type=positive_count, metavar="N", help="cycles under the profiler")
    budget.add_argument("--duration", type=duration, metavar="2s", help="time per component, half of it profiled (2s)")
    parser.add_argument(
        "--warm-up",
        type=duration,
        default=DEFAULT_WARM_UP_S,
        metavar="500ms",
        help="warm-up time before profiling, at least one cycle (500ms)",
    )
    parser.add_argument("--function", metavar="NAME", help="profile only this: module:function, Class.method or a name")
    parser.add_argument("--top", type=positive_count, default=8, metavar="N", help="functions shown per component (8)")
    parser.add_argument("--interval", type=duration, metavar="100ms", help=INTERVAL_HELP)
    parser.add_argument("--python", metavar="INTERPRETER", help=PYTHON_HELP)
    parser.add_argument("--set", action="append", default=[], metavar="NAME.key=value", help="a driver's setting")
    parser.add_argument("--cycle-timeout", type=duration, metavar="60s", help=CYCLE_TIMEOUT_HELP)
    parser.add_argument("--out", type=Path, metavar="DIR", help="where runs are kept (reports/)")


def run(options: argparse.Namespace) -> int:
    """Profile what the options name; return the exit code."""
    from rich.console import Console

    from soak.reporting.commands.profile import print_profile_run, write_profile_report
    from soak.reporting.formats.terminal import ProgressDisplay
    from soak.running.profile.profiling import ProfilingPlan, run_profiling

    plan = ProfilingPlan(make_plan(_request(options), Path.cwd()), options.function, options.warm_up)
    stopping = threading.Event()
    with ProgressDisplay(Console(stderr=True)) as progress, _interrupt_sets(stopping):
        found = run_profiling(plan, {"command": shlex.join(["soak", *sys.argv[1:]])}, progress, stopping)
    folder = Path(found.folder)
    write_profile_report(found, folder)
    print_profile_run(found, Console(), options.top)
    print(folder)
    return EXIT_DRIVER_FAILED if any(component.failure for component in found.components) else 0


def _request(options: argparse.Namespace) -> Request:
    return Request(
        targets=tuple(options.targets),
        iterations=options.iterations,
        duration_s=None if options.iterations else options.duration or DEFAULT_DURATION_S,
        interval_s=options.interval,
        python=options.python,
        driver_settings=parse_driver_settings(options.set),
        cycle_timeout_s=options.cycle_timeout,
        out=options.out,
    )


@contextmanager
def _interrupt_sets(stopping: threading.Event) -> Iterator[None]:
    """Let Ctrl-C stop the current component cleanly and keep its profile. A second Ctrl-C ends at once."""

    def stop(*_: object) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
