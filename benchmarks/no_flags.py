"""Soak clean programs many times with the tracker: no call site may be called leaking.

    python benchmarks/no_flags.py                            twenty runs of each, about a quarter of an hour
    python benchmarks/no_flags.py --runs 3 --seconds 1.5
    python benchmarks/no_flags.py --only sawtooth --only get --json -

It soaks the gated drivers of `standalone_tests` and the clean programs of `benchmarks/cases`: a pool of threads, a
sawtooth, caches that fill and then stay full, garbage in reference cycles. No run stops at its verdict, because every
further look is one more chance of an error. INCONCLUSIVE after so short a time is no error. Neither is a call site that
is shown as not proven, such as one whose blocks a filling cache holds.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from measuring import ROOT, Figure, equal, make_parser, publish, say

from soak.reporting.words import why_words
from soak.request import Request
from soak.results import ComponentResult
from soak.running.component.result import make_result
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext, find_library
from soak.running.interpreter import find_interpreter
from soak.settings import ComponentPlan, make_plan

CASES = ROOT / "benchmarks" / "cases"
CACHES = {"lru_cache": (100_000, 32_768), "lru_of_random_sizes": (20_000, 8_192)}
"""Cycles and n_min of the caches that fill in 20,000 and 3,000 calls. Only a full cache can be told from a leak, and on
a busy machine an eighth of the cycles of two seconds may be fewer than it takes to fill."""


def main() -> int:
    """Do the runs and print the table."""
    options = parse_arguments()
    library, reason = find_library()
    if library is None:
        say(f"no tracker: {reason}")
        return 1
    plans = read_plans(options.seconds)
    names = [name for name in plans if not options.only or name in options.only]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for number in range(1, options.runs + 1):
        for name in names:
            run = describe(soak(plans[name], library))
            found[name].append(run)
            if run["blamed"] or run["failure"]:
                say(f"{name}: {run}")
        say(f"round {number} of {options.runs}")
    return publish("no_flags", figures(found), {"runs": found}, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="runs of each program (20)")
    parser.add_argument("--seconds", type=float, default=2.5, metavar="S", help="time of one run's cycles (2.5)")
    parser.add_argument("--only", action="append", metavar="NAME", help="only this program; may be repeated")
    return parser.parse_args()


def read_plans(seconds: float) -> dict[str, ComponentPlan]:
    """Return, by name, the gated drivers with the project's settings, and the clean cases."""
    drivers = plan(("standalone_tests",), seconds)
    cases = {case.stem.removeprefix("clean_"): case for case in sorted(CASES.glob("clean_*.py"))}
    return {
        **{driver.target.name: driver for driver in drivers if driver.gate},
        **{name: plan((f"{case}:iteration",), seconds, *CACHES.get(name, ()))[0] for name, case in cases.items()},
    }


def plan(
    targets: tuple[str, ...], seconds: float, iterations: int | None = None, n_min: int | None = None
) -> tuple[ComponentPlan, ...]:
    """Plan targets for a time or a number of cycles, without an early stop."""
    duration_s = seconds if iterations is None else None
    request = Request(targets=targets, duration_s=duration_s, iterations=iterations, n_min=n_min, early_stop=False)
    return make_plan(request, ROOT).components


def soak(component: ComponentPlan, library: Path) -> ComponentResult:
    """Soak one component, without controls and without a second pass."""
    interpreter = find_interpreter(None)
    course = soak_component(component, RunContext(interpreter, ROOT, threading.Event(), library, None))
    return make_result(component, course, None, interpreter)


def describe(result: ComponentResult) -> dict[str, Any]:
    """Summarise one run."""
    return {
        "verdict": result.verdict.value,
        "cycles": result.iterations,
        "blamed": [f"{cause.kind}: {cause.where or cause.python_where}" for cause in result.causes if cause.confirmed],
        "not_proven": sum(not cause.confirmed for cause in result.causes),
        "failure": None if result.failure is None else result.failure.detail,
        "why": why_words(result),
    }


def figures(found: dict[str, list[dict[str, Any]]]) -> list[Figure]:
    """Count, for each program, the call sites that were blamed, and the verdicts."""
    rows = []
    for name, runs in found.items():
        verdicts = Counter(run["verdict"] for run in runs)
        is_right = not verdicts.keys() & {"LEAK", "FAILED"}
        text = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
        rows += [
            equal(f"{name}: call sites blamed in {len(runs)} runs", sum(len(run["blamed"]) for run in runs), "", 0),
            Figure(f"{name}: verdicts", text, "", "no LEAK, none FAILED", is_right),
        ]
    return rows


if __name__ == "__main__":
    sys.exit(main())
