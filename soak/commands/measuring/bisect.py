"""Find the first release of a package that leaks, or the first that no longer leaks.

TARGET is what soak run takes: file.py:function, a driver file or
package.module:function. soak soaks it with releases between --good, which does not
leak, and --bad, which leaks. Each release gets its own virtual environment. Each
verdict halves the releases that are left. If --good is newer than --bad, soak finds
the release that fixed the leak.

  soak bisect numpy reduce.py:iteration --bad 2.3.1 --good 2.4.1
  soak bisect ujson encode.py:iteration --bad 5.3.0 --good 5.9.0 --python python3.10
  soak bisect scipy fit.py:cycle --good 1.11.1 --bad 1.13.0 --with 'numpy<2'

Releases that cannot be installed or judged are skipped, and the result names them.
Environments and verdicts are kept under --cache. The folder of each run is under
--out, so that soak show and soak compare can read it.

Exit codes: 0 found; 2 usage or tool failure, --good leaks or --bad does not;
3 not decided.
"""

from __future__ import annotations

import argparse
import math
import os
import shlex
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from soak.commands.arguments import (
    CYCLE_TIMEOUT_HELP,
    INTERVAL_HELP,
    MAX_RSS_HELP,
    N_MIN_HELP,
    PYTHON_HELP,
    duration,
    positive_count,
    size,
)
from soak.commands.measuring.measure import signals_set
from soak.errors import UsageError
from soak.progress import Progress
from soak.request import Request, parse_driver_settings
from soak.settings import RunPlan, make_plan

if TYPE_CHECKING:
    from soak.bisections import Bisection, Trial
    from soak.reporting.formats.terminal import ProgressDisplay
    from soak.results import ComponentResult
    from soak.store.database import RunStore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak bisect``."""
    parser.add_argument("package", metavar="PACKAGE", help="name of the package, with extras if needed")
    parser.add_argument("target", metavar="TARGET", help="one component, as for soak run")
    parser.add_argument("--good", required=True, metavar="V", help="a release that does not leak")
    parser.add_argument("--bad", required=True, metavar="V", help="a release that leaks")
    releases = parser.add_argument_group("releases")
    releases.add_argument("--pre", action="store_true", help="include pre-releases")
    releases.add_argument("--python", metavar="INTERPRETER", help=PYTHON_HELP)
    releases.add_argument(
        "--with",
        action="append",
        default=[],
        dest="requirements",
        metavar="REQUIREMENT",
        help="also install this, such as 'numpy<2'",
    )
    releases.add_argument("--build", action="store_true", help="build releases that have no wheel from source")
    releases.add_argument("--cache", type=Path, metavar="DIR", help="environments, verdicts (~/.cache/soak/bisect)")
    releases.add_argument("--fresh", action="store_true", help="ignore the verdicts of earlier searches")
    budget = parser.add_argument_group("budget and verdict of each release")
    budget.add_argument(
        "--duration",
        type=duration,
        metavar="60s",
        help="longest time; a release that is undecided then is soaked again, five times as long",
    )
    budget.add_argument(
        "--iterations", type=positive_count, metavar="N", help="most cycles; five times as many in a second attempt"
    )
    budget.add_argument("--interval", type=duration, metavar="100ms", help=INTERVAL_HELP)
    budget.add_argument("--tolerance", type=size, metavar="1B", help="accepted growth per cycle (1B)")
    budget.add_argument("--n-min", type=positive_count, metavar="N", help=N_MIN_HELP)
    budget.add_argument("--checkpoint-every", type=positive_count, metavar="N", help="cycles between checkpoints")
    budget.add_argument("--cycle-timeout", type=duration, metavar="60s", help=CYCLE_TIMEOUT_HELP)
    budget.add_argument("--max-rss", type=size, metavar="2GiB", help=MAX_RSS_HELP)
    budget.add_argument("--set", action="append", default=[], metavar="NAME.key=value", help="a driver's setting")
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, metavar="DIR", help="where runs are kept (reports/)")
    output.add_argument("--json", metavar="FILE", help="the result as JSON; - is stdout")


def run(options: argparse.Namespace) -> int:
    """Search and print; return the exit code."""
    if options.json not in (None, "-") and not Path(options.json).absolute().parent.is_dir():
        raise UsageError(f"{options.json} cannot be written: there is no folder {Path(options.json).parent}")
    plan = _plan(options)

    from rich.console import Console

    from soak.reporting.commands.bisect import render_json, render_text
    from soak.reporting.formats.terminal import ProgressDisplay
    from soak.reporting.write import write_text

    stopping = threading.Event()
    with ProgressDisplay(Console(stderr=True)) as progress, signals_set(stopping):
        bisection = _search(options, plan, stopping, progress)
    if options.json == "-":
        sys.stdout.write(render_json(bisection))
    elif options.json is not None:
        write_text(Path(options.json), render_json(bisection))
    print(render_text(bisection), end="", file=sys.stderr if options.json == "-" else sys.stdout)
    return _exit_code(bisection)


def _search(
    options: argparse.Namespace, plan: RunPlan, stopping: threading.Event, progress: ProgressDisplay
) -> Bisection:
    from soak.running.bisect.bisection import bisect, choose_releases, read_question
    from soak.running.bisect.releases import read_package
    from soak.running.bisect.trial_cache import TrialCache
    from soak.running.bisect.trials import Trials
    from soak.running.environments.installer import Installer
    from soak.running.interpreter import find_interpreter

    cache = (options.cache or _default_cache()).absolute()
    question = read_question(read_package(options.package), options.good, options.bad, pre=options.pre)
    interpreter = find_interpreter(options.python)
    installer = Installer(cache, interpreter, stopping, requirements=options.requirements, build=options.build)
    releases = choose_releases(question, installer)
    target = plan.components[0].target
    print(f"soak: {len(releases)} releases of {question.package.name} for {interpreter}", file=sys.stderr)
    trials = Trials(
        question.package,
        plan,
        installer,
        TrialCache(cache / "verdicts", fresh=options.fresh),
        settings={"command": shlex.join(["soak", *sys.argv[1:]])},
        listener=_BisectPrinter(question.package.name, len(releases), progress),
        on_run=_write_reports,
        stopping=stopping,
    )
    return bisect(question, releases, trials, str(target), str(interpreter))


def _plan(options: argparse.Namespace) -> RunPlan:
    """Make the plan for a run of the target. The budget is an upper bound: a run ends as soon as its verdict stands."""
    request = Request(
        targets=(options.target,),
        iterations=options.iterations,
        duration_s=options.duration,
        interval_s=options.interval,
        tolerance_bytes=options.tolerance,
        n_min=options.n_min,
        checkpoint_every=options.checkpoint_every,
        driver_settings=parse_driver_settings(options.set),
        cycle_timeout_s=options.cycle_timeout,
        max_rss_bytes=options.max_rss,
        out=options.out,
    )
    plan = make_plan(request, Path.cwd())
    if len(plan.components) != 1:
        raise UsageError(f"{options.target!r} names {len(plan.components)} components; search with one of them")
    return replace(plan, components=(replace(plan.components[0], full_budget=False),), on_verdict=None)


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "soak" / "bisect"


def _write_reports(store: RunStore) -> None:
    from soak.reporting.write import write_reports

    result = store.read_run()
    write_reports(result, store.read_readings, Path(result.folder))


def _exit_code(bisection: Bisection) -> int:
    from soak.bisections import Outcome

    match bisection.change.outcome:
        case Outcome.FOUND:
            return 0
        case Outcome.CONTRADICTED:
            return 2
        case Outcome.ENDPOINT_UNJUDGED:
            trial = bisection.trial(bisection.change.endpoint or "")
            return 3 if trial is not None and trial.result is not None else 2
        case _:
            return 3


class _BisectPrinter:
    """Shows progress on the current release, and keeps one line for each release that was tried."""

    def __init__(self, package: str, releases: int, progress: ProgressDisplay) -> None:
        self._package = package
        self._expected = 2 + math.ceil(math.log2(max(1, releases - 1)))
        self._progress = progress
        self._begun = 0

    def begin(self, release: str) -> _RunProgress:
        """Show that soak installs a release."""
        self._begun += 1
        shown = _RunProgress(f"{self._package} {release}", self._progress)
        self._progress.begin(shown.name, self._begun, max(self._begun, self._expected), "installing")
        return shown

    def end(self, trial: Trial) -> None:
        """Write the line of a release."""
        from soak.reporting.commands.bisect import trial_sentence

        verdict = None if trial.result is None else trial.result.verdict
        self._progress.end(f"{self._package} {trial.release}", verdict, trial_sentence(trial, self._package))


class _RunProgress:
    """Shows the progress of a run under the name of its release."""

    def __init__(self, name: str, progress: ProgressDisplay) -> None:
        self.name = name
        self._progress = progress

    def limit_memory(self, _max_rss_bytes: float) -> None:
        """Show nothing: the limit is the same for every release."""

    def stage(self, note: str) -> None:
        """Show it in the release's line."""
        self._progress.update(self.name, Progress(0, 0.0, note))

    def begin(self, _component: str, _position: int, _total: int) -> None:
        """Show nothing: the release's own line is there already."""

    def update(self, _component: str, progress: Progress) -> None:
        """Show the progress of the run in the release's line."""
        self._progress.update(self.name, progress)

    def so_far(self, _result: ComponentResult) -> None:
        """Show nothing more."""

    def done(self, _result: ComponentResult) -> None:
        """Show nothing: an undecided release is soaked again before its line is final."""
