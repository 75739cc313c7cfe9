"""Decompress JPEGs into the decompressor's reused buffers."""

from __future__ import annotations

from itertools import cycle as endless

from decoder.decompressor import Decompressor
from decoder.sample_frames import sample_jpeg


class State:
    """The decompressor and an endless film."""

    def __init__(self, jpegs: list[bytes]) -> None:
        self.decompressor = Decompressor()
        self.jpegs = endless(jpegs)


def setup(*, image_format: str = "JPEG-RGB24", width: int = 320, height: int = 240) -> State:
    """Make pictures in ``JPEG-RGB24`` or ``JPEG-GRAY8``; size in pixels."""
    return State([sample_jpeg(image_format, number=number, width=width, height=height) for number in range(4)])


def cycle(state: State) -> None:
    """Decompress one picture."""
    state.decompressor.decompress(next(state.jpegs))


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
