"""Take one frame through the whole recorder, and wait until each consumer has had it."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from camera.errors import CameraError
from camera.faults import Fault
from camera.recorder import Recorder
from camera.recording import Recording
from camera.sources.simulated import SimulatedSource

PERIOD = 32  # frames per file
LONGEST_S = 10.0
FRAMES_PER_LOOK = 512
"""The rate is checked after this many frames."""


@dataclass
class State:
    """The recorder, its folder, and the time that frames took."""

    recorder: Recorder
    folder: tempfile.TemporaryDirectory[str]
    floor_fps: float
    frames: int = 0
    seconds: float = field(default=0.0)


def setup(
    *,
    fault: str = "none",
    width: int = 640,
    height: int = 540,
    buffers: int = 4,
    depth: int = 4,
    big_endian: bool = False,
    writer_ms: float = 0.0,
    floor_fps: float = 5.0,
) -> State:
    """Begin to record into a temporary folder; ``fault``: see camera.faults; ``writer_ms``: of a slow disk."""
    chosen = Fault(fault)
    folder = tempfile.TemporaryDirectory(prefix="camera-")
    source = SimulatedSource(
        width, height, buffers=buffers, big_endian=big_endian or chosen is Fault.SWAP_SHARED, fault=chosen
    )
    per_file = 0 if chosen is Fault.ONE_FILE else PERIOD
    recording = Recording(Path(folder.name, "run.h5"), source.shape, frames_per_file=per_file, kept_files=1)
    recorder = Recorder(
        source,
        recording,
        depth=depth,
        on_demand=True,
        slowness_s=(writer_ms or 50.0 * (chosen is Fault.UNBOUNDED_QUEUE)) / 1000,
        fault=chosen,
    )
    recorder.start()
    return State(recorder, folder, floor_fps)


def cycle(state: State) -> None:
    """Ask for a frame and wait for all consumers. Raises CameraError when a check fails."""
    began = time.perf_counter()
    state.recorder.ask()
    state.frames += 1
    state.recorder.wait_for_frames(state.frames, LONGEST_S)
    state.seconds += time.perf_counter() - began
    if state.frames % FRAMES_PER_LOOK == 0:
        fps, state.seconds = FRAMES_PER_LOOK / state.seconds, 0.0
        if fps < state.floor_fps:
            raise CameraError(f"{fps:.2g} frames a second; at least {state.floor_fps:g} are required")


def teardown(state: State) -> None:
    """Stop the recorder, and say what it counted."""
    try:
        state.recorder.stop()
    finally:
        print(state.recorder.statistics(), flush=True)
        state.folder.cleanup()


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
