"""Record a camera that runs at its own pace: a cycle is the next frame written and analysed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from camera.errors import CameraError
from camera.recorder import Recorder
from camera.recording import Recording
from camera.sources import open_source

PERIOD = 32  # frames per file
LONGEST_S = 10.0


@dataclass
class State:
    """The recorder and its folder."""

    recorder: Recorder
    folder: tempfile.TemporaryDirectory[str]
    strict: bool
    frames: int = 0


def setup(
    *,
    source: str = "simulated",
    fps: float = 100.0,
    width: int = 640,
    height: int = 540,
    buffers: int = 16,
    strict: bool = False,
) -> State:
    """Begin to record; ``strict=true``: a missed frame is an error.

    The ring outlasts a checkpoint of soak: sixteen buffers are 160 ms.
    """
    folder = tempfile.TemporaryDirectory(prefix="camera-")
    camera = open_source(source, width=width, height=height, fps=fps, buffers=buffers)
    recording = Recording(Path(folder.name, "run.h5"), camera.shape, frames_per_file=PERIOD, kept_files=1)
    recorder = Recorder(camera, recording)
    recorder.start()
    return State(recorder, folder, strict)


def cycle(state: State) -> None:
    """Wait for the next frame. Raises CameraError when a check fails."""
    state.frames += 1
    state.recorder.wait_for_frames(state.frames, LONGEST_S)
    if state.strict and (counts := state.recorder.statistics()).gaps:
        raise CameraError(f"frames were missed: {counts}")


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
