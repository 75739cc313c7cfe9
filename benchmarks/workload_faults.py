"""Soak the camera recorder and the jukebox with each defect of their history, and without.

    python benchmarks/workload_faults.py camera              ten runs of each (about twenty minutes)
    python benchmarks/workload_faults.py jukebox             the same under /usr/bin/python3 (half an hour)
    python benchmarks/workload_faults.py camera --runs 1 --only requeue_early
    python benchmarks/workload_faults.py jukebox_paced --runs 20     twenty songs a second, without a defect
    python benchmarks/workload_faults.py pylon --runs 20             one frame of that camera's SDK; also aravis
    python benchmarks/workload_faults.py jukebox --keep runs/        keep the folders of the runs that miss

The first sentence of each run must have the verdict and the words below; ``none`` is the repaired system.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import ROOT, at_most, equal, make_parser, publish, say, scratch_folder, soak_run

MOST_SECONDS = 60.0
DEBIANS_PYTHON = ("--python", "/usr/bin/python3")
JUKEBOX = "standalone_tests/jukebox/drive_jukebox.py"
REPAIRED: dict[str, tuple[str, ...]] = {"none": ("CLEAN", "")}


@dataclass(frozen=True)
class Workload:
    """A driver whose setting ``fault`` switches a defect on."""

    driver: str
    options: tuple[str, ...]
    expected: Mapping[str, tuple[str, ...]]
    """By fault: the verdict, and what the first sentence has to contain: one of the texts."""


WORKLOADS = {
    "camera": Workload(
        "standalone_tests/camera/drive_frame.py",
        (),
        {
            "none": ("CLEAN", ""),
            "requeue_early": ("FAILED", "its buffer went back to the driver before its pixels were read"),
            "swap_shared": ("FAILED", "another consumer swapped the shared pixels in place"),
            "copy_per_consumer": ("FAILED", "each consumer copies each frame"),
            "oversized_buffers": ("FAILED", "the driver's buffers are 8 times too large"),
            "consumer_dies": ("FAILED", "the thread of the analysis has ended"),
            "unbounded_queue": ("LEAK", "inbox._frames", "kept by Queue._frames"),
            "view_keeps_buffer": ("LEAK", "_corners"),
            "one_file": ("LEAK", "recording.py"),
        },
    ),
    "jukebox": Workload(
        JUKEBOX,
        DEBIANS_PYTHON,
        {
            "none": ("CLEAN", ""),
            "not_removed": ("LEAK", "mixer.py:"),
            "not_null": ("LEAK", "are lost", "started at", "opened at mixer.py:"),
            "pad_kept": ("FAILED", "request pads of finished songs that were not released"),
            "bus_unread": ("LEAK", "each GstMessage is kept by the GstBus", "each GstMessage is kept, with"),
            "closure": ("LEAK", "is kept by the function made at source_bin.py:"),
            "closure_gc_off": ("LEAK", "is kept by the function made at source_bin.py:"),
            "probe_kept": ("LEAK", "mixer.py:"),
            "list_kept": ("LEAK", "_finished"),
            "extra_reference": ("LEAK", "GstBin"),
            "unlocked": ("FAILED", "its state was not locked"),
        },
    ),
    "jukebox_paced": Workload(JUKEBOX, (*DEBIANS_PYTHON, "--interval", "50ms"), REPAIRED),
    "pylon": Workload("standalone_tests/camera/drive_pylon.py", (), REPAIRED),
    "aravis": Workload("standalone_tests/camera/drive_aravis.py", DEBIANS_PYTHON, REPAIRED),
}


def main() -> int:
    """Do the runs and print the table."""
    options = parse_arguments()
    workload = WORKLOADS[options.workload]
    unknown = set(options.only or ()) - set(workload.expected)
    if unknown:
        print(f"the {options.workload} has no fault {min(unknown)}; it has {', '.join(workload.expected)}")
        return 2
    figures, details = [], {}
    with scratch_folder() as folder:
        for fault in options.only or workload.expected:
            runs = []
            for number in range(options.runs):
                out = folder / f"{fault}-{number + 1}"
                runs.append(describe(workload, fault, out))
                if options.keep is not None and not runs[-1]["is_found"]:
                    shutil.copytree(out, options.keep / out.name, dirs_exist_ok=True)
                shutil.rmtree(out, ignore_errors=True)
                say(f"{fault}: {runs[-1]}")
            found = sum(run["is_found"] for run in runs)
            figures.append(equal(f"{fault}: {workload.expected[fault][0]} and named", found, "runs", options.runs))
            figures.append(at_most(f"{fault}: slowest", max(run["seconds"] for run in runs), "s", MOST_SECONDS))
            details[fault] = runs
    return publish(f"{options.workload}_faults", figures, details, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("workload", choices=WORKLOADS, help="which system to soak")
    parser.add_argument("--runs", type=int, default=10, metavar="N", help="runs of each fault (10)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep here what the runs that miss have written")
    parser.add_argument("--only", action="append", metavar="FAULT", help="this fault; may be given again")
    return parser.parse_args()


def describe(workload: Workload, fault: str, out: Path) -> dict[str, Any]:
    """Do one run, which writes its results to ``out``, and say what came of it."""
    driver = ROOT / workload.driver
    name = driver.stem.removeprefix("drive_")
    switched = () if fault == "none" else ("--set", f"{name}.fault={fault}")
    run = soak_run(out, *workload.options, str(driver), *switched)
    verdict, *words = workload.expected[fault]
    component = run.components().get(name, {})
    sentence = next((line for line in run.stderr.splitlines() if "1/1" in line), run.stderr[-300:])
    return {
        "is_found": component.get("verdict") == verdict and any(each in sentence for each in words),
        "verdict": component.get("verdict"),
        "seconds": component.get("seconds", 0.0),
        "cycles": component.get("iterations"),
        "load": os.getloadavg()[0],
        "sentence": sentence.strip(),
        "failure": component.get("failure") if verdict != "FAILED" else None,
    }


if __name__ == "__main__":
    sys.exit(main())
