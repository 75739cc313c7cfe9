"""How exactly soak keeps a pace: 100 ms for a minute, by the start times that the cycles record themselves.

    python benchmarks/pacing.py
    python benchmarks/pacing.py --interval 0.01 --seconds 20 --json -

The lateness of a start is its distance from the grid that begins at the first start. Drift is the slope of the lateness
over time. A loop that sleeps a little too long in every cycle drifts; a loop that keeps its grid does not.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import numpy.typing as npt
from measuring import Figure, at_most, make_parser, plan_driver, publish, say, scratch_folder, shown, supervise

MOST_PERIOD_ERROR_PERCENT = 0.1
MOST_DRIFT_PERCENT = 0.001
"""1 ms in 100 s, 0.4 s in a night of twelve hours."""


def main() -> int:
    """Measure and print the table."""
    options = parse_arguments()
    say(f"a cycle every {options.interval * 1000:g} ms for {options.seconds:g} s")
    with scratch_folder() as folder:
        file = folder / "starts"
        plan = plan_driver(
            "paced",
            duration_s=options.seconds,
            interval_s=options.interval,
            driver_settings={"paced": {"file": str(file)}},
        )
        observed = supervise(plan, options.python)
        starts_s = np.fromfile(file, np.int64) / 1e9
    figures = [
        *judge_starts(starts_s, options.interval),
        shown("missed deadlines", observed.pacing.missed_deadlines),
        shown("worst lag that soak reports", observed.pacing.worst_lag_s * 1000, "ms"),
        shown("share of checkpoints", observed.checkpoint_share * 100, "%"),
    ]
    return publish("pacing", figures, {"interval_s": options.interval, "seconds": observed.seconds}, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--interval", type=float, default=0.1, metavar="S", help="seconds between starts (0.1)")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="length of the run (60)")
    parser.add_argument("--python", metavar="INTERPRETER", help="the interpreter of the measured process (this one)")
    return parser.parse_args()


def judge_starts(starts_s: npt.NDArray[np.float64], interval_s: float) -> list[Figure]:
    """Compare the start times ``(n,)``, at least three, with their grid."""
    mean_s = (starts_s[-1] - starts_s[0]) / (len(starts_s) - 1)
    late_s = starts_s - starts_s[0] - interval_s * np.arange(len(starts_s))
    drift = float(np.polyfit(starts_s - starts_s[0], late_s, 1)[0])
    error = abs(mean_s / interval_s - 1)
    return [
        shown("cycles", len(starts_s)),
        shown("mean period", mean_s * 1000, "ms"),
        at_most("mean period off by", float(error * 100), "%", MOST_PERIOD_ERROR_PERCENT),
        at_most("drift", abs(drift) * 100, "%", MOST_DRIFT_PERCENT),
        shown("median lateness of a start", float(np.median(late_s)) * 1e3, "ms"),
        shown("worst lateness of a start", float(late_s.max()) * 1e3, "ms"),
    ]


if __name__ == "__main__":
    sys.exit(main())
