"""The pixels of a frame, and how a test picture tells which frame it is of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from camera.errors import FrameError

Pixels = NDArray[np.uint16]
"""Shape (height, width)."""
BYTES_PER_PIXEL = 2


@dataclass(frozen=True)
class Picture:
    """A test picture: each pixel is number*per_frame + row*per_row + column*per_column, modulo 65,536."""

    per_frame: int = 1
    per_row: int = 1
    per_column: int = 0

    def check(self, pixels: Pixels, number: int, reader: str) -> None:
        """Check that these are the pixels of frame ``number``: three columns, in each row. ``reader``: who asks.

        Raises FrameError, which says what the wrong pixels are.
        """
        height, width = pixels.shape
        for column in (0, width // 2, width - 1):
            expected = _rows(height, self.per_row) + np.uint16(
                (number * self.per_frame + column * self.per_column) & 0xFFFF
            )
            found = pixels[:, column]
            if not np.array_equal(found, expected):
                row = int(np.flatnonzero(found != expected)[0])
                what = self._explain(int(found[row]), int(expected[row]), number)
                raise FrameError(f"{reader}: {what} (row {row}, column {column})")

    def _explain(self, found: int, expected: int, number: int) -> str:
        if found == (expected >> 8 | (expected & 0xFF) << 8):
            return f"the bytes of frame {number} are swapped: another consumer swapped the shared pixels in place"
        other = number + ((found - expected + 0x8000) % 0x10000 - 0x8000) // self.per_frame
        return (
            f"frame {number} has pixels of frame {other}: its buffer went back to the driver before its pixels were "
            "read"
        )


@lru_cache(maxsize=4)
def _rows(height: int, per_row: int) -> NDArray[np.uint16]:
    return (np.arange(height) * per_row).astype(np.uint16)
