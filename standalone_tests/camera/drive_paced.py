"""Record a camera that runs at its own pace: a cycle is the next frame written and analysed."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camera.errors import CameraError
from camera.recorder import Recorder
from camera.recording import Recording
from camera.sources import open_source

PERIOD = 32  # frames per file
FIRST_FRAMES = PERIOD // 2  # so checkpoints are in the middle of a file: at its end the writer may begin the next one
MAX_PAUSE = "10ms"  # a ring of four buffers outlasts 40 ms
PAUSES: Any = None  # soak sets it: a count, then pairs of begin and end (0: not yet), in ns of time.monotonic_ns
LONGEST_S = 10.0


@dataclass
class State:
    """The recorder and its folder."""

    recorder: Recorder
    folder: tempfile.TemporaryDirectory[str]
    strict: bool
    frames: int = 0
    gaps: int = 0
    gaps_by_soak: int = 0
    since_ns: int = 0
    """When the frame before the last one had come."""


def setup(
    *,
    source: str = "simulated",
    fps: float = 100.0,
    width: int = 640,
    height: int = 540,
    buffers: int = 16,
    strict: bool = False,
) -> State:
    """Begin to record; ``strict=true``: a missed frame is an error, unless soak kept a cycle waiting meanwhile."""
    folder = tempfile.TemporaryDirectory(prefix="camera-")
    camera = open_source(source, width=width, height=height, fps=fps, buffers=buffers)
    recording = Recording(Path(folder.name, "run.h5"), camera.shape, frames_per_file=PERIOD, kept_files=1)
    recorder = Recorder(camera, recording)
    recorder.start()
    recorder.wait_for_frames(FIRST_FRAMES, LONGEST_S)
    return State(recorder, folder, strict, FIRST_FRAMES)


def cycle(state: State) -> None:
    """Wait for the next frame. Raises CameraError when a check fails."""
    state.frames += 1
    state.recorder.wait_for_frames(state.frames, LONGEST_S)
    missed = state.recorder.statistics().gaps - state.gaps
    if missed:
        state.gaps += missed
        if _soak_paused_since(state.since_ns):
            state.gaps_by_soak += missed
        elif state.strict:
            raise CameraError(f"frames were missed: {state.recorder.statistics()}")
    state.since_ns = time.monotonic_ns()


def _soak_paused_since(since_ns: int) -> bool:
    windows = () if PAUSES is None else zip(PAUSES[1::2], PAUSES[2::2], strict=True)
    return any(begin_ns and not 0 < end_ns < since_ns for begin_ns, end_ns in windows)


def teardown(state: State) -> None:
    """Stop the recorder, and say what it counted."""
    try:
        state.recorder.stop()
    finally:
        print(f"{state.recorder.statistics()}; {state.gaps_by_soak} of the gaps while soak paused", flush=True)
        state.folder.cleanup()


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
