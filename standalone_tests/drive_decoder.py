"""Decode frames: header, checks, choice of the format.

The default is raw frames. JPEGs would include the decompressor, which has its own driver, and the parts of the full
cycle must add up.
"""

from __future__ import annotations

from itertools import cycle as endless

from decoder.decoder import Decoder
from decoder.sample_frames import sample_block


class State:
    """The decoder and an endless film."""

    def __init__(self, blocks: list[bytes]) -> None:
        self.decoder = Decoder()
        self.blocks = endless(blocks)


def setup(*, image_format: str = "RGB24", width: int = 320, height: int = 240) -> State:
    """Make frames in one of JPEG-RGB24, JPEG-GRAY8, GRAY8, GRAY16, GRAY16-BE and RGB24; size in pixels."""
    return State([sample_block(image_format, number=number, width=width, height=height) for number in range(4)])


def cycle(state: State) -> None:
    """Decode one frame."""
    state.decoder.decode(next(state.blocks))


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
