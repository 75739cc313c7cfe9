"""The display loop of the slides (get, tonumpy, show) in one figure that is drawn again for every frame.

Without a screen the figure is saved as a PNG in memory.
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

IGNORED_CHILDREN = ("loopback_server",)


@dataclass(frozen=True)
class State:
    """The open source, the figure, its image and the buffer for its PNG."""

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
    """Open the source (see drive_get) and show its first frame; frame size in pixels."""
    opened = open_source(source, width=width, height=height)
    figure, axes = plt.subplots(figsize=(1.6, 1.2), dpi=dots_per_inch)
    axes.set_axis_off()
    image = axes.imshow(tonumpy(get_image(address, "Frame", source=opened)))
    return State(opened, address, figure, image, BytesIO())


def cycle(state: State) -> None:
    """Get one frame and show it in the existing figure."""
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

    matplotlib's C++ code looks up attributes by newly made names, and the cache keeps each name alive: about a hundred
    blocks of 64 bytes, which appear over thousands of draws, more and more slowly. This is no leak, but the series is
    flat only after minutes.
    """
    if sys.version_info >= (3, 13):
        sys._clear_internal_caches()
    else:
        sys._clear_type_cache()


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
