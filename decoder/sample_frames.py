"""A small moving picture, the same on every run: frames for the loopback server, drivers, benchmarks and tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from decoder.encoder import VideoFormat, encode_frame


def draw_picture(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Return picture ``number`` of the film: ``(height, width, 3)`` uint8, R, G, B.

    The picture has a colour ramp that moves with the number, a bright square that crosses it, and a last row with its
    own brightness, so that tests notice a row of an earlier picture.
    """
    rows, columns = np.mgrid[0:height, 0:width]
    ramps = (columns * 255 // width + 3 * number, rows * 255 // height + 5 * number, (rows + columns) // 2 + 7 * number)
    picture = np.stack(ramps, axis=-1).astype(np.uint8)
    side = max(1, min(width, height) // 5)
    left = (number * side // 3) % max(1, width - side)
    top = (height - side) // 2
    picture[top : top + side, left : left + side] = (250, 240, 200)
    picture[-1] = 40 + 50 * (number % 4)
    return picture


def sample_block(
    video_format: str = VideoFormat.JPEG_RGB24, *, number: int = 0, width: int = 320, height: int = 240
) -> bytes:
    """Return picture ``number`` as a whole block, header and image, in the named format (``"GRAY16-BE"``)."""
    header, image = encode_frame(draw_picture(number, width, height), VideoFormat(video_format))
    return header.pack() + image


def sample_jpeg(
    video_format: str = VideoFormat.JPEG_RGB24, *, number: int = 0, width: int = 320, height: int = 240
) -> bytes:
    """Return picture ``number`` as a bare JPEG, in one of the two JPEG formats."""
    _, image = encode_frame(draw_picture(number, width, height), VideoFormat(video_format))
    return image
