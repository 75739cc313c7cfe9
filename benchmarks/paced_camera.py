"""How many frames a camera of 100 frames a second misses while soak looks, and without soak on the same machine.

    python benchmarks/paced_camera.py                              ten minutes with soak and ten without, by turns
    python benchmarks/paced_camera.py --seconds 60 --rounds 1      a first answer
    python benchmarks/paced_camera.py --hour                       the hour by the clock, with the driver's own ring

Both run standalone_tests/camera/drive_paced.py: 640x540 pixels, a ring of four buffers, which outlasts 40 ms. What is
missed without soak is the machine's: other processes had the processors, or its disk, on which the frames are written
(``TMPDIR=/dev/shm`` records into memory, ``chrt -r 5`` takes the processors before others). Pauses are what soak
counted itself, from the begin of a checkpoint to its end; time for which the process waited for a processor belongs to
them.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import ROOT, Figure, at_most, equal, make_parser, publish, say, scratch_folder, shown, soak_run

DRIVER = ROOT / "standalone_tests" / "camera" / "drive_paced.py"
MOST_PAUSE_MS = 10.0
MOST_BEHIND = 6
"""Frames: a queue of four, one at the consumer and one at the producer."""
COUNTED = re.compile(
    r"([\d,]+) frames, .* ([\d,]+) missed, ([\d,]+) gaps, at most (\d+) frames behind; ([\d,]+) of the gaps"
)
ALONE = """
import importlib.util, sys, time
path, seconds, buffers = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
spec = importlib.util.spec_from_file_location("drive_paced", path)
driver = sys.modules["drive_paced"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(driver)
state = driver.setup(buffers=buffers)
until = time.monotonic() + seconds
while time.monotonic() < until:
    driver.cycle(state)
driver.teardown(state)
"""


@dataclass(frozen=True)
class Counts:
    """What the driver says at its end."""

    frames: int
    missed: int
    gaps: int
    behind: int
    """Frames, at most."""
    gaps_while_soak_paused: int


def main() -> int:
    """Do the runs and print the table."""
    options = parse_arguments()
    seconds = options.seconds / options.rounds
    alone: list[Counts] = []
    components: list[dict[str, Any]] = []
    with scratch_folder() as folder:
        for number in range(options.rounds):
            components.append(soaked(folder, seconds, options.buffers))
            say(f"round {number + 1} with soak: {components[-1].get('output_tail', '').strip()}")
            if not options.hour:
                alone.append(run_alone(seconds, options.buffers))
                say(f"round {number + 1} without: {alone[-1]}")
    details = {
        "ring_buffers": options.buffers,
        "load_at_end": os.getloadavg()[0],
        "pauses": [component.get("pauses") for component in components],
        "output": [component.get("output_tail") for component in components],
        "why": [component.get("why") for component in components],
        "signals": [component.get("signals") for component in components],
    }
    return publish("paced_camera", judge(components, alone), details, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, metavar="S", help="of each kind together (600)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each kind, by turns (5)")
    parser.add_argument("--buffers", type=int, default=4, metavar="N", help="buffers in the camera's ring (4)")
    parser.add_argument("--hour", action="store_true", help="one run of an hour with soak, a ring of 16 buffers")
    options = parser.parse_args()
    if options.hour:
        options.seconds, options.rounds, options.buffers = 3600.0, 1, 16
    return options


def soaked(out: Path, seconds: float, buffers: int) -> dict[str, Any]:
    """Soak the driver for so long and return what the report says of it."""
    run = soak_run(
        out, str(DRIVER), "--duration", f"{seconds:g}s", "--no-early-stop", "--set", f"paced.buffers={buffers}"
    )
    return run.components().get("paced", {"verdict": run.stderr[-300:]})


def run_alone(seconds: float, buffers: int) -> Counts:
    """Run the cycles of the driver for so long, without soak. Raises CalledProcessError when one fails."""
    command = [sys.executable, "-c", ALONE, str(DRIVER), f"{seconds:g}", str(buffers)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return read_counts(done.stdout)


def read_counts(text: str) -> Counts:
    """Return the counts in what a driver printed. Raises ValueError if there are none."""
    found = COUNTED.search(text)
    if found is None:
        raise ValueError(f"the driver has counted nothing: {text[-300:]}")
    return Counts(*(int(number.replace(",", "")) for number in found.groups()))


def judge(components: list[dict[str, Any]], alone: list[Counts]) -> list[Figure]:
    """Compare what was counted with the bars."""
    with_soak = [read_counts(component.get("output_tail") or "") for component in components]
    pauses = [component["pauses"] for component in components if component.get("pauses")]
    p99_ms = max((pause["p99_s"] * 1000 for pause in pauses), default=None)
    figures = [
        equal("verdict", ", ".join(sorted({component["verdict"] for component in components})), "", "CLEAN"),
        shown("frames with soak", sum(counts.frames for counts in with_soak)),
        equal("gaps with soak", sum(counts.gaps for counts in with_soak), "", 0),
        shown("of these while soak paused", sum(counts.gaps_while_soak_paused for counts in with_soak)),
        at_most("frames behind, at most", max(counts.behind for counts in with_soak), "", MOST_BEHIND),
        shown("pauses", sum(pause["count"] for pause in pauses)),
        shown("pause, median", max((pause["p50_s"] * 1000 for pause in pauses), default=None), "ms"),
        at_most("pause, 99 of 100", p99_ms, "ms", MOST_PAUSE_MS),
        shown("pause, worst", max((pause["worst_s"] * 1000 for pause in pauses), default=None), "ms"),
    ]
    if alone:
        figures += [
            shown("frames without soak", sum(counts.frames for counts in alone)),
            shown("gaps without soak", sum(counts.gaps for counts in alone)),
        ]
    return figures


if __name__ == "__main__":
    sys.exit(main())
