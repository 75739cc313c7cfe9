"""The slides' display loop, get, tonumpy, show, in one figure that is drawn anew.

Without a screen the figure becomes a PNG in memory.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from io import BytesIO

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from decoder.acquisition import get_image, open_source
from decoder.message import tonumpy
from decoder.sources.protocol import ImageSource


@dataclass(frozen=True)
class State:
    """The open source, the figure, the image in it and the memory its PNG goes to."""

    source: ImageSource
    address: str
    figure: Figure
    image: AxesImage
    png: BytesIO


def setup(
    *,
    source: str = "loopback",
    address: str = "/DESY2/D2JPEG.Webcam/Output",
    width: int = 160,
    height: int = 120,
    dots_per_inch: float = 50.0,
) -> State:
    """Open the source (see drive_get) and show its first frame; size of the frames in pixels."""
    opened = open_source(source, width=width, height=height)
    figure, axes = plt.subplots(figsize=(1.6, 1.2), dpi=dots_per_inch)
    axes.set_axis_off()
    image = axes.imshow(tonumpy(get_image(address, "Frame", source=opened)))
    return State(opened, address, figure, image, BytesIO())


def cycle(state: State) -> None:
    """Get one frame and show it in the figure that is there."""
    state.image.set_data(tonumpy(get_image(state.address, "Frame", source=state.source)))
    if state.figure.canvas.required_interactive_framework is None:
        state.png.seek(0)
        state.figure.savefig(state.png, format="png")
        state.png.truncate()
    else:
        state.figure.canvas.draw()
        state.figure.canvas.flush_events()
    _forget_looked_up_names()


def teardown(state: State) -> None:
    """Close the figure and the source."""
    plt.close(state.figure)
    state.source.close()


def _forget_looked_up_names() -> None:
    """Clear CPython's cache of attribute lookups (4,096 entries for the whole process).

    matplotlib's C++ looks attributes up by names made for the occasion, and the cache keeps each name alive: some
    hundred blocks of 64 bytes that keep coming for thousands of draws, slower and slower. No leak, but it looks settled
    only after minutes.
    """
    if sys.version_info >= (3, 13):
        sys._clear_internal_caches()
    else:
        sys._clear_type_cache()


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
