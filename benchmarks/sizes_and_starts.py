"""How fast soak starts and reports, how large the files of a run are, and whether soak itself grows while it watches.

python benchmarks/sizes_and_starts.py
python benchmarks/sizes_and_starts.py --cycles 100000 --seconds 5 --json -
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from measuring import (
    DRIVERS,
    MIB,
    ROOT,
    Figure,
    at_most,
    below,
    make_parser,
    publish,
    say,
    scratch_folder,
    shown,
    soak_command,
)

MOST_HELP_S = 0.2
MOST_DATABASE_MIB = 20.0
MOST_REPORT_S = 3.0
MOST_REPORT_MIB = 2.0
MOST_PARENT_GROWTH_MIB = 1.0
SAMPLE_S = 0.1


def main() -> int:
    """Measure everything and print the table."""
    options = parse_arguments()
    with scratch_folder() as folder:
        figures = [
            *measure_help(options.repeats),
            *measure_long_run(options.cycles, folder),
            *measure_parent(options.seconds, folder / "parent"),
        ]
    return publish("sizes_and_starts", figures, {"cycles": options.cycles, "seconds": options.seconds}, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=15, metavar="N", help="starts of soak --help (15)")
    parser.add_argument("--cycles", type=int, default=1_000_000, metavar="N", help="cycles of the long run (1000000)")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="S", help="length of the watched run (20)")
    return parser.parse_args()


def measure_help(repeats: int) -> list[Figure]:
    """Measure the wall time of ``soak --help`` with the installed command."""
    say("soak --help")
    installed = Path(sys.executable).with_name("soak")
    command = [str(installed)] if installed.is_file() else soak_command()
    seconds = [timed_s([*command, "--help"]) for _ in range(repeats)]
    return [
        below("soak --help", statistics.median(seconds), "s", MOST_HELP_S),
        shown("soak --help, slowest", max(seconds), "s"),
    ]


def timed_s(command: list[str]) -> float:
    """Run a command, which must succeed; return the wall time."""
    started_s = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return time.perf_counter() - started_s


def measure_long_run(cycles: int, folder: Path) -> list[Figure]:
    """Measure the size of a long run of an empty cycle, and the time and size of its report."""
    say(f"a run of {cycles:,} empty cycles, and its report")
    run_s = timed_s(long_run(folder, "--iterations", str(cycles)))
    run = newest_run(folder)
    database = run / "run.db"
    report_s = timed_s(soak_command("report", str(run)))
    return [
        shown(f"run of {cycles:,} empty cycles, with start, controls and reports", run_s, "s"),
        below("its run.db", database.stat().st_size / MIB, "MiB", MOST_DATABASE_MIB),
        below("writing its report again, with the start of Python", report_s, "s", MOST_REPORT_S),
        below("its report.html", (run / "report.html").stat().st_size / MIB, "MiB", MOST_REPORT_MIB),
        shown("all files of the run", sum(file.stat().st_size for file in run.iterdir()) / MIB, "MiB"),
    ]


def long_run(out: Path, *arguments: str) -> list[str]:
    """Return the command for a run of the empty cycle that continues after the verdict stands."""
    driver = str(DRIVERS / "drive_trivial.py")
    return soak_command("run", driver, "--no-early-stop", "--out", str(out), *arguments)


def newest_run(out: Path) -> Path:
    """Return the folder of the only run."""
    return max(path for path in out.iterdir() if (path / "run.db").is_file())


def measure_parent(seconds: float, folder: Path) -> list[Figure]:
    """Measure the growth of soak's own RSS while it watches one component, after the first quarter of the time."""
    say(f"soak's own memory over {seconds:g} s")
    process = subprocess.Popen(
        long_run(folder, "--duration", f"{seconds:g}s"),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    samples = []
    while process.poll() is None:
        samples.append((time.monotonic(), children_of(process.pid), rss_bytes(process.pid)))
        time.sleep(SAMPLE_S)
    watched = [(at_s, rss) for at_s, rss in longest_watch(samples) if rss]
    if len(watched) < 8:
        return [at_most("growth of soak's own RSS while it watches", None, "MiB", MOST_PARENT_GROWTH_MIB)]
    warm, last = watched[len(watched) // 4][1], watched[-1][1]
    return [
        shown("soak's own RSS while it watches", last / MIB, "MiB"),
        shown("its growth in the first quarter", (warm - watched[0][1]) / MIB, "MiB"),
        at_most(
            f"its growth in the following {watched[-1][0] - watched[len(watched) // 4][0]:.0f} s",
            (last - warm) / MIB,
            "MiB",
            MOST_PARENT_GROWTH_MIB,
        ),
    ]


def children_of(pid: int) -> str:
    """Return the process ids of all children as text; empty when there are none or the process has ended."""
    try:
        tasks = sorted(Path(f"/proc/{pid}/task").iterdir())
        return " ".join((task / "children").read_text(encoding="ascii") for task in tasks).strip()
    except OSError:
        return ""


def rss_bytes(pid: int) -> int:
    """Return the resident size; 0 when the process has ended."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Rss:")), 0)


def longest_watch(samples: list[tuple[float, str, int]]) -> list[tuple[float, int]]:
    """Return time and RSS of the longest series of samples with the same children, without its ends."""
    stretches: dict[str, list[tuple[float, int]]] = {}
    for at_s, children, rss in samples:
        if children:
            stretches.setdefault(children, []).append((at_s, rss))
    return max(stretches.values(), key=len, default=[])[1:-1]


if __name__ == "__main__":
    sys.exit(main())
