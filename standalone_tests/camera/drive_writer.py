"""Write one frame into the rotating HDF5 files, without a camera."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from camera.pixels import Pixels
from camera.recording import Recording

PERIOD = 32  # frames per file


@dataclass
class State:
    """The recording, its folder, and a frame."""

    recording: Recording
    folder: tempfile.TemporaryDirectory[str]
    pixels: Pixels
    frames: int = 0


def setup(*, width: int = 640, height: int = 540, one_file: bool = False) -> State:
    """Begin the first file; ``one_file=true`` never begins a new file, and HDF5 then grows (docs/camera.md)."""
    folder = tempfile.TemporaryDirectory(prefix="camera-")
    recording = Recording(
        Path(folder.name, "run.h5"), (height, width), frames_per_file=0 if one_file else PERIOD, kept_files=1
    )
    return State(recording, folder, np.zeros((height, width), np.uint16))


def cycle(state: State) -> None:
    """Write one frame."""
    state.frames += 1
    state.recording.add(state.pixels, state.frames)


def teardown(state: State) -> None:
    """End the file."""
    state.recording.close()
    state.folder.cleanup()


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
