"""The tracker's limits: memory of its tables beside the heap, growth of its files, time of a count, ten million cycles.

    python benchmarks/tracker_limits.py                        ten minutes
    python benchmarks/tracker_limits.py --only table --json -
    python benchmarks/tracker_limits.py --only count --blocks 50,000,000
    python benchmarks/tracker_limits.py --cycles 1000000       a shorter last part

Each heap is made in a process of its own. The script reads from outside how much of its resident memory belongs to the
tracker and how much is private writable memory of the program. It reads the files that soak shares with the measured
process (the ring and the ledger) from inside, early in the long run and at its end.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from measuring import (
    DRIVERS,
    MIB,
    ROOT,
    Figure,
    at_most,
    below,
    equal,
    make_parser,
    publish,
    say,
    scratch_folder,
    shown,
    soak_run,
)
from numpy.typing import NDArray

from soak.native.build import NotBuilt, built_library
from soak.native.ledger import Checkpoint, LedgerFile
from soak.native.preload import preloading
from soak.probes.memory import ProcessMemory
from soak.probes.resident import PAGE_BYTES, read_resident

MOST_OF_HEAP, MOST_BESIDES_MIB = 0.25, 4.0
MOST_PACKED_PERCENT = 12.0
MOST_COUNT_MS = {
    "1,000,000 blocks of 200 B": 100.0,
    "5,000,000 bytes objects of 200 B": 50.0,
    "50,000,000 blocks of 20 B": 500.0,
}
MOST_MOVED_MIB = 0.25
"""What RSS may move by while tables are packed and used again, for judging: the child itself allocates a little."""
WORD_BYTES = 8
"""What the tracker knows of a block: with the words packed, no table could take less."""
EVERY = 1000
PLANTED_BYTES = 106

CHILD = """
import ctypes, gc, os, sys
sys.path.insert(0, {root!r})
from soak.inside import tracker as hook
tracker = hook.connect()
tracker.start({ledger!r})
libc = ctypes.CDLL(None)
malloc, strdup, free = libc.malloc, libc.strdup, libc.free
malloc.restype = strdup.restype = ctypes.c_void_p
malloc.argtypes, strdup.argtypes, free.argtypes = (ctypes.c_size_t,), (ctypes.c_char_p,), (ctypes.c_void_p,)
tracker.checkpoint()  # the first two map the ledger's pages
tracker.checkpoint()
{script}
print("ready", flush=True)
sys.stdin.read()
"""
CHECKPOINTS_SEEN = 250
CHECKPOINT = "\ntracker.checkpoint()"
CHECKPOINTS = "\nimport time\nfor _ in range(200):\n    tracker.checkpoint()\n    time.sleep(0.06)"
"""Until all that does not change is packed."""
HEAPS = {
    "2,000,000 blocks of 16 B": "text = b'x' * 15\nfor _ in range(2_000_000): strdup(text)",
    "1,000,000 blocks of 200 B": "text = b'x' * 199\nfor _ in range(1_000_000): strdup(text)",
    "50 blocks of 4 MB": "kept = [ctypes.memset(malloc(4_000_000), 1, 4_000_000) for _ in range(50)]",
    "blocks of 16 B to 64 KiB": (
        "texts = [b'x' * (int(16 * 2 ** (number / 16)) - 1) for number in range(193)]\n"
        "for _ in range(100):\n    for text in texts: strdup(text)"
    ),
    "1,000,000 Python objects": "kept = [(number, str(number)) for number in range(500_000)]",
    "200,000 dicts of JSON": (
        "import json\n"
        "text = json.dumps({'name': 'a longer name', 'values': [1.5, 2.5, 3], 'flag': True, 'next': {'id': 12345}})\n"
        "kept = [json.loads(text) for _ in range(200_000)]"
    ),
    "5,000,000 bytes objects of 200 B": "kept = [bytes(200) for _ in range(5_000_000)]",
    "10,000,000 blocks of 240 B": "text = b'x' * 239\nfor _ in range(10_000_000): strdup(text)",
    "10,000,000 bytes objects of 33 to 256 B": "kept = [bytes(number % 224) for number in range(10_000_000)]",
    "50,000,000 blocks of 20 B": (
        "import collections, itertools\ncollections.deque(map(strdup, itertools.repeat(b'x' * 19, 50_000_000)), 0)"
    ),
}
GIVEN_BACK = "kept = [strdup(b'x' * 199) for _ in range(500_000)]\nfor block in kept: free(block)\ndel kept"
"""The table keeps its pages, because the next blocks will use the same addresses."""
COUNTING = """
for _ in sys.stdin:
    tracker.checkpoint()
    print("ready", flush=True)
"""
RELEASING = """
import array
held = array.array("Q", (strdup(b"x" * 239) for _ in range({blocks})))
place = array.array("q", [0])
for line in sys.stdin:
    for _ in range(3):
        place[0] = (place[0] + 1009) % {blocks}
        free(held[place[0]])
        held[place[0]] = strdup(b"x" * 239)
    tracker.checkpoint()
    print("ready", flush=True)
"""
LOSING = """
cell = tracker.cycle
for number in range(1, {cycles} + 1):
    cell[0] = number
    if number % {every} == 0:
        malloc({size})
    if number % 65_536 == 0:
        tracker.checkpoint()
tracker.checkpoint()
"""
GROWING = """
def files():
    status = os.stat({ledger!r})
    return status.st_size, status.st_blocks
kept = []
before = files()
for number in range(1, 100_001):
    tracker.cycle[0] = number
    if number % 10 == 0:
        kept.append(str(number))
        malloc(106)
    if number % 100 == 0:
        tracker.checkpoint()
after = files()
print(after[0] - before[0], after[1] - before[1], flush=True)
"""


@dataclass(frozen=True)
class Own:
    """Resident memory of one process."""

    tables_bytes: int
    heap_bytes: int
    blocks: int
    """Of the program, alive."""

    @property
    def besides_quarter_mib(self) -> float:
        """The memory of the tables beyond a quarter of the heap."""
        return (self.tables_bytes - MOST_OF_HEAP * self.heap_bytes) / MIB


def main() -> int:
    """Measure everything and print the table."""
    options = parse_arguments()
    built = built_library()
    if isinstance(built, NotBuilt):
        print(built.reason, file=sys.stderr)
        return 1
    figures: list[Figure] = []
    with scratch_folder() as folder:
        for name, measure in PARTS.items():
            if options.only in (None, name):
                say(name)
                figures += measure(built.path, folder, options)
    return publish("tracker_limits", figures, {}, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--cycles", type=int, default=10_000_000, metavar="N", help="of the long runs (10,000,000)")
    parser.add_argument("--repeats", type=int, default=9, metavar="N", help="counts that are timed (9)")
    parser.add_argument("--only", choices=PARTS, help="one part of it")
    parser.add_argument("--blocks", default="", metavar="TEXT", help="only heaps with this in their name")
    return parser.parse_args()


Value = TypeVar("Value")


def chosen(heaps: dict[str, Value], options: argparse.Namespace) -> list[tuple[str, Value]]:
    """Return those of the heaps that are to be measured."""
    return [(name, value) for name, value in heaps.items() if options.blocks in name]


@contextmanager
def child(library: Path, ledger: Path, script: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Start a tracked process that runs ``script`` and then waits."""
    ledger.unlink(missing_ok=True)
    text = CHILD.format(root=str(ROOT), ledger=str(ledger), script=script)
    with preloading(library, {**os.environ, **variables}) as environment:
        command = [sys.executable, "-c", text]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, cwd=ROOT
        )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until_ready(process: subprocess.Popen[str]) -> list[str]:
    """Return the output of the process before it was ready."""
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        if line == "ready\n":
            return lines
        lines.append(line.strip())
    raise RuntimeError("the process ended early")


def last_checkpoint(ledger: Path) -> Checkpoint:
    """Read the ledger."""
    file = LedgerFile(ledger)
    checkpoint = file.read()
    file.close()
    assert checkpoint is not None
    return checkpoint


# --- memory of the tables -------------------------------------------------------------------------------------------


def measure_table(library: Path, folder: Path, options: argparse.Namespace) -> list[Figure]:
    """Measure how much of a process's memory belongs to the tracker, for each heap."""
    figures = []
    for name, script in chosen(HEAPS, options):
        own = memory_of(library, folder, script, SOAK_PACK_TABLES="0")
        figures += [
            shown(f"{name}: heap", own.heap_bytes / MIB, "MiB"),
            shown(f"{name}: the tracker's tables", own.tables_bytes / MIB, "MiB"),
            shown(f"{name}: share of the heap", 100 * own.tables_bytes / own.heap_bytes, "%"),
            shown(f"{name}: share of one word for each block", 100 * WORD_BYTES * own.blocks / own.heap_bytes, "%"),
            at_most(f"{name}: tables above a quarter of the heap", own.besides_quarter_mib, "MiB", MOST_BESIDES_MIB),
        ]
        packed = memory_of(library, folder, script, CHECKPOINTS)
        percent = 100 * packed.tables_bytes / packed.heap_bytes
        figures.append(at_most(f"{name}: share of the heap when packed", percent, "%", MOST_PACKED_PERCENT))
    empty, emptied = memory_of(library, folder, ""), memory_of(library, folder, GIVEN_BACK)
    kept = (emptied.tables_bytes - empty.tables_bytes) / MIB
    return [*figures, shown("tables that stay when 500,000 blocks of 200 B are given back", kept, "MiB")]


def memory_of(library: Path, folder: Path, script: str, checkpoints: str = CHECKPOINT, **variables: str) -> Own:
    """Read the resident memory of a process with this heap and these variables, after these checkpoints."""
    ledger = folder / "ledger"
    with child(library, ledger, script + checkpoints, **variables) as process:
        wait_until_ready(process)
        checkpoint = last_checkpoint(ledger)
        ranges = [(int(area["start"]), int(area["end"])) for area in checkpoint.ranges]
        memory = ProcessMemory(process.pid)
        areas = read_resident(memory, process.pid, ranges).areas
        memory.close()
    private = [area for area in areas if area.is_anonymous and area.permissions == "rw-p" and area.path != "[stack]"]
    tables = sum(area.rss_bytes for area in private if area.is_own)
    return Own(tables, sum(area.rss_bytes for area in private) - tables, checkpoint.live_blocks)


def measure_resident(library: Path, folder: Path, _: argparse.Namespace) -> list[Figure]:
    """Measure what a reader sees of packing in RSS, while old blocks are replaced all over the heap."""
    figures = []
    for blocks in (1_000_000, 10_000_000):
        resident, judged = resident_of(library, folder / "ledger", RELEASING.format(blocks=blocks))
        name = f"{blocks:,} blocks of 240 B in {CHECKPOINTS_SEEN} checkpoints"
        figures += [
            shown(f"{name}: RSS moves by", (max(resident) - min(resident)) / MIB, "MiB"),
            at_most(f"{name}: for judging by", (max(judged) - min(judged)) / MIB, "MiB", MOST_MOVED_MIB),
        ]
    return figures


def resident_of(library: Path, ledger: Path, script: str) -> tuple[list[int], list[int]]:
    """Return RSS after each checkpoint, as it is and with what is saved added."""
    resident, judged = [], []
    with child(library, ledger, script) as process:
        assert process.stdin is not None
        for number in range(CHECKPOINTS_SEEN):
            process.stdin.write("go\n")
            process.stdin.flush()
            wait_until_ready(process)
            rss_bytes = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * PAGE_BYTES
            if number < 2:  # the first two map pages of the ledger
                continue
            file = LedgerFile(ledger)
            resident.append(rss_bytes)
            judged.append(rss_bytes + file.packing().saved_bytes)
            file.close()
            time.sleep(0.05)
    return resident, judged


# --- files and time -------------------------------------------------------------------------------------------------


def measure_files(library: Path, folder: Path, _: argparse.Namespace) -> list[Figure]:
    """Measure the growth of the ledger's file over 100,000 cycles, 1,000 checkpoints and 20,000 blocks that stay."""
    ledger = folder / "ledger"
    with child(library, ledger, GROWING.format(ledger=str(ledger))) as process:
        grown, blocks = map(int, wait_until_ready(process)[0].split())
        size = ledger.stat().st_size
    return [
        shown("the ledger's file", size / MIB, "MiB"),
        equal("growth of the ledger's file in 100,000 cycles", grown, "B", 0),
        equal("growth of the file's space on the disk", blocks * 512, "B", 0),
    ]


def measure_count(library: Path, folder: Path, options: argparse.Namespace) -> list[Figure]:
    """Measure how long the program waits for a count of a large heap."""
    figures = []
    for name, most_ms in chosen(MOST_COUNT_MS, options):
        figures += count_heap(library, folder / "ledger", HEAPS[name], options.repeats, most_ms)
    return figures


def count_heap(library: Path, ledger: Path, heap: str, repeats: int, most_ms: float) -> list[Figure]:
    """Count one heap several times."""
    times_ms = []
    with child(library, ledger, heap + COUNTING) as process:
        assert process.stdin is not None
        for _ in range(repeats):
            process.stdin.write("go\n")
            process.stdin.flush()
            wait_until_ready(process)
            checkpoint = last_checkpoint(ledger)
            times_ms.append(checkpoint.scan_ns / 1e6)
    name = f"count of {checkpoint.live_blocks:,} blocks, {checkpoint.live_bytes / 1e6:.0f} MB"
    return [
        below(f"{name}, median of {len(times_ms)}", statistics.median(times_ms), "ms", most_ms),
        shown(f"{name}, the fastest", min(times_ms), "ms"),
    ]


# --- ten million cycles ---------------------------------------------------------------------------------------------


def measure_cycles(library: Path, folder: Path, options: argparse.Namespace) -> list[Figure]:
    """Run cheap cycles, clean and with a leak in every thousandth; and count that leak block by block."""
    clean = soak_cycles(folder, options.cycles, every=0)
    grown, resident = map(int, (folder / "grown").read_text(encoding="ascii").split())
    planted = soak_cycles(folder, options.cycles, every=EVERY)
    return [
        *described("clean", clean, options.cycles, "CLEAN"),
        equal("clean: growth of ring and ledger from the first tenth to the end", grown, "B", 0),
        shown("clean: growth of what is resident of them", resident, "B"),
        *described("planted", planted, options.cycles, "LEAK"),
        *cause_of(planted),
        *counted(library, folder, options.cycles),
    ]


def soak_cycles(folder: Path, cycles: int, every: int) -> dict[str, Any]:
    """Run the cycles with ``soak run``; return the component. The tolerance is a tenth of the planted rate."""
    run = soak_run(
        folder, str(DRIVERS / "drive_ten_million.py"), "--iterations", str(cycles), "--no-early-stop",
        "--tolerance", f"{PLANTED_BYTES / EVERY / 10}B", "--set", f"ten_million.every={every}",
        "--set", f"ten_million.look_at={cycles // 10}", "--set", f"ten_million.file={folder / 'grown'}",
    )  # fmt: skip
    component = run.components().get("ten_million")
    if component is None:
        raise RuntimeError(f"soak run failed: {run.stderr[-500:]}")
    return component


def described(name: str, component: dict[str, Any], cycles: int, verdict: str) -> list[Figure]:
    """Return the figures of one whole run."""
    return [
        equal(f"{name}: verdict", str(component["verdict"]), "", verdict),
        equal(f"{name}: cycles", component["iterations"], "", cycles),
        equal(f"{name}: checkpoints lost", component["lost_rows"], "", 0),
        shown(f"{name}: time", component["seconds"], "s"),
    ]


def cause_of(component: dict[str, Any]) -> list[Figure]:
    """Return the report's figures for the planted leak."""
    causes = [cause for cause in component["causes"] if cause["requested_size"] == PLANTED_BYTES] or [{}]
    return [
        equal("planted: one every so many cycles", round(causes[0].get("every") or 0), "", EVERY),
        equal(
            "planted: blocks of 106 B in 1,000 cycles",
            round(EVERY * (causes[0].get("blocks_per_iteration") or 0), 3),
            "",
            1,
        ),
    ]


def counted(library: Path, folder: Path, cycles: int) -> list[Figure]:
    """Return the ledger's counts for a leak whose blocks are all known."""
    ledger = folder / "ledger"
    with child(library, ledger, LOSING.format(cycles=cycles, every=EVERY, size=PLANTED_BYTES)) as process:
        wait_until_ready(process)
    found = last_checkpoint(ledger)
    sizes = found.rows["live_bytes"] == PLANTED_BYTES * found.rows["live_blocks"]
    rows = found.rows[sizes & (found.rows["bucket"] > 0) & (found.rows["domain"] == 0)]
    planted = cycles // EVERY
    return [
        shown("cycles to an epoch at the end", 2**found.shift),
        equal("blocks planted and alive in the ledger", int(rows["live_blocks"].sum()), "", planted),
        equal("births there", int(found.births[np.unique(rows["site"])].sum()), "", planted),
        equal("buckets of cycles with another count than planted", _wrong_buckets(found, rows, cycles), "", 0),
        equal("blocks lost for want of room", found.lost_blocks + found.unlisted_blocks, "", 0),
    ]


def _wrong_buckets(found: Checkpoint, rows: NDArray[np.void], cycles: int) -> int:
    """Count the buckets whose number of blocks differs from the number that their cycles planted."""
    wrong = 0
    for row in rows:
        born = found.cycles_of_bucket(int(row["bucket"]))
        last = min(born[-1], cycles)
        planted = last // EVERY - (born[0] - 1) // EVERY
        wrong += int(row["live_blocks"]) != planted
    return wrong


PARTS: dict[str, Callable[[Path, Path, argparse.Namespace], list[Figure]]] = {
    "table": measure_table,
    "resident": measure_resident,
    "files": measure_files,
    "count": measure_count,
    "cycles": measure_cycles,
}


if __name__ == "__main__":
    raise SystemExit(main())
