"""GStreamer, loaded and started once; every other module of the jukebox takes it from here.

Import this module before anything else loads GLib: GLib reads G_SLICE when it is loaded, and only with
``always-malloc`` is each of its blocks a block of malloc, which a memory checker sees.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from jukebox.errors import JukeboxError
from jukebox.missing import missing_packages

os.environ.setdefault("G_SLICE", "always-malloc")

if _packages := missing_packages():
    raise JukeboxError(f"the jukebox needs GStreamer; apt-get install {' '.join(_packages)}")

from gi.repository import GLib as GLib
from gi.repository import Gst as Gst
from gi.repository import GstController as GstController

RATE_HZ, CHANNELS = 44100, 2
FRAME_BYTES = 4 * CHANNELS
"""A frame is one sample of each channel, 32-bit float."""
CAPS = f"audio/x-raw,format=F32LE,rate={RATE_HZ},channels={CHANNELS},layout=interleaved"


def make(factory: str, **properties: object) -> Any:
    """Return a new element; underscores in the names of properties stand for hyphens.

    Raises JukeboxError when there is no such element.
    """
    element = Gst.ElementFactory.make(factory)
    if element is None:
        raise JukeboxError(f"GStreamer has no element {factory!r}; install the plugin that has it")
    for name, value in properties.items():
        element.set_property(name.replace("_", "-"), value)
    return element


def add_chain(into: Any, elements: Sequence[Any]) -> None:
    """Add elements to a bin or pipeline and link each with the next."""
    for element in elements:
        into.add(element)
    for element, following in pairwise(elements):
        element.link(following)


def time_ns(frames: int) -> int:
    """Return the time that this number of frames takes, in nanoseconds, GStreamer's unit."""
    return int(frames * Gst.SECOND // RATE_HZ)


def stop(element: Any) -> bool:
    """Set an element to NULL, and return whether it is.

    If an element of a bin cannot stop, GStreamer leaves the others running: then each of them is stopped by itself.
    """
    if element.set_state(Gst.State.NULL) == Gst.StateChangeReturn.FAILURE and isinstance(element, Gst.Bin):
        for child in element.children:
            stop(child)
        element.set_state(Gst.State.NULL)
    _, state, pending = element.get_state(0)
    return bool(state == Gst.State.NULL and pending == Gst.State.VOID_PENDING)


def end_idle_threads() -> None:
    """Let threads of GLib's pools end at once when they have nothing to do, so that none is there by chance."""
    GLib.ThreadPool.set_max_unused_threads(0)


def fail_on_criticals() -> None:
    """End the process when GLib or GStreamer reports a wrong call (as G_DEBUG=fatal-criticals does)."""
    GLib.log_set_always_fatal(GLib.LogLevelFlags.LEVEL_ERROR | GLib.LogLevelFlags.LEVEL_CRITICAL)
