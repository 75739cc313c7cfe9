"""The cost of `soak watch`: processor time and growth of resident memory of a watcher, at one sample per second.

python benchmarks/watch_cost.py
python benchmarks/watch_cost.py --no-track --every 0.1
python benchmarks/watch_cost.py --samples 600 --megabytes 2000 --json -
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass

from measuring import below, make_parser, publish, say, shown

from soak.running.context import find_library
from soak.running.watch.plan import WatchPlan
from soak.running.watch.subject import start_program
from soak.running.watch.watch import Watch

MOST_PERCENT = 0.5
WARM_UP_SAMPLES = 6
"""The first samples are left out, because they import modules and read files for the first time."""
HOLDING = """
import sys, time
held = bytearray(int(sys.argv[1]) << 20)
held[::4096] = b"x" * len(held[::4096])
blocks = [object() for _ in range(int(sys.argv[2]))]
while True:
    time.sleep(0.1)
    blocks[0] = object()
"""


@dataclass(frozen=True)
class Use:
    """The watcher's processor time and memory at one sample."""

    cpu_s: float
    at_s: float
    peak_rss_kib: int


def main() -> int:
    """Watch a process and print the cost in per cent of a core."""
    options = parse_arguments()
    uses, tracked = watch(options)
    first, last, samples = uses[WARM_UP_SAMPLES - 1], uses[-1], len(uses) - WARM_UP_SAMPLES
    cpu_s = last.cpu_s - first.cpu_s
    percent = 100 * cpu_s / (last.at_s - first.at_s)
    # The target holds for one sample per second only.
    share = below("of a core", percent, "%", MOST_PERCENT) if options.every >= 1 else shown("of a core", percent, "%")
    figures = [
        share,
        shown("a sample", cpu_s / samples * 1e3, "ms"),
        shown("growth of the watcher's peak RSS", last.peak_rss_kib - first.peak_rss_kib, "KiB"),
        shown("samples", samples),
        shown("between two samples", options.every, "s"),
        shown("of a process of", options.megabytes, "MiB"),
        shown("and more blocks", options.blocks),
        shown("watched", "with the tracker" if tracked else "from outside only"),
    ]
    return publish("watch_cost", figures, {"cpu_s": cpu_s, "seconds": last.at_s - first.at_s}, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--samples", type=int, default=60, metavar="N", help="watch for N samples (60)")
    parser.add_argument("--every", type=float, default=1.0, metavar="S", help="seconds between two samples (1)")
    parser.add_argument(
        "--megabytes", type=int, default=500, metavar="N", help="resident size of what is watched (500)"
    )
    parser.add_argument("--blocks", type=int, default=50_000, metavar="N", help="blocks that it holds (50,000)")
    parser.add_argument("--no-track", action="store_true", help="from outside only")
    options = parser.parse_args()
    if options.samples <= WARM_UP_SAMPLES:
        parser.error(f"--samples: more than {WARM_UP_SAMPLES} are needed")
    return options


def watch(options: argparse.Namespace) -> tuple[list[Use], bool]:
    """Return the watcher's use at each sample, and whether the tracker was in the watched process."""
    command = [sys.executable, "-c", HOLDING, str(options.megabytes), str(options.blocks)]
    library = None if options.no_track else find_library()[0]
    held = start_program(command, output_to_stderr=True, tree=False, library=library, reason="--no-track")
    time.sleep(2)
    say(f"{options.samples} samples, one every {options.every:g} s")
    uses: list[Use] = []

    def note(*_: object) -> None:
        peak_rss_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        uses.append(Use(time.process_time(), time.monotonic(), peak_rss_kib))

    plan = WatchPlan(options.every, options.samples * options.every, 1.0, 64, stop_at_leak=False)
    try:
        result = Watch(held, plan, threading.Event(), on_sample=note).run()
    finally:
        os.kill(held.pid, signal.SIGKILL)
        held.close()
    return uses, result.tracker.active


if __name__ == "__main__":
    sys.exit(main())
