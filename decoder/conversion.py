"""Pixels -> numpy array."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from decoder.errors import DecodeError
from decoder.pixels import Pixels

Image = NDArray[np.uint8] | NDArray[np.uint16]
"""``(height, width)`` gray or ``(height, width, 3)`` in the order R, G, B; row 0 is the top; native byte order."""


def to_array(pixels: Pixels) -> Image:
    """Return the pixels as an array: ``(height, width)`` uint8 or uint16, or ``(height, width, 3)`` uint8, R, G, B.

    The array is a view of ``pixels.data``: it is valid as long as that data, and read-only if that data is. Only 2-byte
    gray in the other byte order than this machine's is copied. B, G, R pixels give a view with a negative last stride.
    Raises DecodeError when the number of bytes does not fit the shape exactly.
    """
    dtype = np.dtype(pixels.dtype)
    expected_bytes = math.prod(pixels.shape) * dtype.itemsize
    if min(pixels.shape) < 1 or pixels.data.nbytes != expected_bytes:
        size = " x ".join(map(str, pixels.shape))
        raise DecodeError(
            "pixels", None, f"{pixels.data.nbytes} bytes", f"{expected_bytes} for {size} of {pixels.dtype}"
        )
    array = np.frombuffer(pixels.data, dtype).reshape(pixels.shape)
    if pixels.channels_reversed:
        return array[..., ::-1]
    return array.astype(dtype.newbyteorder("="), copy=False)


def clear_insignificant_bits(gray: Image, effective_bits_per_pixel: int) -> Image:
    """Return ``gray`` with all bits above the lowest ``effective_bits_per_pixel`` cleared, same shape and dtype.

    Returns the array itself, not a copy, when every bit is significant (also when the number of bits is not set: 0 or
    below), and for colour, because its components have no spare bits.
    """
    if gray.ndim == 3 or not 0 < effective_bits_per_pixel < 8 * gray.itemsize:
        return gray
    return np.bitwise_and(gray, gray.dtype.type((1 << effective_bits_per_pixel) - 1))
