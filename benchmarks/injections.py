"""Plant each kind of leak in a component of `standalone_tests` and check the result of a whole run.

    python benchmarks/injections.py                  two runs: the native leak alone, the six others together
    python benchmarks/injections.py --separately     one run per kind
    python benchmarks/injections.py --only native    one kind alone

The component with the leak must be LEAK by the signal of that kind, no other component may be LEAK, and the exit status
must be 1.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import CommandRun, Figure, equal, make_parser, publish, say, scratch_folder, shown, soak_run

LEDGER = "ledger"


@dataclass(frozen=True)
class Planted:
    """One leak: its component, its kind, and the expected result."""

    kind: str
    component: str
    amount: str
    deciders: tuple[str, ...]
    """The signals that may decide: the tracker's ledger where it sees the kind, or the counter of the kind."""
    rate: float
    """Growth per cycle in the unit of ``measure``."""
    measure: str
    """``allocated`` (bytes as malloc rounds them) | ``requested`` (bytes) | ``signal`` (the deciding signal's unit)."""
    margin: float

    @property
    def option(self) -> str:
        """The argument of ``--inject``."""
        return f"{self.component}={self.kind}:{self.amount}"


PLANTED = (
    Planted("native", "decoder", "106", (LEDGER, "counter:heap"), 128.0, "allocated", 0.5),
    Planted("object", "numpy_conversion", "106", (LEDGER, "counter:python_blocks"), 106.0, "requested", 2.0),
    Planted("lost-reference", "decompressor", "106", (LEDGER, "counter:python_blocks"), 106.0, "requested", 2.0),
    Planted("cycle", "full_cycle", "200", (LEDGER, "counter:python_blocks"), 200.0, "requested", 40.0),
    Planted("fd", "get", "1/10", ("counter:fds",), 0.1, "signal", 0.002),
    Planted("thread", "malformed_frames", "1/10", ("counter:threads",), 0.1, "signal", 0.002),
    Planted("mmap", "display", "4096", (LEDGER, "counter:mapped"), 4096.0, "signal", 41.0),
)


def main() -> int:
    """Do the runs and print the table."""
    options = parse_arguments()
    if options.only:
        groups = [tuple(planted for planted in PLANTED if planted.kind == options.only)]
    elif options.separately:
        groups = [(planted,) for planted in PLANTED]
    else:
        groups = [PLANTED[:1], PLANTED[1:]]
    figures: list[Figure] = []
    details: list[dict[str, Any]] = []
    with scratch_folder() as folder:
        for group in groups:
            say("soak run " + " ".join(f"--inject {planted.option}" for planted in group))
            run = soak_run(folder, *targets(options), *(f"--inject={planted.option}" for planted in group))
            if not run.report:
                say(run.stderr)
            figures += judge_run(run, group)
            details += [describe(run, planted) for planted in group]
    for line in details:
        say(" ".join(f"{name}={value}" for name, value in line.items()))
    return publish("injections", figures, {"components": details}, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--only", choices=[planted.kind for planted in PLANTED], help="one kind, alone in its run")
    parser.add_argument("--separately", action="store_true", help="one run per kind")
    parser.add_argument("--target", type=Path, metavar="FOLDER", help="folder of drivers (default: the project's)")
    return parser.parse_args()


def targets(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the targets for ``soak run``; none for the project's own."""
    return (str(options.target.resolve()),) if options.target else ()


def judge_run(run: CommandRun, group: tuple[Planted, ...]) -> list[Figure]:
    """Return the figures of one run: each planted leak, then the other components that were flagged."""
    components = run.components()
    figures = [figure for planted in group for figure in judge_planted(components.get(planted.component), planted)]
    names = " ".join(planted.kind for planted in group)
    innocent = [name for name in components if name not in {planted.component for planted in group}]
    flagged = [name for name in innocent if components[name]["verdict"] == "LEAK"]
    return [
        *figures,
        equal(f"{names}: others flagged", " ".join(flagged) or "none", "", "none"),
        equal(f"{names}: exit status", run.exit_status, "", 1),
        shown(f"{names}: whole run", run.seconds, "s"),
    ]


def judge_planted(component: dict[str, Any] | None, planted: Planted) -> list[Figure]:
    """Return the figures of one component that has a leak; ``component``: as in report.json, None when missing."""
    where = f"{planted.kind} in {planted.component}"
    if component is None:
        return [equal(where, "not in the report", "", "LEAK")]
    decided_by = component["decided_by"]
    rate, low, high = measured_rate(component, planted)
    near = rate is not None and abs(rate - planted.rate) <= planted.margin
    covered = low is not None and high is not None and low <= planted.rate <= high
    return [
        equal(where, component["verdict"], "", "LEAK"),
        Figure(f"{where}: decided by", decided_by, "", " or ".join(planted.deciders), decided_by in planted.deciders),
        Figure(f"{where}: {planted.measure}", rate, "", f"{planted.rate:g} ± {planted.margin:g}", near),
        Figure(f"{where}: interval", interval_text(low, high), "", f"covers {planted.rate:g}", covered),
        shown(f"{where}: time to the verdict", component["seconds_to_verdict"], "s"),
    ]


def measured_rate(component: dict[str, Any], planted: Planted) -> tuple[float | None, float | None, float | None]:
    """Return rate and interval per cycle, in the unit of the planted leak."""
    growth = component["growth"] or {}
    if planted.measure == "allocated":
        heap = component["signals"].get("heap", {})
        return growth.get("allocated_bytes_per_iteration"), heap.get("low"), heap.get("high")
    if planted.measure == "requested":
        return growth.get("requested_bytes_per_iteration"), growth.get("low"), growth.get("high")
    signal = component["signals"].get({"fd": "fds", "thread": "threads", "mmap": "mapped"}[planted.kind], {})
    return signal.get("per_iteration"), signal.get("low"), signal.get("high")


def interval_text(low: float | None, high: float | None) -> str:
    """Return both ends as text."""
    return "none" if low is None or high is None else f"{low:.6g} to {high:.6g}"


def describe(run: CommandRun, planted: Planted) -> dict[str, Any]:
    """Return one line of the table: the planted leak and the component's result in the report."""
    component = run.components().get(planted.component, {})
    rate, low, high = measured_rate(component, planted) if component else (None, None, None)
    return {
        "component": planted.component,
        "planted": f"{planted.kind}:{planted.amount}",
        "verdict": component.get("verdict"),
        "decided_by": component.get("decided_by"),
        "stopped_by": component.get("stopped_by"),
        "rate": rate,
        "low": low,
        "high": high,
        "cycles": component.get("iterations"),
        "seconds": component.get("seconds"),
    }


if __name__ == "__main__":
    sys.exit(main())
