"""Convert decoded pixels to numpy arrays.

2-byte gray in the foreign byte order by default: the one form that makes a copy.
"""

from __future__ import annotations

from itertools import cycle as endless

from decoder.conversion import clear_insignificant_bits, to_array
from decoder.decoder import Decoder
from decoder.pixels import Pixels
from decoder.sample_frames import sample_block

SIGNIFICANT_BITS = 12


class State:
    """The pixels of a film, converted again and again."""

    def __init__(self, pictures: list[Pixels]) -> None:
        self.pictures = endless(pictures)


def setup(*, image_format: str = "GRAY16-BE", width: int = 320, height: int = 240) -> State:
    """Take any of JPEG-RGB24, JPEG-GRAY8, GRAY8, GRAY16, GRAY16-BE and RGB24, size in pixels."""
    blocks = [sample_block(image_format, number=number, width=width, height=height) for number in range(4)]
    # A decoder each: the pixels of a JPEG are valid until its decoder's next call only.
    return State([Decoder().decode(block) for block in blocks])


def cycle(state: State) -> None:
    """Convert one picture and clear the bits that do not count."""
    clear_insignificant_bits(to_array(next(state.pictures)), SIGNIFICANT_BITS)


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
