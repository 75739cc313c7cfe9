"""`get_image`: the call of the slides, with a source behind it."""

from __future__ import annotations

import atexit
from functools import cache
from pathlib import Path

from decoder.errors import SourceError
from decoder.message import Message
from decoder.sources import pytine
from decoder.sources.loopback import LoopbackSource
from decoder.sources.protocol import ImageSource
from decoder.sources.recording import RecordingSource


def get_image(address: str, property: str, *, source: ImageSource | None = None) -> Message:  # noqa: A002
    """Return the next frame of ``address`` and ``property``, for ``tonumpy``; the message stays valid.

    Without a ``source`` of the caller's own it comes from PyTine where that is installed, else from a loopback server
    that the first call starts and that ends with the process. Raises SourceError, and DecodeError for what is no frame.
    """
    return (source or _default_source()).get(address, property)


def open_source(
    name: str = "loopback", *, width: int = 320, height: int = 240, frames_per_second: float = 0.0
) -> ImageSource:
    """Open the source named ``"loopback"``, ``"pytine"`` or ``"recording:PATH"``; the caller closes it.

    Size in pixels and frame rate (0 = flat out) are the loopback server's. Raises SourceError.
    """
    if name == "loopback":
        return LoopbackSource(width=width, height=height, frames_per_second=frames_per_second)
    if name == "pytine":
        return pytine.PyTineSource()
    kind, _, path = name.partition(":")
    if kind == "recording" and path:
        return RecordingSource(Path(path))
    raise SourceError(f"no source is named {name!r}; there are loopback, pytine and recording:PATH")


@cache
def _default_source() -> ImageSource:
    source = open_source("pytine" if pytine.is_installed() else "loopback")
    atexit.register(source.close)
    return source
