"""Record: ``python -m camera --source pylon --out run.h5``; without ``--out`` it is a dry run."""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from camera.errors import CameraError
from camera.recorder import Recorder
from camera.recording import FRAMES_PER_FILE, Recording
from camera.sources import NAMES, open_source

REPORT_S = 10.0
LOOK_S = 0.2


def main() -> int:
    """Record as the command line says; return 1 after one line on stderr when that fails."""
    parser = _parser()
    options = parser.parse_args()
    if not 0 < options.fps < math.inf:
        parser.error(f"--fps is {options.fps:g}; the camera needs a pace above 0")
    for name in ("frames", "frames_per_file"):
        if (number := getattr(options, name)) < 0:
            parser.error(f"--{name.replace('_', '-')} is {number}; give a number from 0 on")
    signal.signal(signal.SIGTERM, _end_in_order)
    try:
        _record(options)
    except CameraError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ended before the first frame", file=sys.stderr)
        return 1
    return 0


def _end_in_order(_signal: int, _frame: FrameType | None) -> None:
    """Do what Ctrl+C does: a service is ended by SIGTERM, and its files are closed as well."""
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m camera", description="Record the frames of a camera.")
    parser.add_argument("--source", choices=NAMES, default="simulated")
    parser.add_argument("--out", metavar="FILE.h5", type=Path, help="new HDF5 file; without it nothing is written")
    parser.add_argument("--frames", type=int, default=0, metavar="N", help="stop after N frames (0: at Ctrl+C)")
    parser.add_argument("--fps", type=float, default=100.0, help="frames a second (100)")
    parser.add_argument("--width", type=int, default=640, help="in pixels (640)")
    parser.add_argument("--height", type=int, default=540, help="in pixels (540)")
    parser.add_argument("--buffers", type=int, default=8, metavar="N", help="buffers in the driver's ring (8)")
    parser.add_argument("--frames-per-file", type=int, default=FRAMES_PER_FILE, metavar="N", help="then a new file")
    return parser


def _record(options: argparse.Namespace) -> None:
    size = {"width": options.width, "height": options.height, "fps": options.fps, "buffers": options.buffers}
    source = open_source(options.source, **size)
    recording = None
    try:
        if options.out is not None:
            recording = Recording(options.out, source.shape, frames_per_file=options.frames_per_file)
        recorder = Recorder(source, recording, limit=options.frames)
    except (CameraError, KeyboardInterrupt):
        source.stop()
        if recording is not None:
            recording.close()
        raise
    try:
        recorder.start()
        _watch(recorder, options.frames)
    except KeyboardInterrupt:
        print(file=sys.stderr)
    finally:
        try:
            recorder.stop()
        finally:
            print(recorder.statistics())
            if recording is not None:
                recording.close()  # nothing is left to do unless the recorder could not start
                print(*recording.paths, sep="\n")


def _watch(recorder: Recorder, frames: int) -> None:
    """Report now and then until ``frames`` frames have come. Raises CameraError."""
    next_report = time.monotonic() + REPORT_S
    while True:
        recorder.check()
        if 0 < frames <= recorder.statistics().frames:
            return
        time.sleep(LOOK_S)
        if time.monotonic() > next_report:
            next_report += REPORT_S
            print(recorder.statistics(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
