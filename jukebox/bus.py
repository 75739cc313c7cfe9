"""The bus: where elements post messages. Nobody else reads them, and each keeps the element that posted it alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jukebox.errors import JukeboxError, MissingPluginError
from jukebox.gstreamer import Gst

_LONGEST_DETAIL = 120
"""Characters of what an element adds to its error."""


def read_bus(bus: Any) -> int:
    """Take all messages that wait on the bus and return how many. Raises JukeboxError when one is an error."""
    messages = 0
    while (message := bus.pop()) is not None:
        messages += 1
        if message.type == Gst.MessageType.ERROR:
            raise JukeboxError(describe_error(message))
    return messages


def wait_for_end(bus: Any, doing: str, longest_s: float, progress: Callable[[], int] = int) -> None:
    """Wait until everything was played; drop all other messages.

    Raises JukeboxError on an error, and when nothing has ended for so long and ``progress``, a count, stands still: of
    a file that is cut off within its header, GStreamer says nothing and waits.
    """
    kinds = Gst.MessageType.EOS | Gst.MessageType.ERROR
    reached = -1
    while (message := bus.timed_pop_filtered(int(longest_s * Gst.SECOND), kinds)) is None:
        if progress() == max(reached, 0):
            raise JukeboxError(f"{doing} made no progress for {longest_s:g} s")
        reached = progress()
    if message.type == Gst.MessageType.ERROR:
        error, _ = message.parse_error()
        lacks_plugin = error.matches(Gst.CoreError.quark(), Gst.CoreError.MISSING_PLUGIN)
        raise (MissingPluginError if lacks_plugin else JukeboxError)(describe_error(message))


def describe_error(message: Any) -> str:
    """Return what an error message says, on one line: the file or else the element, the error and its detail."""
    error, detail = message.parse_error()
    source = message.src.get_name() if message.src is not None else "GStreamer"
    if message.src is not None and message.src.find_property("location"):
        source = message.src.get_property("location") or source
    lines = (detail or "").splitlines()[1:]  # the first one is a place in GStreamer's sources
    told = lines[-1] if lines else ""
    if len(told) > _LONGEST_DETAIL:  # of a decoder that is missing it has the whole header of the song
        told = f"{told[:_LONGEST_DETAIL]}..."
    return f"{source}: {error.message} {told}".strip()
