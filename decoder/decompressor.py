"""JPEG in memory -> raw pixels."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from decoder.errors import DecodeError
from decoder.header import HEADER_BYTES, MAX_PIXELS, Bytes, FrameHeader, byte_view
from decoder.pixels import Pixels

MAX_PIXELS_PER_BYTE: Final = 512
"""Huffman coding needs at least one bit per block of 8 x 8 pixels, so no valid JPEG claims more.
(Arithmetic coding could need less for an empty image; such a JPEG is refused.)"""

_COLORSPACE_AND_CHANNELS: Final = {"Gray": ("GRAY", 1), "YCbCr": ("RGB", 3), "RGB": ("RGB", 3)}


class Decompressor:
    """Decompresses JPEGs and reuses its two buffers in every call.

    A picture is decoded into the spare buffer, which becomes the current one only on success: after a failure the spare
    buffer contains an incomplete picture that is never returned. The buffers grow to the size of the largest picture
    and stay. A Decompressor must not be used by several threads at once.
    """

    def __init__(self) -> None:
        self._current: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._spare: NDArray[np.uint8] = np.empty(0, np.uint8)

    def decompress(self, jpeg: Bytes, header: FrameHeader | None = None) -> Pixels:
        """Return the picture in ``jpeg``, uint8: ``(height, width)`` gray or ``(height, width, 3)`` in order R, G, B.

        The pixels are in this object's buffer and are valid until the next call of ``decompress``. Raises DecodeError,
        before anything is allocated, when the JPEG's own header is unreadable, describes neither gray nor colour of
        three components, claims an impossible size, or contradicts the frame ``header`` if there is one. Also raises
        DecodeError when the compressed data are truncated or corrupt. A flipped bit inside the compressed data can go
        unnoticed, because a JPEG has no checksum.
        """
        start = 0 if header is None else HEADER_BYTES
        source = byte_view("JPEG", jpeg)
        shape, colorspace = _read_shape(source, start)
        if header is not None:
            _check_agreement(shape, header, start)
        needed_bytes = shape[0] * shape[1] * shape[2]
        if self._spare.size < needed_bytes:
            self._spare = np.empty(needed_bytes, np.uint8)
        # The buffer must be large enough and writable: simplejpeg 1.9 loses 4.4 kB each time it refuses a buffer.
        _call(simplejpeg.decode_jpeg, source, start, "intact compressed data", colorspace, buffer=self._spare)
        self._current, self._spare = self._spare, self._current
        return Pixels(self._current.data[:needed_bytes], shape if shape[2] == 3 else shape[:2])


def _read_shape(source: memoryview, start: int) -> tuple[tuple[int, int, int], str]:
    """Return (height, width, components) from the JPEG's header, and the colour space to request from simplejpeg."""
    height, width, colorspace, _ = _call(simplejpeg.decode_jpeg_header, source, start, "a JPEG with a readable header")
    if colorspace not in _COLORSPACE_AND_CHANNELS:
        raise DecodeError("JPEG colour space", start, colorspace, "Gray, YCbCr or RGB")
    if height * width > (limit := min(MAX_PIXELS, MAX_PIXELS_PER_BYTE * len(source))):
        raise DecodeError("JPEG size", start, f"{width} x {height}", f"at most {limit} pixels from {len(source)} bytes")
    target, channels = _COLORSPACE_AND_CHANNELS[colorspace]
    return (height, width, channels), target


def _check_agreement(shape: tuple[int, int, int], header: FrameHeader, start: int) -> None:
    height, width, channels = shape
    if (width, height) != (header.width, header.height):
        expectation = f"{header.width} x {header.height} as in the frame header"
        raise DecodeError("JPEG size", start, f"{width} x {height}", expectation)
    if channels != header.bytes_per_pixel:
        expectation = f"{header.bytes_per_pixel}, the bytesPerPixel of the frame header"
        raise DecodeError("JPEG components", start, channels, expectation)


def _call(function: Any, source: memoryview, start: int, expectation: str, *args: object, **settings: object) -> Any:
    """Call simplejpeg (strict by default) and translate its ValueError into a DecodeError."""
    try:
        return function(source, *args, **settings)
    except ValueError as complaint:
        raise DecodeError("JPEG", start, f"{len(source)} bytes", f"{expectation} ({complaint})") from None
