"""The errors this package raises on purpose.

VideoError            anything the decoder or a source reports
  DecodeError         the data are no frame: names field, offset, value and expectation
  SourceError         no frame arrived: server gone, deadline passed, address unknown, recording unusable
"""

from __future__ import annotations


class VideoError(Exception):
    """Root of all errors of this package; the message is one line for a person."""


class DecodeError(VideoError):
    """The given data cannot be decoded.

    ``field`` is the name in the format table (``"totalLength"``), or the name of the part of the message or JPEG.
    ``offset`` is the start of that field in bytes from the start of the block (from the start of the JPEG when it is
    decompressed without a frame header); None if the field has no place in a block.
    ``value`` is the wrong value, shortened if it is large; ``expectation`` describes a correct value.
    """

    def __init__(self, field: str, offset: int | None, value: object, expectation: str) -> None:
        place = "" if offset is None else f" at byte {offset}"
        super().__init__(f"{field}{place} is {value!r}, expected {expectation}")
        self.field = field
        self.offset = offset
        self.value = value
        self.expectation = expectation


class SourceError(VideoError):
    """A source could not deliver a frame; the message names the source and what to try."""
