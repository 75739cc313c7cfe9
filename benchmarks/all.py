"""Run every measuring script beside this one and write a dated table to docs/measurements.md.

    python benchmarks/all.py                        about an hour
    python benchmarks/all.py --short                about a quarter of one: fewer repeats and checkpoints
    python benchmarks/all.py --only pacing child_cost --print
    python benchmarks/all.py --keep FOLDER          also keeps each script's JSON, and runs no script that has one

A missed target is a result. The exit status is 1 only when a script could not measure.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from measuring import ROOT, Figure, at_most, equal, say, scratch_folder, shown, verdict, with_unit

HERE = Path(__file__).resolve().parent
PAGE = ROOT / "docs" / "measurements.md"
NO_SCRIPTS = (
    "all",
    "against_peers",
    "big_heaps",
    "calibrate_counts",
    "calibrate_keepers",
    "calibrate_memory",
    "calibrate_services",
    "fleet_kills",
    "fuzz",
    "measuring",
    "night",
    "services",
    "torture",
)
ALWAYS = {"calibrate": ["--quick"], "slow_caches": ["--runs", "20"], "field": ["--repeat", "1", "--python", "3.11"]}
SHORT = {
    "calibrate_few_cycles": ["--runs", "50"],
    "calibrate_steps": ["--runs", "500"],
    "fleet": ["--cells", "6", "--rounds", "1", "--passed", "500"],
    "child_cost": ["--checkpoints", "50000", "--repeats", "5"],
    "no_flags": ["--runs", "2"],
    "repeat_soak": ["--runs", "3"],
    "sizes_and_starts": ["--seconds", "10"],
    "tracker_limits": ["--cycles", "1000000"],
    "tracker_overhead": ["--rounds", "3"],
}


@dataclass(frozen=True)
class Outcome:
    """The result of one script."""

    name: str
    purpose: str
    """The first line of its docstring."""
    command: str
    seconds: float | None
    """None when its figures existed already."""
    figures: list[Figure]
    failure: str = ""
    """Its last line on stderr, when it could not measure."""


def main() -> int:
    """Run the scripts one after another and write the page."""
    options = parse_arguments()
    with scratch_folder() as folder:
        keep = options.keep or folder
        keep.mkdir(parents=True, exist_ok=True)
        outcomes = [measure(script, keep, short=options.short) for script in scripts(options.only)]
    page = render(outcomes, datetime.now(UTC).date())
    if options.print:
        print(page, end="")
    else:
        PAGE.write_text(page, encoding="utf-8")
    return 1 if any(outcome.failure for outcome in outcomes) else 0


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [script.stem for script in scripts(None)]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"some of {', '.join(names)}")
    parser.add_argument("--short", action="store_true", help="fewer repeats and checkpoints")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep each script's JSON here, and reuse it")
    parser.add_argument("--print", action="store_true", help="print the page instead of writing it")
    return parser.parse_args()


def scripts(only: list[str] | None) -> list[Path]:
    """Return the scripts to run, sorted by name."""
    found = [script for script in sorted(HERE.glob("*.py")) if script.stem not in NO_SCRIPTS]
    return [script for script in found if only is None or script.stem in only]


def measure(script: Path, folder: Path, *, short: bool) -> Outcome:
    """Run one script, or take its figures from ``folder``."""
    name = script.stem
    extra = [*ALWAYS.get(name, ()), *(SHORT.get(name, ()) if short else ())]
    file = folder / f"{name}.json"
    purpose = script.read_text(encoding="utf-8").partition('"""')[2].partition("\n")[0].strip().rstrip(".")
    command = " ".join(["python", f"benchmarks/{script.name}", *extra])
    seconds, complaint = None, ""
    if not file.is_file():
        say(command)
        started_s = time.perf_counter()
        done = subprocess.run(
            [sys.executable, str(script), *extra, "--json", str(file)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - started_s
        complaint = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Outcome(name, purpose, command, seconds, [], complaint)
    if "arguments" in document:
        command = " ".join(["python", f"benchmarks/{script.name}", *document["arguments"]])
    return Outcome(name, purpose, command, seconds, READERS.get(name, read_figures)(document))


# --- the JSON of the scripts ----------------------------------------------------------------------------------------


def read_figures(document: dict[str, Any]) -> list[Figure]:
    """Read what `measuring.publish` wrote."""
    return [Figure(**figure) for figure in document["figures"]]


def read_decode_speed(document: dict[str, Any]) -> list[Figure]:
    """Read decode_speed.py's ratios."""
    ratios = [
        at_most(f"{result['format']}, over simplejpeg with a ready buffer", result["ratio"], "", result["target"])
        for result in document["jpeg"]
    ]
    raw = [
        at_most(f"{result['format']}, large image over small", result["ratio"], "", result["target"])
        for result in document["raw"]
    ]
    return ratios + raw


def read_tracker_overhead(document: dict[str, Any]) -> list[Figure]:
    """Read tracker_overhead.py's ratios of CPU time; only soak has a target, the other tools are for comparison."""
    figures = []
    for case, tools in document["cpu_ratio_to_plain"].items():
        for tool, ratios in tools.items():
            if "median" not in ratios:
                continue
            name = f"{case} under {tool}, CPU time over untracked"
            limit = document["targets"][case]
            figures.append(
                at_most(name, ratios["median"], "", limit) if tool == "soak" else shown(name, ratios["median"])
            )
    return figures


def read_calibrate(document: dict[str, Any]) -> list[Figure]:
    """Read the number and the names of the families that miss a gate of calibrate.py."""
    failures = document["failures"]
    return [
        shown("families of series", len(document["families"])),
        equal("of them miss a gate", len(failures), "", 0),
        *(shown(family, ", ".join(map(str, faults))) for family, faults in failures.items()),
        shown("time of one look", document["seconds_per_look"] * 1e3, "ms"),
    ]


READERS: dict[str, Callable[[dict[str, Any]], list[Figure]]] = {
    "decode_speed": read_decode_speed,
    "tracker_overhead": read_tracker_overhead,
    "calibrate": read_calibrate,
}


# --- the page -------------------------------------------------------------------------------------------------------


def render(outcomes: list[Outcome], day: date) -> str:
    """Return the page: date and machine, the missed targets, then one table per script."""
    figures = [figure for outcome in outcomes for figure in outcome.figures]
    judged = [figure for figure in figures if figure.met is not None]
    missed = [figure for figure in judged if not figure.met]
    python = f"CPython {platform.python_version()}"
    lines = [
        "# Measurements",
        "",
        f"{day:%d %B %Y}, {platform.system()} {platform.machine()}, {os.cpu_count()} processors, {python}.",
        "Written by `python benchmarks/all.py`.",
        "",
        f"{len(judged) - len(missed)} of {len(judged)} targets met.",
        "",
    ]
    if missed:
        lines += ["Missed:", ""]
        lines += [f"- {figure.name}: {with_unit(figure)}, target {figure.target}" for figure in missed]
        lines.append("")
    for outcome in outcomes:
        lines += render_outcome(outcome)
    return "\n".join(lines).rstrip() + "\n"


def render_outcome(outcome: Outcome) -> list[str]:
    """Return the section of one script."""
    took = "" if outcome.seconds is None else f" ({outcome.seconds:.0f} s)"
    lines = [f"## {outcome.purpose}", "", f"`{outcome.command}`{took}", ""]
    if outcome.failure:
        return [*lines, f"Not measured: {outcome.failure}", ""]
    rows = [
        f"| {figure.name} | {with_unit(figure)} | {figure.target} | {verdict(figure)} |".replace("  ", " ")
        for figure in outcome.figures
    ]
    return [*lines, "| | measured | target | |", "|---|---|---|---|", *rows, ""]


if __name__ == "__main__":
    sys.exit(main())
