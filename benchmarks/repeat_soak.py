"""Soak the clean project many times: every run must give the same answer, within a minute.

python benchmarks/repeat_soak.py                 twenty runs, up to twenty minutes
python benchmarks/repeat_soak.py --runs 3 --json -
"""

from __future__ import annotations

import argparse
import statistics
import sys
from typing import Any

from measuring import CommandRun, at_most, equal, make_parser, publish, say, scratch_folder, shown, soak_run

MOST_SECONDS = 60.0


def main() -> int:
    """Do the runs and print the table."""
    options = parse_arguments()
    lines: list[dict[str, Any]] = []
    with scratch_folder() as folder:
        for number in range(1, options.runs + 1):
            lines.append(describe(soak_run(folder)))
            say(f"run {number} of {options.runs}: {lines[-1]}")
    if not any(line["controls_ok"] for line in lines):
        say("nothing was measured")
        return 1
    seconds = [line["seconds"] for line in lines]
    unclean = [f"{name} {verdict}" for line in lines for name, verdict in line["not_clean"].items()]
    controls = sum(not line["controls_ok"] for line in lines)
    figures = [
        equal("runs with exit status 0", sum(line["exit_status"] == 0 for line in lines), "", options.runs),
        equal("gated components not CLEAN", ", ".join(unclean) or "none", "", "none"),
        equal("runs whose controls failed", controls, "", 0),
        shown("fastest run", min(seconds), "s"),
        shown("median run", statistics.median(seconds), "s"),
        at_most("slowest run", max(seconds), "s", MOST_SECONDS),
    ]
    return publish("repeat_soak", figures, {"runs": lines}, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="number of runs (20)")
    return parser.parse_args()


def describe(run: CommandRun) -> dict[str, Any]:
    """Summarise one run."""
    controls = run.report.get("controls") or {}
    return {
        "exit_status": run.exit_status,
        "seconds": round(run.seconds, 2),
        "controls_ok": bool(controls) and all(controls[name]["ok"] for name in ("blank", "spike")),
        "not_clean": not_clean(run.report),
        "why": {name: run.components()[name]["why"] for name in not_clean(run.report)},
        "stderr": "" if run.report else run.stderr[-2000:],
    }


def not_clean(report: dict[str, Any]) -> dict[str, str]:
    """Return the verdicts of the gated components that are not CLEAN, by name."""
    components = report.get("components", ())
    return {
        component["name"]: component["verdict"]
        for component in components
        if component["verdict"] != "CLEAN" and component.get("gate", True)
    }


if __name__ == "__main__":
    sys.exit(main())
