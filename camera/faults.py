"""The defects of the recorder's history. Each can be switched on, so that what it does can be seen."""

from __future__ import annotations

from enum import StrEnum

from camera.errors import CameraError


class Fault(StrEnum):
    """A defect to switch on; ``NONE`` is the repaired recorder."""

    NONE = "none"
    REQUEUE_EARLY = "requeue_early"
    """A buffer goes back to the driver before its pixels are read."""
    SWAP_SHARED = "swap_shared"
    """Each consumer swaps the bytes of the shared pixels in place."""
    UNBOUNDED_QUEUE = "unbounded_queue"
    """The writer's queue has no limit, and the writer is slower than the camera."""
    COPY_PER_CONSUMER = "copy_per_consumer"
    """Each consumer copies each frame."""
    VIEW_KEEPS_BUFFER = "view_keeps_buffer"
    """The analysis keeps eight pixels of each frame; they are a view, which keeps the whole frame."""
    OVERSIZED_BUFFERS = "oversized_buffers"
    """The driver is given bits where it expects bytes: its buffers are eight times too large."""
    CONSUMER_DIES = "consumer_dies"
    """The thread of the analysis ends on an exception, and nobody is told."""
    ONE_FILE = "one_file"
    """All frames go into one file for ever; HDF5 keeps the index of its chunks in memory."""

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise CameraError(f"there is no fault {value!r}; use {', '.join(cls)}")


FRESH_PIXELS = frozenset({Fault.UNBOUNDED_QUEUE, Fault.VIEW_KEEPS_BUFFER})
"""These recorders had no pool: each frame had new pixels."""
