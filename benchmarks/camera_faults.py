"""Soak the camera recorder with each defect of its history, and without: each must be named in the first sentence.

python benchmarks/camera_faults.py             ten runs of each (about twenty minutes)
python benchmarks/camera_faults.py --runs 1 --only requeue_early
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from measuring import at_most, equal, make_parser, publish, say, scratch_folder, soak_run

DRIVER = Path(__file__).resolve().parent.parent / "standalone_tests" / "camera" / "drive_frame.py"
MOST_SECONDS = 60.0
EXPECTED = {
    "none": ("CLEAN", ""),
    "requeue_early": ("FAILED", "its buffer went back to the driver before its pixels were read"),
    "swap_shared": ("FAILED", "another consumer swapped the shared pixels in place"),
    "copy_per_consumer": ("FAILED", "each consumer copies each frame"),
    "oversized_buffers": ("FAILED", "the driver's buffers are 8 times too large"),
    "consumer_dies": ("FAILED", "the thread of the analysis has ended"),
    "unbounded_queue": ("LEAK", "inbox._frames"),
    "view_keeps_buffer": ("LEAK", "_corners"),
    "one_file": ("LEAK", "recording.py"),
}
"""By fault: the verdict, and what the first sentence has to contain."""


def main() -> int:
    """Do the runs and print the table."""
    options = parse_arguments()
    figures, details = [], {}
    with scratch_folder() as folder:
        for fault in options.only or EXPECTED:
            runs = [describe(fault, folder) for _ in range(options.runs)]
            for run in runs:
                say(f"{fault}: {run}")
            found = sum(run["is_found"] for run in runs)
            figures.append(equal(f"{fault}: {EXPECTED[fault][0]} and named", found, "runs", options.runs))
            figures.append(at_most(f"{fault}: slowest", max(run["seconds"] for run in runs), "s", MOST_SECONDS))
            details[fault] = runs
    return publish("camera_faults", figures, details, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="runs of each fault (10)")
    parser.add_argument("--only", action="append", choices=EXPECTED, help="this fault; may be given again")
    return parser.parse_args()


def describe(fault: str, folder: Path) -> dict[str, Any]:
    """Do one run and say what came of it."""
    run = soak_run(folder, str(DRIVER), "--set", f"frame.fault={fault}")
    verdict, words = EXPECTED[fault]
    component = run.components().get("frame", {})
    sentence = next((line for line in run.stderr.splitlines() if "1/1" in line), run.stderr[-300:])
    return {
        "is_found": component.get("verdict") == verdict and words in sentence,
        "verdict": component.get("verdict"),
        "seconds": component.get("seconds", 0.0),
        "sentence": sentence.strip(),
    }


if __name__ == "__main__":
    sys.exit(main())
