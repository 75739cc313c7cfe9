"""How long a scan for lost blocks takes in a process with 200 MB of writable memory and a hundred lost blocks.

    python benchmarks/scan_speed.py
    python benchmarks/scan_speed.py --megabytes 1000 --repeats 3 --json -

Half of the memory is Python objects, which contain the most pointers; half is buffers. A process of 200 MB stands still
for the scan. One of 1 GB goes on meanwhile, because a copy of it is scanned; the time is the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measuring import ROOT, Figure, at_least, at_most, equal, make_parser, publish, scratch_folder, shown

from soak.native.build import NotBuilt, built_library
from soak.native.layout import NATIVE_SITE, PYTHON_SITE
from soak.native.ledger import LedgerFile
from soak.native.preload import preloading
from soak.probes.memory import ProcessMemory, held_still
from soak.running.scanning.scan.memory_scan import MemoryScan

LONGEST_S, LONGEST_S_PER_GB = 0.5, 1.5
LOST, HELD = 100, 100
MOST = 0.8
"""A site is lost when this share of its blocks is: some may be pointed to by what was left behind."""
SCAN_WITHIN_S = 60.0
CHILD = """
import ctypes, sys
sys.path.insert(0, {root!r})
from soak.inside import tracker as hook
tracker = hook.connect()
tracker.start({ledger!r})
malloc = ctypes.CDLL(None).malloc
malloc.restype, malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
objects = [(number, str(number)) for number in range({megabytes} * 3_500)]
buffers = [bytes(4000) for _ in range({megabytes} * 125)]
kept = [None] * {held}
def lose():
    malloc(106)
def keep(number):
    kept[number] = bytes(106)
for cycle in range(1, {lost} + 1):
    tracker.cycle[0] = cycle
    lose()
    keep(cycle % {held})
tracker.cycle[0] = 1000
tracker.checkpoint()
print(id(type), flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Scanned:
    """One scan."""

    seconds: float
    cpu_s: float
    read_bytes: int
    lost: int
    held: int


def main() -> int:
    """Scan several times and report the median."""
    parser = make_parser(__doc__)
    parser.add_argument("--megabytes", type=int, default=200, help="writable memory of the process (200)")
    parser.add_argument("--repeats", type=int, default=9, metavar="N", help="scans (9)")
    options = parser.parse_args()
    built = built_library()
    if isinstance(built, NotBuilt):
        print(built.reason, file=sys.stderr)
        return 1
    with scratch_folder() as folder:
        scans = scan_child(built.path, folder / "ledger", options.megabytes, options.repeats)
    name = f"a scan of {options.megabytes} MB, median of {len(scans)}"
    longest_s = max(LONGEST_S, LONGEST_S_PER_GB * options.megabytes / 1000)
    figures: list[Figure] = [
        shown("load", os.getloadavg()[0]),
        shown("memory read", scans[-1].read_bytes / 1e6, "MB"),
        at_most(f"{name}: processor time", float(np.median([scan.cpu_s for scan in scans])), "s", longest_s),
        shown(f"{name}: wall time", float(np.median([scan.seconds for scan in scans])), "s"),
        shown("the fastest: wall time", min(scan.seconds for scan in scans), "s"),
        at_least("lost blocks found lost", scans[-1].lost, "", MOST * LOST),
        equal("held blocks found held", scans[-1].held, "", HELD),
    ]
    return publish("scan_speed", figures, {"scans": [scan.seconds for scan in scans]}, options.json)


def scan_child(tracker: Path, ledger_path: Path, megabytes: int, repeats: int) -> list[Scanned]:
    """Start a child process of that size and scan it ``repeats`` times."""
    script = CHILD.format(root=str(ROOT), ledger=str(ledger_path), megabytes=megabytes, held=HELD, lost=LOST)
    with preloading(tracker, os.environ) as environment:
        child = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(environment)
        )
    assert child.stdout is not None
    type_at = int(child.stdout.readline())
    ledger = LedgerFile(ledger_path)
    try:
        return [scan_once(child.pid, ledger, type_at) for _ in range(repeats)]
    finally:
        ledger.close()
        child.kill()
        child.communicate()


def scan_once(pid: int, ledger: LedgerFile, type_at: int) -> Scanned:
    """Scan for the blocks of ``lose`` and ``keep``."""
    checkpoint = ledger.read()
    assert checkpoint is not None
    names = [ledger.place(checkpoint, site) for site in range(len(checkpoint.sites))]
    is_keep = np.array([name is not None and name.function == "keep" for name in names])
    # The calls of malloc by ctypes, each of which is lost, are a native site.
    is_lose = (checkpoint.births == LOST) & (checkpoint.sites["kind"] == NATIVE_SITE)
    sites = np.flatnonzero((is_keep & (checkpoint.sites["kind"] == PYTHON_SITE)) | is_lose).astype(np.uint32)
    begun_s, begun_cpu_s = time.perf_counter(), time.thread_time()
    with held_still(pid):
        memory = ProcessMemory(pid)
        scan = MemoryScan(memory, checkpoint, sites, type_at, SCAN_WITHIN_S)
        scan.run()
        seconds, cpu_s = time.perf_counter() - begun_s, time.thread_time() - begun_cpu_s
        memory.close()
    found = [site for _, site in scan.sites()]
    lost, held = max(len(site.lost) for site in found), max(site.held for site in found)
    return Scanned(seconds, cpu_s, scan.read_bytes, lost, held)


if __name__ == "__main__":
    raise SystemExit(main())
