"""Get frames from a source: the transport alone."""

from __future__ import annotations

from dataclasses import dataclass

from decoder.acquisition import get_image, open_source
from decoder.sources.protocol import ImageSource

IGNORED_CHILDREN = ("loopback_server",)


@dataclass(frozen=True)
class State:
    """The open source, and the address and property to get."""

    source: ImageSource
    address: str
    image_property: str


def setup(
    *,
    source: str = "loopback",
    address: str = "/DESY2/D2JPEG.Webcam/Output",
    image_property: str = "Frame",
    width: int = 320,
    height: int = 240,
    frames_per_second: float = 0.0,
) -> State:
    """Open ``loopback`` (a server in a process of its own), ``recording:PATH`` or ``pytine``.

    ``pytine`` talks to a real server: give the run an interval then. Size (in pixels) and rate (0 = flat out) apply to
    the loopback server.
    """
    opened = open_source(source, width=width, height=height, frames_per_second=frames_per_second)
    return State(opened, address, image_property)


def cycle(state: State) -> None:
    """Get one frame."""
    get_image(state.address, state.image_property, source=state.source)


def teardown(state: State) -> None:
    """Close the source, and with it its server."""
    state.source.close()


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
