"""What `soak watch` itself costs: processor time and resident growth of a watcher, at one sample a second.

python benchmarks/watch_cost.py [--samples 60] [--every 1.0] [--megabytes 500]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import threading
import time

from soak.running.watching import Process, Watch, WatchPlan

HOLDING = (
    "import sys; held = bytearray(int(sys.argv[1]) << 20); held[::4096] = b'x' * len(held[::4096]); sys.stdin.read()"
)


def main() -> None:
    """Watch a process of some size and print the cost in per cent of a core."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--every", type=float, default=1.0)
    parser.add_argument("--megabytes", type=int, default=500)
    options = parser.parse_args()
    held = subprocess.Popen([sys.executable, "-c", HOLDING, str(options.megabytes)], stdin=subprocess.PIPE)
    time.sleep(2)
    used: list[tuple[float, float, int]] = []

    def note(*_: object) -> None:
        used.append((time.process_time(), time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))

    plan = WatchPlan(options.every, options.samples * options.every, 1.0, 64, stop_at_leak=False)
    Watch(Process(held.pid, tree=False), plan, threading.Event(), on_sample=note).run()
    held.communicate()
    (cpu_0, at_0, rss_0), (cpu_1, at_1, rss_1) = used[5], used[-1]
    samples = len(used) - 6
    print(
        f"{samples} samples of a process of {options.megabytes} MiB, one every {options.every:g} s: "
        f"{(cpu_1 - cpu_0) / samples * 1e3:.2f} ms each, {(cpu_1 - cpu_0) / (at_1 - at_0) * 100:.3f} % of a core; "
        f"the watcher's peak RSS grew by {rss_1 - rss_0} KiB"
    )


if __name__ == "__main__":
    main()
