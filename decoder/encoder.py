"""Picture -> frame, as a camera server does it: for the loopback server, drivers and tests."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from decoder.header import HEADER_BYTES, PIXELS_LITTLE_ENDIAN, FrameHeader, ImageFormat


class VideoFormat(StrEnum):
    """The formats that the decoder decodes; 2-byte gray in each byte order."""

    JPEG_RGB24 = "JPEG-RGB24"
    JPEG_GRAY8 = "JPEG-GRAY8"
    GRAY8 = "GRAY8"
    GRAY16 = "GRAY16"
    GRAY16_BIG_ENDIAN = "GRAY16-BE"
    RGB24 = "RGB24"


JPEG_QUALITY_PERCENT = 85


def encode_frame(picture: NDArray[np.uint8], video_format: VideoFormat) -> tuple[FrameHeader, bytes]:
    """Return header and image bytes of ``picture``, ``(height, width, 3)`` uint8 in the order R, G, B.

    Gray formats use the green component; 2-byte gray shifts it to 12 significant bits. ``header.pack() + image`` is a
    block.
    """
    height, width, _ = picture.shape
    header, image = _encode(picture, VideoFormat(video_format))
    return replace(
        header,
        source_width=width,
        source_height=height,
        total_length=HEADER_BYTES + len(image),
        appended_frame_size=len(image),
    ), image


def _encode(picture: NDArray[np.uint8], video_format: VideoFormat) -> tuple[FrameHeader, bytes]:
    """Return the image bytes and a header with every field that does not depend on the size."""
    gray = picture[..., 1:2].copy()
    match video_format:
        case VideoFormat.JPEG_RGB24:
            image = simplejpeg.encode_jpeg(np.ascontiguousarray(picture), JPEG_QUALITY_PERCENT, "RGB", "420")
            return _header(ImageFormat.JPEG, 3, 24), image
        case VideoFormat.JPEG_GRAY8:
            return _header(ImageFormat.JPEG, 1, 8), simplejpeg.encode_jpeg(gray, JPEG_QUALITY_PERCENT, "GRAY")
        case VideoFormat.GRAY8:
            return _header(ImageFormat.GRAY, 1, 8), gray.tobytes()
        case VideoFormat.GRAY16:
            return _header(ImageFormat.GRAY, 2, 12), (gray.astype("<u2") << 4).astype("<u2").tobytes()
        case VideoFormat.GRAY16_BIG_ENDIAN:
            header = replace(_header(ImageFormat.GRAY, 2, 12), image_flags=0)
            return header, (gray.astype(">u2") << 4).astype(">u2").tobytes()
        case VideoFormat.RGB24:
            return _header(ImageFormat.RGB, 3, 24), picture.tobytes()


def _header(image_format: ImageFormat, bytes_per_pixel: int, effective_bits_per_pixel: int) -> FrameHeader:
    return FrameHeader(
        image_format=image_format,
        bytes_per_pixel=bytes_per_pixel,
        effective_bits_per_pixel=effective_bits_per_pixel,
        image_flags=PIXELS_LITTLE_ENDIAN,
    )
