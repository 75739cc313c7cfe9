"""The message that `get` returns, in the two shapes that PyTine has, and its conversion to an array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np

from decoder.conversion import Image, clear_insignificant_bits, to_array
from decoder.decoder import Decoder
from decoder.errors import DecodeError
from decoder.header import HEADER_BYTES, Bytes, FrameHeader, byte_view


class Message(TypedDict):
    """The result of a source's ``get``.

    ``data`` has either ``imageMatrix`` (an array) or ``frameHeader`` (a dict) and ``imageBytes``. ``timestamp`` is in
    seconds since 1970, UTC. ``status`` is 0 on success.
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
    """Return the image in ``m``, the result of `get`, as an array that later calls do not change.

    ``(height, width)`` uint8 or uint16 for gray, ``(height, width, 3)`` uint8 in the order R, G, B for colour; row 0 is
    the top. If the image is an immutable ``bytes`` object and needs no conversion (raw GRAY8, RGB24 and 2-byte gray in
    native order), the array is a read-only view of it. In all other cases it is a new array.
    ``masked`` clears the bits above effectiveBitsPerPixel (but not of an ``imageMatrix``, which has no such number).
    Raises DecodeError when ``m`` has neither shape or its image cannot be decoded; ``status`` is not checked here.
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
    # A new decoder, so that no other call can decode into the buffer of this picture.
    array = to_array(Decoder().decode_image(header, image))
    return clear_insignificant_bits(array, header.effective_bits_per_pixel) if masked else array


def _unchanging(image: Bytes) -> memoryview:
    """Return a view of immutable bytes: of ``image`` itself if it is immutable, else of a copy."""
    return memoryview(image if isinstance(image, bytes) else bytes(byte_view("imageBytes", image)))


def _copied_matrix(matrix: object) -> Image:
    """Return a copy in native byte order, because the maker of the matrix may still own its memory."""
    if not isinstance(matrix, np.ndarray):
        raise DecodeError("imageMatrix", None, type(matrix).__name__, "a numpy array")
    is_image = matrix.ndim == 2 or (matrix.ndim == 3 and matrix.shape[2] == 3)
    if not is_image or matrix.size == 0 or matrix.dtype.kind != "u" or matrix.itemsize > 2:
        found = f"{matrix.dtype.str} of shape {matrix.shape}"
        raise DecodeError("imageMatrix", None, found, "(height, width) or (height, width, 3) of uint8 or uint16")
    return np.array(matrix, dtype=matrix.dtype.newbyteorder("="), order="C")
