"""What a source of frames is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from camera.errors import FrameError, SourceError
from camera.pixels import BYTES_PER_PIXEL, Picture, Pixels

LARGEST_RING = 0.5
"""Of the machine's memory: frames are copied out of the ring, so a larger one leaves too little for the rest."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A filled buffer: read it, then hand it back by `Source.requeue`. After that its pixels belong to the driver."""

    pixels: NDArray[Any]
    """Shape (height, width), 16 bits, in the camera's byte order."""
    number: int
    """The first frame of a run is 1; a gap is a frame that was missed."""
    handle: Any = None
    """What the source needs to have it back."""


class Source(Protocol):
    """A camera. Its constructor opens it; errors are SourceError."""

    shape: tuple[int, int]
    """Height and width of a frame."""
    buffer_bytes: int
    """Size of one buffer of the ring."""
    picture: Picture | None
    """What the frames show, where that is known: the pixels then tell the frame's number."""

    @property
    def number(self) -> int:
        """The number of the frame that was taken last; 0 before the first."""

    @property
    def missed(self) -> int:
        """Frames that the camera took and nobody got, because no buffer was empty, as far as the source knows."""

    def start(self) -> None:
        """Let frames come."""

    def wait(self, timeout_s: float) -> Buffer | None:
        """Return the oldest filled buffer; None when there is none in time. Raises SourceError and FrameError."""

    def requeue(self, buffer: Buffer) -> None:
        """Hand a buffer back to the driver."""

    def stop(self) -> None:
        """Stop the camera and close it. No buffer may be read after that."""


def check_settings(width: int, height: int, buffers: int) -> None:
    """Refuse frames without pixels, and a ring without buffers or too large for the machine. Raises SourceError.

    ``width`` and ``height`` in pixels; ``buffers``: in the ring.
    """
    if width < 1 or height < 1:
        raise SourceError(f"a frame of {width}x{height} has no pixels")
    if buffers < 1:
        raise SourceError(f"the ring needs at least 1 buffer, not {buffers}")
    ring_bytes = buffers * width * height * BYTES_PER_PIXEL
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if ring_bytes > LARGEST_RING * memory_bytes:
        raise SourceError(
            f"a ring of {buffers:,} buffers of {width}x{height} pixels takes {ring_bytes:,} B, more than "
            f"{LARGEST_RING:.0%} of this machine's memory"
        )


def check_buffer_bytes(source: Source) -> None:
    """Check that a buffer holds a frame and no more. Raises SourceError."""
    height, width = source.shape
    needed = width * height * BYTES_PER_PIXEL
    if source.buffer_bytes != needed:
        text = f"each buffer has {source.buffer_bytes:,} B, and a frame of {width}x{height} needs {needed:,} B"
        if source.buffer_bytes == 8 * needed:
            text += ": the driver's buffers are 8 times too large, as if it was given bits instead of bytes"
        raise SourceError(text)


def as_pixels(data: Any, shape: tuple[int, int], number: int) -> Pixels:
    """Return a view of a camera's bytes. Raises FrameError where they are not a frame of this shape."""
    height, width = shape
    size_bytes, needed = memoryview(data).nbytes, width * height * BYTES_PER_PIXEL
    if size_bytes != needed:
        raise FrameError(f"frame {number} has {size_bytes:,} B, and a frame of {width}x{height} has {needed:,} B")
    return np.frombuffer(data, np.uint16).reshape(shape)
