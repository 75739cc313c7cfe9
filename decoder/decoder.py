"""A frame in any of the formats -> pixels."""

from __future__ import annotations

from decoder.decompressor import Decompressor
from decoder.header import HEADER_BYTES, Bytes, FrameHeader, ImageFormat, byte_view
from decoder.pixels import Pixels


class Decoder:
    """Decodes frames: JPEG-RGB24, JPEG-GRAY8, raw GRAY of 1 byte, raw GRAY of 2 bytes in either order, raw RGB24.

    It keeps one Decompressor with its buffers. It must not be used by several threads at once.
    """

    def __init__(self) -> None:
        self._decompressor = Decompressor()

    def decode(self, block: Bytes) -> Pixels:
        """Return the pixels of a whole block (header and image); ``decode_image`` says how long they are valid.

        Raises DecodeError when header, lengths and image contradict each other.
        """
        header = FrameHeader.parse(block)
        return self._pixels(header, byte_view("block", block)[HEADER_BYTES:])

    def decode_image(self, header: FrameHeader, image: Bytes) -> Pixels:
        """Return the pixels of an image that arrived separately from its header.

        A JPEG's pixels are valid until the next call of this decoder. Raw pixels are a view of ``image``: they are
        valid until something writes into it. The bits above effectiveBitsPerPixel are unchanged, because clearing them
        requires a copy; ``decoder.conversion.clear_insignificant_bits`` makes one. Raises DecodeError.
        """
        view = byte_view("image", image)
        header.check_image(len(view))
        return self._pixels(header, view)

    def _pixels(self, header: FrameHeader, image: memoryview) -> Pixels:
        if header.image_format == ImageFormat.JPEG:
            return self._decompressor.decompress(image, header)
        size = (header.height, header.width)
        if header.image_format == ImageFormat.RGB:
            return Pixels(image, (*size, 3), channels_reversed=not header.pixels_are_little_endian)
        if header.bytes_per_pixel == 2:
            return Pixels(image, size, dtype="<u2" if header.pixels_are_little_endian else ">u2")
        return Pixels(image, size)
