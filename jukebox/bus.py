"""The bus: where elements post messages. Nobody else reads them, and each keeps the element that posted it alive."""

from __future__ import annotations

from typing import Any

from jukebox.errors import JukeboxError
from jukebox.gstreamer import Gst


def read_bus(bus: Any) -> int:
    """Take all messages that wait on the bus and return how many. Raises JukeboxError when one is an error."""
    messages = 0
    while (message := bus.pop()) is not None:
        messages += 1
        if message.type == Gst.MessageType.ERROR:
            raise JukeboxError(describe_error(message))
    return messages


def wait_for_end(bus: Any, doing: str, longest_s: float) -> None:
    """Wait until everything was played; drop all other messages. Raises JukeboxError on an error or after that time."""
    kinds = Gst.MessageType.EOS | Gst.MessageType.ERROR
    message = bus.timed_pop_filtered(int(longest_s * Gst.SECOND), kinds)
    if message is None:
        raise JukeboxError(f"{doing} did not end within {longest_s:g} s")
    if message.type == Gst.MessageType.ERROR:
        raise JukeboxError(describe_error(message))


def describe_error(message: Any) -> str:
    """Return what an error message says, on one line: the element, the error and its detail."""
    error, detail = message.parse_error()
    source = message.src.get_name() if message.src is not None else "GStreamer"
    lines = (detail or "").splitlines()
    return f"{source}: {error.message} {lines[-1] if lines else ''}".strip()
