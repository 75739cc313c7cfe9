"""`get_image`: the call that the slides use, with an exchangeable source behind it."""

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

    Without ``source`` the frame comes from PyTine if that is installed, else from a loopback server. The first call
    starts that server, and it ends with the process. Raises SourceError, and DecodeError when the answer is no frame.
    """
    return (source or _default_source()).get(address, property)


def open_source(
    name: str = "loopback", *, width: int = 320, height: int = 240, frames_per_second: float = 0.0
) -> ImageSource:
    """Open the source named ``"loopback"``, ``"pytine"`` or ``"recording:PATH"``; the caller closes it.

    Size (in pixels) and frame rate (0 = flat out) apply to the loopback server. Raises SourceError.
    """
    if name == "loopback":
        return LoopbackSource(width=width, height=height, frames_per_second=frames_per_second)
    if name == "pytine":
        return pytine.PyTineSource()
    kind, _, path = name.partition(":")
    if kind == "recording" and path:
        return RecordingSource(Path(path))
    raise SourceError(f"there is no source {name!r}; use loopback, pytine or recording:PATH")


@cache
def _default_source() -> ImageSource:
    source = open_source("pytine" if pytine.is_installed() else "loopback")
    atexit.register(source.close)
    return source
