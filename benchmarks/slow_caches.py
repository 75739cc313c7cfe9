"""Soak bounded caches of hidden size whose cycles are slow, beside processes that compute: none may be called LEAK.

    python benchmarks/slow_caches.py                        200 runs, about half an hour
    python benchmarks/slow_caches.py --runs 20 --busy 0     a first answer on a machine that is busy anyway

Each run has 30 to 1,000 cycles in some seconds, a cache of another kind (`benchmarks/drivers/drive_bounded_cache.py`),
and a size of 10 entries to three times the cycles: many are not full when the run ends, and then it must say that it
does not know. No run stops at its verdict. Kinds, sizes and cycles follow from the number of the run.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
from collections import Counter
from typing import Any

from field import busy
from measuring import DRIVERS, Figure, equal, make_parser, plan_driver, publish, say, shown

from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext, find_library
from soak.running.interpreter import find_interpreter

KINDS = ("oldest_out", "least_used_out", "random_out", "all_out", "ring", "lru_cache", "random_keys")
CYCLES, SMALLEST_SIZE, LARGEST_SHARE = (30, 1000), 10, 3.0
ENTRY_BYTES = (64, 4096)


def main() -> int:
    """Do the runs and print the table."""
    options = parse_arguments()
    library, reason = find_library()
    if library is None:
        say(f"no tracker: {reason}")
        return 1
    context = RunContext(find_interpreter(None), DRIVERS, threading.Event(), library)
    runs = []
    with busy(options.busy):
        for number in range(options.first, options.first + options.runs):
            settings = settings_of(number, options.seconds)
            runs.append({**settings, **soak(settings, options.seconds, context)})
            if runs[-1]["verdict"] in ("LEAK", "FAILED"):
                say(f"run {number}: {runs[-1]}")
    return publish("slow_caches", figures(runs), {"runs": runs, "busy": options.busy}, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--runs", type=int, default=200, metavar="N", help="runs (200)")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first run (0)")
    parser.add_argument("--seconds", type=float, default=6.0, metavar="S", help="time of one run's cycles (6)")
    parser.add_argument("--busy", type=int, default=4, metavar="N", help="processes that compute beside the runs (4)")
    return parser.parse_args()


def settings_of(number: int, seconds: float) -> dict[str, Any]:
    """Return the settings of the driver in a run."""
    choose = random.Random(number)
    cycles = round(between(choose, *CYCLES))
    return {
        "kind": KINDS[number % len(KINDS)],
        "size": round(between(choose, SMALLEST_SIZE, LARGEST_SHARE * cycles)),
        "entry_bytes": round(between(choose, *ENTRY_BYTES)),
        "cycle_s": seconds / cycles,
        "seed": number,
    }


def between(choose: random.Random, low: float, high: float) -> float:
    """Choose a number, each octave being as likely as any other."""
    share = choose.random()
    return low * float((high / low) ** share)


def soak(settings: dict[str, Any], seconds: float, context: RunContext) -> dict[str, Any]:
    """Soak one cache; return what was decided, and after how many cycles."""
    plan = plan_driver("bounded_cache", track=True, duration_s=seconds, driver_settings={"bounded_cache": settings})
    observed = soak_component(plan, context)
    failure = observed.failure
    return {
        "verdict": "FAILED" if failure else observed.decision.verdict.value,
        "ground": [ground.kind.value for ground in observed.decision.grounds][:1],
        "cycles": observed.iterations,
        "n_min": observed.judge.n_min,
        "failure": failure and failure.detail,
    }


def figures(runs: list[dict[str, Any]]) -> list[Figure]:
    """Count the verdicts, of all runs and of each kind of cache."""
    verdicts = Counter(run["verdict"] for run in runs)
    rows = [
        equal(f"false LEAK in {len(runs)} runs", verdicts["LEAK"], "", 0),
        equal("failed", verdicts["FAILED"], "", 0),
        shown("caches that were larger than the run", sum(run["size"] > run["cycles"] for run in runs)),
        shown("cycles of a run", f"{min(run['cycles'] for run in runs)} to {max(run['cycles'] for run in runs)}"),
    ]
    for kind in KINDS:
        found = Counter(run["verdict"] for run in runs if run["kind"] == kind)
        rows.append(shown(kind, ", ".join(f"{count} {verdict}" for verdict, count in found.most_common()) or "no run"))
    return rows


if __name__ == "__main__":
    sys.exit(main())
