"""Run the cycles of a night (twelve hours at 100 ms) flat out, with the full cycle.

The result must be CLEAN, the parent's memory must not grow while the cycles run, and the run's folder must stay small.

python benchmarks/night.py
python benchmarks/night.py --cycles 50000 --json -
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import psutil
from measuring import ROOT, at_most, equal, make_parser, publish, say, scratch_folder, shown, soak_command

from soak.errors import SoakError
from soak.reporting.words import why_words
from soak.results import RunResult
from soak.store.runs import list_runs, open_run

CYCLES = 432_000
TARGET = "standalone_tests/drive_full_cycle.py"
MOST_GROWTH_KIB = 1024.0
MOST_DISK_MB = 20.0
FILLED_AFTER = 0.25
"""Share of the cycles: n_min is an eighth of them, and the rule's windows fill with readings until twice n_min."""
_LOOK_EVERY_S = 0.5


def main() -> int:
    """Run the night and print the table."""
    options = parse_arguments()
    with scratch_folder() as folder:
        started_s = time.monotonic()
        samples = watch(folder, options.cycles, options.tracked)
        runs = list_runs(folder)
        if not runs:
            say("nothing was measured")
            return 1
        with open_run(runs[0]) as store:
            found = store.read_run()
        filled = round(FILLED_AFTER * options.cycles)
        figures = [
            equal("verdict", verdict_of(found), "", "CLEAN"),
            equal("cycles", found.components[0].iterations if found.components else 0, "", options.cycles),
            shown("growth of the parent's memory in the first quarter", growth_kib(samples, 0, filled), "KiB"),
            at_most("growth in the other three", growth_kib(samples, filled, options.cycles), "KiB", MOST_GROWTH_KIB),
            shown("the parent's memory at the end", samples[-1][1] / 2**20 if samples else None, "MiB"),
            at_most("size of the run's folder", folder_bytes(runs[0]) / 1e6, "MB", MOST_DISK_MB),
            shown("time", time.monotonic() - started_s, "s"),
        ]
    return publish(
        "night", figures, {"cycles_and_rss": samples, "why": [why_words(c) for c in found.components]}, options.json
    )


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--cycles", type=int, default=CYCLES, metavar="N", help=f"how many ({CYCLES:,})")
    parser.add_argument("--no-track", dest="tracked", action="store_false", help="without the allocation tracker")
    return parser.parse_args()


def watch(folder: Path, cycles: int, tracked: bool) -> list[tuple[int, int]]:
    """Do the run; return (stored cycles, the parent's resident bytes) at several moments while the cycles ran."""
    command = soak_command(
        "run", TARGET, "--iterations", str(cycles), "--interval", "0", "--no-early-stop", "--out", str(folder),
        *([] if tracked else ["--no-track"]),
    )  # fmt: skip
    samples: list[tuple[int, int]] = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        parent = psutil.Process(running.pid)
        while running.poll() is None:
            time.sleep(_LOOK_EVERY_S)
            done = cycles_stored(folder)
            if 0 < done < cycles and running.poll() is None:
                samples.append((done, parent.memory_info().rss))
    return samples


def cycles_stored(folder: Path) -> int:
    """Return the cycle of the last checkpoint of the current run; 0 when there is none yet."""
    for run in list_runs(folder):
        try:
            with open_run(run) as store:
                return max((cycle or 0 for cycle in store.cycles_read().values()), default=0)
        except SoakError:
            return 0
    return 0


def growth_kib(samples: list[tuple[int, int]], first: int, last: int) -> float | None:
    """Return the growth of the parent's memory between the cycles ``first`` and ``last``."""
    within = [rss for done, rss in samples if first <= done <= last]
    return (within[-1] - within[0]) / 1024 if len(within) > 1 else None


def verdict_of(found: RunResult) -> str:
    """Return the verdict of the only component, or ``none``."""
    return found.components[0].verdict.value if found.components else "none"


def folder_bytes(folder: Path) -> int:
    """Add up the sizes of a folder's files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


if __name__ == "__main__":
    sys.exit(main())
