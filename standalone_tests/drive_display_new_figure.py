"""The display loop of the slides with a new figure for every frame, which is closed after it was shown.

matplotlib keeps some memory of every figure; drive_display avoids that.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import matplotlib.pyplot as plt

from decoder.acquisition import get_image, open_source
from decoder.message import tonumpy
from decoder.sources.protocol import ImageSource

IGNORED_CHILDREN = ("loopback_server",)


@dataclass(frozen=True)
class State:
    """The open source and the resolution of the figures."""

    source: ImageSource
    address: str
    dots_per_inch: float


def setup(
    *,
    source: str = "loopback",
    address: str = "/DESY2/D2JPEG.Webcam/Output",
    width: int = 160,
    height: int = 120,
    dots_per_inch: float = 50.0,
) -> State:
    """Open the source (see drive_get); frame size in pixels."""
    return State(open_source(source, width=width, height=height), address, dots_per_inch)


def cycle(state: State) -> None:
    """Get one frame and show it in a figure of its own."""
    figure = plt.figure(figsize=(1.6, 1.2), dpi=state.dots_per_inch)
    plt.imshow(tonumpy(get_image(state.address, "Frame", source=state.source)))
    if figure.canvas.required_interactive_framework is None:
        figure.savefig(BytesIO(), format="png")
    else:
        plt.show(block=False)
        figure.canvas.flush_events()
    plt.close(figure)


def teardown(state: State) -> None:
    """Close the source, and with it its server."""
    state.source.close()


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
