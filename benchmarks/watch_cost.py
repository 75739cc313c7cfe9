"""What `soak watch` itself costs: processor time and resident growth of a watcher, at one sample a second.

python benchmarks/watch_cost.py [--samples 60] [--every 1.0] [--megabytes 500] [--blocks 50000] [--no-track]
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import threading
import time

from soak.running.tracking import find_library
from soak.running.watching import Watch, WatchPlan, start_program

HOLDING = """
import sys, time
held = bytearray(int(sys.argv[1]) << 20)
held[::4096] = b"x" * len(held[::4096])
blocks = [object() for _ in range(int(sys.argv[2]))]
while True:
    time.sleep(0.1)
    blocks[0] = object()
"""


def main() -> None:
    """Watch a process of some size and print the cost in per cent of a core."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--every", type=float, default=1.0)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--blocks", type=int, default=50_000)
    parser.add_argument("--no-track", action="store_true")
    options = parser.parse_args()
    command = [sys.executable, "-c", HOLDING, str(options.megabytes), str(options.blocks)]
    library = None if options.no_track else find_library()[0]
    held = start_program(command, output_to_stderr=True, tree=False, library=library, reason="--no-track")
    time.sleep(2)
    used: list[tuple[float, float, int]] = []

    def note(*_: object) -> None:
        used.append((time.process_time(), time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))

    plan = WatchPlan(options.every, options.samples * options.every, 1.0, 64, stop_at_leak=False)
    result = Watch(held, plan, threading.Event(), on_sample=note).run()
    os.kill(held.pid, signal.SIGKILL)
    held.close()
    (cpu_0, at_0, rss_0), (cpu_1, at_1, rss_1) = used[5], used[-1]
    samples = len(used) - 6
    print(
        f"{samples} samples of a process of {options.megabytes} MiB and {options.blocks:,} more blocks, one every "
        f"{options.every:g} s, {'tracked' if result.tracker.active else 'from outside only'}: "
        f"{(cpu_1 - cpu_0) / samples * 1e3:.2f} ms each, {(cpu_1 - cpu_0) / (at_1 - at_0) * 100:.3f} % of a core; "
        f"the watcher's peak RSS grew by {rss_1 - rss_0} KiB"
    )


if __name__ == "__main__":
    main()
