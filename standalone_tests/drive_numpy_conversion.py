"""Convert decoded pixels to numpy arrays.

The default is 2-byte gray in the other byte order than this machine's, because only this format makes a copy.
"""

from __future__ import annotations

from itertools import cycle as endless

from decoder.conversion import clear_insignificant_bits, to_array
from decoder.decoder import Decoder
from decoder.pixels import Pixels
from decoder.sample_frames import sample_block

SIGNIFICANT_BITS = 12


class State:
    """The pixels of an endless film."""

    def __init__(self, pictures: list[Pixels]) -> None:
        self.pictures = endless(pictures)


def setup(*, image_format: str = "GRAY16-BE", width: int = 320, height: int = 240) -> State:
    """Make pixels from one of JPEG-RGB24, JPEG-GRAY8, GRAY8, GRAY16, GRAY16-BE and RGB24; size in pixels."""
    blocks = [sample_block(image_format, number=number, width=width, height=height) for number in range(4)]
    # One decoder per block, because the pixels of a JPEG are valid only until the next call of its decoder.
    return State([Decoder().decode(block) for block in blocks])


def cycle(state: State) -> None:
    """Convert one picture and clear the insignificant bits."""
    clear_insignificant_bits(to_array(next(state.pictures)), SIGNIFICANT_BITS)


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
