"""Take one frame from pylon's emulated camera, check its pixels, and hand its buffer back."""

from __future__ import annotations

from dataclasses import dataclass

from camera.errors import SourceError
from camera.sources.protocol import check_buffer_bytes
from camera.sources.pylon import PylonSource

LONGEST_S = 10.0


@dataclass
class State:
    """The camera, and how many frames it gave."""

    source: PylonSource
    frames: int = 0


def setup(*, width: int = 640, height: int = 540, fps: float = 100.0, buffers: int = 4) -> State:
    """Open the camera and let frames come; at 400 a second its grab engine fails now and then on a busy machine."""
    source = PylonSource(width, height, fps=fps, buffers=buffers)
    check_buffer_bytes(source)
    source.start()
    return State(source)


def cycle(state: State) -> None:
    """Take one frame. Raises SourceError and FrameError."""
    buffer = state.source.wait(LONGEST_S)
    if buffer is None:
        raise SourceError(f"no frame within {LONGEST_S:g} s")
    if state.source.picture is not None:
        state.source.picture.check(buffer.pixels, buffer.number, "pylon")
    state.source.requeue(buffer)
    state.frames += 1


def teardown(state: State) -> None:
    """Close the camera, and say what was counted."""
    state.source.stop()
    print(f"{state.frames:,} frames; {state.source.missed:,} missed, most of them while soak was measuring", flush=True)


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
