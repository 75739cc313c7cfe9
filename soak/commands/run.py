"""Soak components one by one, each in its own process, and say which one grows.

A TARGET is a folder of drivers (drive_*.py), a driver file, file.py:function or
package.module:function (a function without arguments is one cycle). Without a
TARGET: those under [tool.soak] in pyproject.toml.

  soak run my_script.py:cycle
  soak run drivers/ --duration 10min --interval 100ms
  soak run drivers/ --inject decoder=native:106      would a leak be found?

Exit codes: 0 all clean, 1 a leak, 2 usage or tool failure, 3 undecided, 4 a driver failed.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from soak.commands.arguments import duration, positive_count, size
from soak.errors import UsageError
from soak.settings import Request, RunPlan, make_plan, parse_driver_setting, parse_injection


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak run``."""
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    budget = parser.add_argument_group("budget and pace")
    budget.add_argument("--iterations", type=positive_count, metavar="N", help="cycles per component")
    budget.add_argument("--duration", type=duration, metavar="12h", help="time per component (60s, or the verdict)")
    budget.add_argument("--interval", type=duration, metavar="100ms", help="pace; 0 is flat out (the driver's own)")
    budget.add_argument("--overnight", action="store_true", help="--interval 100ms --duration 12h --no-early-stop")
    budget.add_argument("--quick", action="store_true", help="a first answer in about 10 s for all together")
    budget.add_argument("--no-early-stop", action="store_true", help="go on when the verdict stands")
    budget.add_argument("--jobs", type=positive_count, metavar="N", help="components at a time (1; overnight: all)")
    verdict = parser.add_argument_group("verdict")
    verdict.add_argument("--tolerance", type=size, metavar="1B", help="accepted growth per cycle (1B)")
    verdict.add_argument(
        "--n-min", type=positive_count, metavar="N", help="cycles before anything held is called a leak"
    )
    verdict.add_argument("--checkpoint-every", type=positive_count, metavar="N", help="cycles between checkpoints")
    verdict.add_argument("--no-track", action="store_true", help="counters only, without the allocation tracker")
    measured = parser.add_argument_group("the measured process")
    measured.add_argument("--python", metavar="INTERPRETER", help="any CPython from 3.8 on (soak's own)")
    measured.add_argument("--set", action="append", default=[], metavar="NAME.key=value", help="a driver's setting")
    measured.add_argument(
        "--inject",
        action="append",
        default=[],
        metavar="NAME=KIND:SIZE[/EVERY]",
        help="plant a leak: native, object, cycle, fd, thread, mmap, lost-reference",
    )
    guards = parser.add_argument_group("guards")
    guards.add_argument("--cycle-timeout", type=duration, metavar="60s", help="a cycle longer than this has hung (60s)")
    guards.add_argument("--max-rss", type=size, metavar="2GiB", help="stop and judge a component that grows to this")
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, metavar="DIR", help="where runs are kept (reports/)")
    output.add_argument("--json", metavar="FILE", help="a copy of report.json; - is stdout")
    output.add_argument("--junit", metavar="FILE", help="a copy of junit.xml; - is stdout")
    output.add_argument("--markdown", metavar="FILE", help="a copy of report.md; - is stdout")
    output.add_argument("--on-verdict", metavar="COMMAND", help="run once at the first LEAK or FAILED, with the folder")


def run(options: argparse.Namespace) -> int:
    """Soak what the options name; return the exit code."""
    plan = make_plan(_request(options), Path.cwd())
    copies = _copies(options)

    from rich.console import Console

    from soak.reporting.outcome import exit_code
    from soak.reporting.terminal import Progress, print_result
    from soak.reporting.write import write_reports
    from soak.running.experiment import run_experiment

    stopping = threading.Event()
    with Progress(Console(stderr=True)) as progress, _signals_set(stopping):
        store = run_experiment(plan, _settings(plan), progress, stopping)
    with store:
        result = store.read_run()
        folder = Path(result.folder)
        write_reports(result, store.read_readings, folder)
    to_stdout = copies.pop("-", None)
    for file, render in copies.items():
        _write_copy(file, render(result))
    print_result(result, Console(stderr=to_stdout is not None))
    if to_stdout is not None:
        sys.stdout.write(to_stdout(result).rstrip("\n") + "\n")
        print(folder, file=sys.stderr)
    else:
        print(folder)
    return exit_code(result)


def _request(options: argparse.Namespace) -> Request:
    settings: dict[str, dict[str, Any]] = {}
    for text in options.set:
        name, key, value = parse_driver_setting(text)
        settings.setdefault(name, {})[key] = value
    injections = {}
    for text in options.inject:
        name, injection = parse_injection(text)
        if name in injections:
            raise UsageError(f"--inject {text!r}: only one leak can be planted in {name}")
        injections[name] = injection
    return Request(
        targets=tuple(options.targets),
        iterations=options.iterations,
        duration_s=options.duration,
        interval_s=options.interval,
        overnight=options.overnight,
        quick=options.quick,
        early_stop=not options.no_early_stop,
        tolerance_bytes=options.tolerance,
        n_min=options.n_min,
        checkpoint_every=options.checkpoint_every,
        track=not options.no_track,
        jobs=options.jobs,
        python=options.python,
        driver_settings=settings,
        injections=injections,
        cycle_timeout_s=options.cycle_timeout,
        max_rss_bytes=options.max_rss,
        out=options.out,
        on_verdict=options.on_verdict,
    )


def _settings(plan: RunPlan) -> dict[str, Any]:
    """Return what the report says of how the run was done."""
    return {
        "command": shlex.join(["soak", *sys.argv[1:]]),
        "jobs": plan.jobs,
        "known": list(plan.known),
        "components": {
            component.name: {
                "target": str(component.target),
                "interval_s": component.interval_s,
                "iterations": component.iterations,
                "budget_s": component.budget_s,
                "tolerance_bytes": component.tolerance_bytes,
                "gate": component.gate,
                "settings": component.settings,
                "inject": f"{component.injection.kind}:{component.injection.size}/{component.injection.every}"
                if component.injection
                else None,
            }
            for component in plan.components
        },
    }


def _copies(options: argparse.Namespace) -> dict[str, Callable[[Any], str]]:
    """Map each file that is to get a copy to what renders it."""
    from soak.reporting.json_report import render_json
    from soak.reporting.junit import render_junit
    from soak.reporting.markdown import render_markdown

    copies: dict[str, Callable[[Any], str]] = {}
    for file, render in (
        (options.json, render_json),
        (options.junit, render_junit),
        (options.markdown, render_markdown),
    ):
        if file in copies:
            raise UsageError(f"two reports cannot both go to {file}")
        if file is not None:
            copies[file] = render
            if file != "-" and not Path(file).absolute().parent.is_dir():
                raise UsageError(f"{file} cannot be written: there is no folder {Path(file).parent}")
    return copies


def _write_copy(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error


@contextmanager
def _signals_set(stopping: threading.Event) -> Iterator[None]:
    """Let the first SIGINT, SIGTERM or SIGHUP end the run in order, and a second SIGINT end it at once."""

    def stop(number: int, _: FrameType | None) -> None:
        if stopping.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stopping.set()
        print("soak: stopping; what was measured is judged (Ctrl-C again ends at once)", file=sys.stderr)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
