"""Open a camera, take one frame, and close it: what a program does that cannot trust its camera."""

from __future__ import annotations

from dataclasses import dataclass

from camera.errors import SourceError
from camera.sources import open_source

LONGEST_S = 10.0


@dataclass(frozen=True)
class State:
    """Which camera to open."""

    source: str
    width: int
    height: int


def setup(*, source: str = "simulated", width: int = 640, height: int = 540) -> State:
    """``source=pylon`` shows a leak of pypylon (docs/camera.md)."""
    return State(source, width, height)


def cycle(state: State) -> None:
    """Open, take one frame, close. Raises SourceError."""
    source = open_source(state.source, width=state.width, height=state.height)
    try:
        source.start()
        buffer = source.wait(LONGEST_S)
        if buffer is None:
            raise SourceError(f"no frame within {LONGEST_S:g} s")
        source.requeue(buffer)
    finally:
        source.stop()


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
