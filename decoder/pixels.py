"""Decoded pixels before they become an array: bytes in rows, and how to read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Pixels:
    """Bytes of an image, row by row from the top, left to right, without gaps.

    ``data`` belongs to another object; the function that returns the pixels says how long they are valid.
    """

    data: memoryview
    """(height * width * bytes of a pixel,) unsigned bytes."""
    shape: tuple[int, int] | tuple[int, int, int]
    """(height, width) for gray, (height, width, 3) for colour."""
    dtype: Literal["u1", "<u2", ">u2"] = "u1"
    """Type of one gray value or colour component in ``data``, in numpy's notation."""
    channels_reversed: bool = False
    """Colour only: a pixel's bytes are B, G, R instead of R, G, B."""
