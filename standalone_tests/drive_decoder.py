"""Decode frames: header, checks, choice of the format.

Raw frames by default: a JPEG would add the decompressor, which has a driver of its own, and the parts of the full cycle
are to add up.
"""

from __future__ import annotations

from itertools import cycle as endless

from decoder.decoder import Decoder
from decoder.sample_frames import sample_block


class State:
    """The decoder and the film it goes through again and again."""

    def __init__(self, blocks: list[bytes]) -> None:
        self.decoder = Decoder()
        self.blocks = endless(blocks)


def setup(*, image_format: str = "RGB24", width: int = 320, height: int = 240) -> State:
    """Take any of JPEG-RGB24, JPEG-GRAY8, GRAY8, GRAY16, GRAY16-BE and RGB24, size in pixels."""
    return State([sample_block(image_format, number=number, width=width, height=height) for number in range(4)])


def cycle(state: State) -> None:
    """Decode one frame."""
    state.decoder.decode(next(state.blocks))


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
