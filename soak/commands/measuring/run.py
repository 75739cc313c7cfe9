"""Soak components one by one, each in its own process, and say which one grows.

A TARGET is a folder of drivers (drive_*.py), a driver file, file.py:function or
package.module:function. The function takes no arguments; one call is one cycle.
Without a TARGET, soak runs the targets under [tool.soak] in pyproject.toml.

  soak run my_script.py:cycle
  soak run drivers/ --duration 10min --interval 100ms
  soak run drivers/ --overnight --detach             continues when the ssh session ends
  soak run drivers/ --inject decoder=native:106      plants a leak, to see that soak finds it

Exit codes: 0 all clean, 1 a leak, 2 usage or tool failure, 3 undecided, 4 a driver failed.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from soak.commands.arguments import (
    CYCLE_TIMEOUT_HELP,
    INTERVAL_HELP,
    MAX_PAUSE_HELP,
    MAX_RSS_HELP,
    N_MIN_HELP,
    PYTHON_HELP,
    duration,
    nice_level,
    positive_count,
    size,
    temperature,
)
from soak.commands.measuring.measure import add_copies, copies_of, measure_and_report, say_at_once
from soak.documents import with_finite_numbers
from soak.errors import UsageError
from soak.request import Request, parse_driver_settings, parse_injection
from soak.settings import RunPlan, make_plan

LOG_NAME = "soak.log"
"""The file in the run's folder that gets the output of a run with --detach."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak run``."""
    budget, measured = add_component_arguments(parser)
    budget.add_argument("--jobs", type=positive_count, metavar="N", help="components at a time (1; overnight: all)")
    measured.add_argument("--python", metavar="INTERPRETER", help=PYTHON_HELP)
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, metavar="DIR", help="where runs are kept (reports/)")
    add_copies(output)
    output.add_argument(
        "--on-verdict",
        metavar="COMMAND",
        help="run COMMAND (without a shell) with the run's folder and one word: confirmed at the first LEAK or FAILED; "
        "in a long run also provisional when something grows, and withdrawn when that growth ends",
    )
    output.add_argument(
        "--detach", action="store_true", help="run in the background; print the process and the run's folder"
    )


def add_component_arguments(parser: argparse.ArgumentParser) -> tuple[Any, Any]:
    """Declare what every command that soaks components takes; return the groups of the budget and of the process."""
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    budget = parser.add_argument_group("budget and pace")
    budget.add_argument("--iterations", type=positive_count, metavar="N", help="cycles per component")
    budget.add_argument("--duration", type=duration, metavar="12h", help="time per component (60s, less when decided)")
    budget.add_argument("--interval", type=duration, metavar="100ms", help=INTERVAL_HELP)
    budget.add_argument("--overnight", action="store_true", help="--interval 100ms --duration 12h --no-early-stop")
    budget.add_argument("--quick", action="store_true", help="a first answer for all components in about 10 s")
    budget.add_argument("--no-early-stop", action="store_true", help="continue after the verdict stands")
    verdict = parser.add_argument_group("verdict")
    verdict.add_argument("--tolerance", type=size, metavar="1B", help="accepted growth per cycle (1B)")
    verdict.add_argument("--n-min", type=positive_count, metavar="N", help=N_MIN_HELP)
    verdict.add_argument("--checkpoint-every", type=positive_count, metavar="N", help="cycles between checkpoints")
    verdict.add_argument("--no-track", action="store_true", help="read counters only, without the allocation tracker")
    verdict.add_argument("--no-follow", action="store_true", help="do not track the processes that a cycle starts")
    measured = parser.add_argument_group("the measured process")
    measured.add_argument("--set", action="append", default=[], metavar="NAME.key=value", help="a driver's setting")
    measured.add_argument(
        "--inject",
        action="append",
        default=[],
        metavar="NAME=KIND:SIZE[/EVERY]",
        help="plant a leak: native, object, cycle, fd, thread, child, mmap, lost-reference",
    )
    measured.add_argument("--nice", type=nice_level, default=0, metavar="N", help="nice level, 0 to 19 (0)")
    measured.add_argument("--max-pause", type=duration, metavar="10ms", help=MAX_PAUSE_HELP)
    guards = parser.add_argument_group("guards")
    guards.add_argument("--cycle-timeout", type=duration, metavar="60s", help=CYCLE_TIMEOUT_HELP)
    guards.add_argument("--max-rss", type=size, metavar="2GiB", help=MAX_RSS_HELP)
    guards.add_argument(
        "--max-temperature", type=temperature, metavar="90", help="pause while a sensor reads this many °C or more"
    )
    return budget, measured


def run(options: argparse.Namespace) -> int:
    """Soak what the options name; return the exit code."""
    plan = make_plan(request_of(options), Path.cwd())
    copies = copies_of(options)
    say_at_once()

    from soak.running.run.experiment import begin_run, run_experiment

    settings = settings_of(plan, shlex.join(["soak", *sys.argv[1:]]))
    if options.detach:
        if "-" in copies:
            raise UsageError("a run with --detach has no stdout; write the report to a file")
        return _detach(begin_run(plan, settings), options)
    return measure_and_report(
        lambda listener, stopping: run_experiment(plan, settings, listener, stopping), copies, options.metrics_file
    )


def _detach(folder: Path, options: argparse.Namespace) -> int:
    """Start ``soak resume`` on the new run in a session of its own; return the exit code."""
    command = [sys.executable, "-m", "soak", "resume", str(folder)]
    for option in ("json", "junit", "markdown", "metrics-file"):
        file = getattr(options, option.replace("-", "_"))
        command += [f"--{option}", file] if file else []
    with (folder / LOG_NAME).open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    print(f"process {process.pid} runs in the background; kill {process.pid} stops it cleanly; its log is {LOG_NAME}")
    print(folder)
    process.returncode = 0  # nobody waits for it
    return 0


def request_of(options: argparse.Namespace) -> Request:
    """Return what the options ask for. Raises UsageError for a value that cannot be read."""
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
        follow=not options.no_follow,
        jobs=options.jobs,
        python=options.python,
        driver_settings=parse_driver_settings(options.set),
        injections=injections,
        cycle_timeout_s=options.cycle_timeout,
        max_rss_bytes=options.max_rss,
        max_pause_s=options.max_pause,
        max_temperature_c=options.max_temperature,
        nice=options.nice,
        out=options.out,
        on_verdict=options.on_verdict,
    )


def settings_of(plan: RunPlan, command: str) -> dict[str, Any]:
    """Return the settings that the report shows."""
    return {
        "command": command,
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
                "settings": with_finite_numbers(component.settings),
                "inject": f"{component.injection.kind}:{component.injection.size}/{component.injection.every}"
                if component.injection
                else None,
            }
            for component in plan.components
        },
    }
