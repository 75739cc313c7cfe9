"""How long a thread waits while its program is copied for a scan (`soak watch --scan`), and what reading a copy takes.

python benchmarks/scan_pauses.py
python benchmarks/scan_pauses.py --megabytes 20 500 --copies 30 --json -
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from measuring import Figure, at_most, make_parser, publish, say, shown

from soak.probes.ledgers.shadow import Blocks
from soak.probes.ledgers.tables import LiveTables
from soak.running.context import find_library
from soak.running.scanning.copies import end_copy
from soak.running.scanning.copy_reading import read_copy
from soak.running.watch.subject import Process, start_program

LIMIT_MS = 50.0
ALLOCATING = """
import sys, time
class Order:
    def __init__(self):
        self.body = bytes(900)
held = [Order() for _ in range(int(sys.argv[1]) * 1000)]
kept = []
def work():
    kept.append(Order())
while True:
    work()
    time.sleep(0.001)
"""


@dataclass(frozen=True)
class Pause:
    """One copy."""

    took_s: float
    busy_s: float


def main() -> int:
    """Copy programs of several sizes and print the pauses."""
    options = parse_arguments()
    figures: list[Figure] = []
    details: dict[str, Any] = {}
    for megabytes in options.megabytes:
        say(f"a program of {megabytes} MB, {options.copies} copies")
        rss_mib, pauses, read_s = measure(megabytes, options.copies)
        took_ms = sorted(1e3 * pause.took_s for pause in pauses)
        busy_ms = statistics.median(1e3 * pause.busy_s for pause in pauses)
        name = f"{megabytes} MB"
        figures += [
            shown(f"{name}: RSS", rss_mib, "MiB"),
            at_most(f"{name}: pause, median", statistics.median(took_ms), "ms", LIMIT_MS),
            shown(f"{name}: pause, 99 in 100", took_ms[int(0.99 * len(took_ms))], "ms"),
            shown(f"{name}: pause, worst", took_ms[-1], "ms"),
            shown(f"{name}: of it the kernel's work, median", busy_ms, "ms"),
            shown(f"{name}: reading a copy, processor time", read_s, "s"),
        ]
        details[name] = {"took_ms": took_ms, "load": os.getloadavg()[0]}
    return publish("scan_pauses", figures, details, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[10, 450], metavar="N", help="objects (10 450)")
    parser.add_argument("--copies", type=int, default=20, metavar="N", help="of each program (20)")
    return parser.parse_args()


def measure(megabytes: int, copies: int) -> tuple[float, list[Pause], float]:
    """Return the resident size in MiB, the pauses, and the processor time that it took to read one copy."""
    command = [sys.executable, "-c", ALLOCATING, str(megabytes)]
    program = start_program(command, output_to_stderr=True, tree=False, library=find_library()[0], reason=None)
    try:
        tables = program.tables()
        assert tables is not None, program.why_not_tracked()
        sites = growing(program, tables)
        tables.request_flags(sites)
        pauses, read_s = [], 0.0
        for number in range(copies):
            wish = tables.want_copy(os.getpid())
            while (made := tables.copy_made(wish)) is None:
                time.sleep(0.001)
            assert made.pid is not None
            pauses.append(Pause(made.took_s, made.busy_s))
            if number == copies - 1:
                read_s = reading(tables, made.pid, sites)
            end_copy(made.pid)
            time.sleep(0.1)
        return program.read()["rss"] / (1 << 20), pauses, read_s
    finally:
        program.end(1.0)
        program.close()


def growing(program: Process, tables: LiveTables) -> list[int]:
    """Wait until the program does its work, and return the sites that grow by it."""
    before = np.zeros(0)
    while program.is_alive():
        time.sleep(1.0)
        checkpoint = tables.read()
        assert checkpoint is not None
        sites = checkpoint.site_table.owners[checkpoint.rows["site"]]
        blocks = np.bincount(sites, checkpoint.rows["live_blocks"], len(checkpoint.sites))
        grown = blocks - np.pad(before, (0, len(blocks) - len(before)))
        if 0 < grown.max() < 2000 and len(before):  # no more than by its work
            found: list[int] = np.flatnonzero(grown > grown.max() / 2).tolist()
            return found
        before = blocks.astype(np.float64)
    raise RuntimeError("the program has ended")


def reading(tables: LiveTables, copy: int, sites: list[int]) -> float:
    """Read a copy; return the processor time."""
    begun_s = time.thread_time()
    with contextlib.closing(tables.of_copy(copy)) as own:
        read_copy(own, sites, 100, lambda blocks, _sites, _newest: old(blocks))
    return time.thread_time() - begun_s


def old(blocks: Blocks) -> Blocks:
    """Return the blocks as those of an early cycle."""
    return replace(blocks, cycles=np.ones(len(blocks), np.uint64))


if __name__ == "__main__":
    sys.exit(main())
