"""A TINE-like video decoder: get, decompress, decode, convert to numpy.

    from decoder import get_image, tonumpy
    image = tonumpy(get_image("/DESY2/D2JPEG.Webcam/Output", "Frame"))

The names below are imported when first used, so that a program which only decompresses loads no sockets.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decoder.acquisition import get_image, open_source
    from decoder.conversion import clear_insignificant_bits, to_array
    from decoder.decoder import Decoder
    from decoder.decompressor import Decompressor
    from decoder.errors import DecodeError, SourceError, VideoError
    from decoder.header import FrameHeader
    from decoder.message import message_of, tonumpy
    from decoder.pixels import Pixels

_MODULE_OF_NAME = {
    "DecodeError": "errors",
    "Decoder": "decoder",
    "Decompressor": "decompressor",
    "FrameHeader": "header",
    "Pixels": "pixels",
    "SourceError": "errors",
    "VideoError": "errors",
    "clear_insignificant_bits": "conversion",
    "get_image": "acquisition",
    "message_of": "message",
    "open_source": "acquisition",
    "to_array": "conversion",
    "tonumpy": "message",
}

__all__ = [
    "DecodeError",
    "Decoder",
    "Decompressor",
    "FrameHeader",
    "Pixels",
    "SourceError",
    "VideoError",
    "clear_insignificant_bits",
    "get_image",
    "message_of",
    "open_source",
    "to_array",
    "tonumpy",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module 'decoder' has no attribute {name!r}")
    return getattr(importlib.import_module(f"decoder.{_MODULE_OF_NAME[name]}"), name)
