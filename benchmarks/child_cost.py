"""The cost of soak in the measured process: memory and CPU time, and no memory that stays.

    python benchmarks/child_cost.py                        about five minutes
    python benchmarks/child_cost.py --checkpoints 100000   a shorter proof that checkpoints leave nothing behind
    python benchmarks/child_cost.py --python other/bin/python --json -

The script compares the measured child (without the allocation tracker) with the same interpreter that runs the same
driver in a plain `for` loop. Both read their own figures after the last cycle. They run in turn; the medians count.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from measuring import (
    DRIVERS,
    MIB,
    Figure,
    at_most,
    below,
    equal,
    make_parser,
    medians,
    plan_driver,
    publish,
    say,
    scratch_folder,
    shown,
    supervise,
    take_in_turn,
)

from soak.inside import ring
from soak.measurements import Reading
from soak.probes.mappings import parse_smaps
from soak.running.context import RunContext
from soak.running.interpreter import find_interpreter
from soak.running.run.controls import run_controls

MOST_RSS_MIB = 1.0
MOST_RING_KIB = 256.0
BLANK_RATE_BYTES = 0.05
MOST_CPU_US = 3.0
SHARE_FLAT_OUT = 0.10
SHARE_PACED = 0.05

RSS_CYCLES = 20_000
CPU_CYCLES = 1_000_000
PACE_S = 0.01
SIGNALS = ("heap", "python_blocks", "rss")


def main() -> int:
    """Measure everything and print the table."""
    options = parse_arguments()
    figures: list[Figure] = []
    with scratch_folder() as folder:
        for name, measure in PARTS.items():
            if options.only in (None, name):
                figures += measure(options, folder)
    details = {"python": str(find_interpreter(options.python)), "repeats": options.repeats}
    return publish("child_cost", figures, details, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--python", metavar="INTERPRETER", help="the interpreter of both processes (this one)")
    parser.add_argument("--repeats", type=int, default=9, metavar="N", help="repeats of what is compared (9)")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="S", help="length of the runs for shares (20)")
    parser.add_argument("--checkpoints", type=int, default=1_000_000, metavar="N", help="for net zero (1000000)")
    parser.add_argument("--only", choices=PARTS, help="one part of it")
    return parser.parse_args()


# --- beside a plain loop ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OwnFigures:
    """The figures that a process wrote about itself."""

    cpu_ns: int
    rss_bytes: int


def in_plain_loop(driver: str, cycles: int, python: str | None, file: Path) -> OwnFigures:
    """Run the driver in a plain interpreter."""
    executable = find_interpreter(python).executable
    program = [executable, str(DRIVERS / "plain_loop.py"), f"drive_{driver}", str(cycles), str(file)]
    subprocess.run(program, check=True, stdin=subprocess.DEVNULL)
    return read_own_figures(file)


def in_measured_child(
    driver: str, cycles: int, python: str | None, file: Path, checkpoint_every: int | None = None
) -> OwnFigures:
    """Run the driver under soak."""
    plan = plan_driver(
        driver, iterations=cycles, checkpoint_every=checkpoint_every, driver_settings={driver: {"file": str(file)}}
    )
    supervise(plan, python)
    return read_own_figures(file)


def read_own_figures(file: Path) -> OwnFigures:
    """Read the file that own_cost.py wrote."""
    cpu_ns, rss_bytes = file.read_text(encoding="ascii").split()
    return OwnFigures(int(cpu_ns), int(rss_bytes))


def measure_rss(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Measure resident memory after the last cycle, for an empty driver and for one with numpy."""
    return [figure for driver in ("trivial", "numpy") for figure in measure_rss_of(driver, options, folder)]


def measure_rss_of(driver: str, options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Measure resident memory after the last cycle."""
    say(f"resident memory, {driver} driver")
    file = folder / "own"
    resident = medians(
        take_in_turn(
            {
                "plain": lambda: in_plain_loop(driver, RSS_CYCLES, options.python, file).rss_bytes,
                "child": lambda: in_measured_child(driver, RSS_CYCLES, options.python, file).rss_bytes,
            },
            options.repeats,
        )
    )
    return [
        shown(f"RSS of a plain loop, {driver} driver", resident["plain"] / MIB, "MiB"),
        at_most(
            f"RSS of the child above it, {driver} driver",
            (resident["child"] - resident["plain"]) / MIB,
            "MiB",
            MOST_RSS_MIB,
        ),
    ]


def measure_cpu(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Measure the CPU time of an empty cycle above that of a plain loop, with only a few checkpoints."""
    say("CPU time per cycle")
    file = folder / "own"
    cpu_ns = medians(
        take_in_turn(
            {
                "plain": lambda: in_plain_loop("trivial", CPU_CYCLES, options.python, file).cpu_ns,
                "child": lambda: in_measured_child("trivial", CPU_CYCLES, options.python, file, CPU_CYCLES // 4).cpu_ns,
            },
            options.repeats,
        )
    )
    above_us = (cpu_ns["child"] - cpu_ns["plain"]) / 1000 / CPU_CYCLES
    return [at_most("CPU per cycle above a plain loop, outside checkpoints", above_us, "µs", MOST_CPU_US)]


# --- the ring -----------------------------------------------------------------------------------------------------


def measure_ring(options: argparse.Namespace, folder: Path) -> list[Figure]:
    """Measure the size of the shared memory, and its resident part before the child's first cycle."""
    say("the ring")
    file = folder / "smaps"
    supervise(plan_driver("mappings", iterations=1, driver_settings={"mappings": {"file": str(file)}}), options.python)
    found = find_ring(file.read_text(encoding="utf-8"))
    size_kib, resident_kib = found or (None, None)
    return [
        at_most("size of the ring", size_kib, "KiB", MOST_RING_KIB),
        # The rest is for the threads' names, after the last cycle.
        equal("resident of it before the first cycle", resident_kib, "KiB", ring.NAMES_OFFSET / 1024),
    ]


def find_ring(smaps: str) -> tuple[int, int] | None:
    """Return size and resident part of the ring's mapping in KiB, from the text of /proc/PID/smaps."""
    for mapping, rss_bytes in parse_smaps(smaps):
        if "memfd:soak-ring" in mapping.path:
            return (mapping.end - mapping.start) // 1024, rss_bytes // 1024
    return None


# --- what a run does by itself ------------------------------------------------------------------------------------


def measure_blank(options: argparse.Namespace, _: Path) -> list[Figure]:
    """Measure the growth of an empty cycle, as the control of every run does; report the worst of several."""
    say("blanks")
    context = RunContext(find_interpreter(options.python), DRIVERS, threading.Event())
    rates = [run_controls(context).blank.rate for _ in range(options.repeats)]
    worst = None if None in rates else max(abs(rate) for rate in rates if rate is not None)
    return [below(f"blank, the farthest rate from 0 of {len(rates)}", worst, "B/cycle", BLANK_RATE_BYTES)]


def measure_shares(options: argparse.Namespace, _: Path) -> list[Figure]:
    """Measure the share of the time that checkpoints take."""
    say(f"share of checkpoints, {options.seconds:g} s flat out and {options.seconds:g} s paced")
    flat_out = supervise(plan_driver("numpy", duration_s=options.seconds), options.python)
    paced = supervise(plan_driver("numpy", duration_s=options.seconds, interval_s=PACE_S), options.python)
    return [
        at_most("share of checkpoints flat out", flat_out.checkpoint_share * 100, "%", SHARE_FLAT_OUT * 100),
        shown("checkpoints flat out", flat_out.checkpoints),
        at_most(f"share of checkpoints at {PACE_S * 1000:g} ms", paced.checkpoint_share * 100, "%", SHARE_PACED * 100),
        shown(f"checkpoints at {PACE_S * 1000:g} ms", paced.checkpoints),
    ]


# --- net zero -----------------------------------------------------------------------------------------------------


@dataclass
class Steadiness:
    """Compares every reading with the first one."""

    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    farthest: dict[str, float] = field(default_factory=dict)
    changed_at: dict[str, int] = field(default_factory=dict)
    readings: int = 0

    def take(self, readings: list[Reading]) -> None:
        """Take readings in the order of their cycles; the one at cycle 0 counts as well."""
        self.readings += len(readings)
        for reading in readings:
            for name in SIGNALS:
                value = reading.values.get(name)
                if value is None:
                    continue
                first = self.first.setdefault(name, value)
                self.last[name] = value
                if abs(value - first) > abs(self.farthest.get(name, 0.0)):
                    self.farthest[name] = value - first
                    self.changed_at[name] = reading.cycle


def measure_net_zero(options: argparse.Namespace, _: Path) -> list[Figure]:
    """Compare blocks, heap and RSS after checkpoint k with checkpoint 1, with a checkpoint after every cycle."""
    say(f"net zero over {options.checkpoints:,} checkpoints")
    steadiness = Steadiness()
    plan = plan_driver("trivial", iterations=options.checkpoints, checkpoint_every=1)
    observed = supervise(plan, options.python, steadiness.take)
    figures = [
        shown("checkpoints in a row", observed.checkpoints),
        shown("of them lost", observed.lost_rows),
        shown("wall time of one", observed.seconds / observed.checkpoints * 1e6, "µs"),
    ]
    for name in SIGNALS:
        unit = "" if name == "python_blocks" else "B"
        figures.append(equal(f"{name} after the last above the first", change_of(steadiness, name), unit, 0.0))
        farthest = steadiness.farthest.get(name, 0.0)
        if farthest:
            at = steadiness.changed_at[name]
            figures.append(shown(f"{name} farthest from the first (checkpoint {at:,})", farthest, unit))
    return figures


def change_of(steadiness: Steadiness, name: str) -> float | None:
    """Return the difference of the last reading to the first; None without readings."""
    return steadiness.last[name] - steadiness.first[name] if name in steadiness.first else None


PARTS: dict[str, Callable[[argparse.Namespace, Path], list[Figure]]] = {
    "rss": measure_rss,
    "ring": measure_ring,
    "cpu": measure_cpu,
    "blank": measure_blank,
    "shares": measure_shares,
    "net-zero": measure_net_zero,
}

if __name__ == "__main__":
    sys.exit(main())
