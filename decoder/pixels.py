"""Decoded pixels before they are an array: bytes in rows and how to read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Pixels:
    """Bytes of an image, row by row from the top, left to right, without gaps.

    ``data`` is borrowed, see whoever returned these pixels for how long it stays valid.
    """

    data: memoryview
    """(height * width * bytes of a pixel,) unsigned bytes."""
    shape: tuple[int, int] | tuple[int, int, int]
    """(height, width) for gray, (height, width, 3) for colour."""
    dtype: Literal["u1", "<u2", ">u2"] = "u1"
    """Type of one gray value or colour component as it lies in ``data``, in numpy's spelling."""
    channels_reversed: bool = False
    """Colour only: a pixel's bytes are B, G, R instead of R, G, B."""
