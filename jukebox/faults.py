"""The defects of the jukebox's history. Each can be switched on, so that what it does to memory can be seen."""

from __future__ import annotations

import ctypes
from enum import StrEnum
from functools import cache
from typing import Any

from jukebox.errors import JukeboxError


class Fault(StrEnum):
    """A defect to switch on; ``NONE`` is the repaired jukebox."""

    NONE = "none"
    NOT_REMOVED = "not_removed"
    """A finished source bin stays in the pipeline."""
    NOT_NULL = "not_null"
    """A finished source bin is removed, and not set to NULL before: its elements keep their threads and buffers."""
    PAD_KEPT = "pad_kept"
    """The mixer's request pad is not released."""
    BUS_UNREAD = "bus_unread"
    """Nobody reads the bus: it keeps every message, and each message its element."""
    CLOSURE = "closure"
    """The handler of ``pad-added`` is a closure over the source bin that owns the signal, and stays connected."""
    CLOSURE_GC_OFF = "closure_gc_off"
    """The same, with Python's garbage collection switched off."""
    PROBE_KEPT = "probe_kept"
    """Each song leaves a probe on the mixer's pad, and the probe keeps the song."""
    LIST_KEPT = "list_kept"
    """Finished songs go into a list that nobody empties."""
    EXTRA_REFERENCE = "extra_reference"
    """One g_object_ref too many, as C code may do it."""
    UNLOCKED = "unlocked"
    """The state of a finished source bin is not locked before it is set to NULL, so the pipeline may start it again."""

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise JukeboxError(f"there is no fault {value!r}; use {', '.join(cls)}")


_LIBRARY = "libgobject-2.0.so.0"


def add_reference(wrapped: Any) -> None:
    """Take a reference to a GObject and never drop it; ``ref()`` of Python would undo itself."""
    address = hash(wrapped)  # PyGObject hashes a GObject by its address
    _take_reference()(ctypes.c_void_p(address))


@cache
def _take_reference() -> Any:
    return ctypes.CDLL(_LIBRARY).g_object_ref
