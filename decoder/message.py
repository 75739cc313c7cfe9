"""What `get` returns, in the two shapes PyTine knows, and its way to an array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np

from decoder.conversion import Image, clear_insignificant_bits, to_array
from decoder.decoder import Decoder
from decoder.errors import DecodeError
from decoder.header import HEADER_BYTES, Bytes, FrameHeader, byte_view


class Message(TypedDict):
    """What a source's ``get`` returns.

    ``data`` holds either ``imageMatrix`` (an array) or ``frameHeader`` (a dict) and ``imageBytes``; ``timestamp`` is in
    seconds since 1970, UTC; ``status`` is 0 when all went well.
    """

    data: Mapping[str, Any]
    timestamp: float
    status: int


def message_of(block: Bytes) -> Message:
    """Return the message for a whole block. Copies the image, so the message stays valid. Raises DecodeError."""
    header = FrameHeader.parse(block)
    return Message(
        data={"frameHeader": header.fields(), "imageBytes": bytes(byte_view("block", block)[HEADER_BYTES:])},
        timestamp=header.timestamp_seconds + header.timestamp_microseconds / 1e6,
        status=0,
    )


def tonumpy(m: Mapping[str, Any], *, masked: bool = False) -> Image:
    """Return the image in ``m``, what `get` returned, as an array that stays valid whatever is called later.

    ``(height, width)`` uint8 or uint16 for gray, ``(height, width, 3)`` uint8 in the order R, G, B for colour; row 0 is
    the top. Of an image in an immutable ``bytes`` object the array is a read-only view where no conversion is needed
    (raw GRAY8, RGB24 and 2-byte gray in native order); everything else is a fresh array.
    ``masked`` clears the bits above effectiveBitsPerPixel (never of an ``imageMatrix``, which does not tell them).
    Raises DecodeError when ``m`` has neither shape or its image cannot be decoded; ``status`` is not judged here.
    """
    data = m.get("data") if isinstance(m, Mapping) else None
    if not isinstance(data, Mapping):
        raise DecodeError("data", None, type(data).__name__, "a dict in what get returned")
    if "imageMatrix" in data:
        return _copied_matrix(data["imageMatrix"])
    if not isinstance(data.get("frameHeader"), Mapping) or "imageBytes" not in data:
        raise DecodeError("data", None, sorted(map(str, data))[:8], "imageMatrix, or a dict frameHeader and imageBytes")
    image = _unchanging(data["imageBytes"])
    header = FrameHeader.from_fields(data["frameHeader"], image.nbytes)
    # A decoder of its own: nobody can decode another picture into this one's buffer.
    array = to_array(Decoder().decode_image(header, image))
    return clear_insignificant_bits(array, header.effective_bits_per_pixel) if masked else array


def _unchanging(image: Bytes) -> memoryview:
    """Return a view of bytes that nobody can change: of ``image`` itself when it is immutable, else of a copy."""
    return memoryview(image if isinstance(image, bytes) else bytes(byte_view("imageBytes", image)))


def _copied_matrix(matrix: object) -> Image:
    """Return a copy in native byte order: whoever made the matrix may still own its memory."""
    if not isinstance(matrix, np.ndarray):
        raise DecodeError("imageMatrix", None, type(matrix).__name__, "a numpy array")
    is_image = matrix.ndim == 2 or (matrix.ndim == 3 and matrix.shape[2] == 3)
    if not is_image or matrix.size == 0 or matrix.dtype.kind != "u" or matrix.itemsize > 2:
        found = f"{matrix.dtype.str} of shape {matrix.shape}"
        raise DecodeError("imageMatrix", None, found, "(height, width) or (height, width, 3) of uint8 or uint16")
    return np.array(matrix, dtype=matrix.dtype.newbyteorder("="), order="C")
