"""The 188 bytes before every image: source header (88) and frame header (100), little endian, no padding.

The class below *is* the table: it defines order, type and default of each field; the offsets follow from them.
The format is TINE-like, without wire compatibility: magic value and image format numbers are this project's own.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Annotated, Final, get_args, get_type_hints

from decoder.errors import DecodeError

Bytes = bytes | bytearray | memoryview
"""Any object with contiguous bytes; pass a C-contiguous numpy array as ``memoryview(array)``."""

BASE_TAG: Final = 0x54494E45
MAX_PIXELS: Final = 1 << 26
"""Frames with more pixels (8192 x 8192) are refused: a wrong header must not cause an allocation of 12 GB."""
PIXELS_LITTLE_ENDIAN: Final = 1
"""Bit 0 of imageFlags."""
UNSET: Final = -1

U32 = Annotated[int, "I"]
I32 = Annotated[int, "i"]
F32 = Annotated[float, "f"]
Name64 = Annotated[str, "64s"]


class ImageFormat(IntEnum):
    """Values of the field imageFormat; only GRAY, RGB and JPEG are decoded."""

    GRAY = 0
    RGB = 1
    RGBA = 2
    JPEG = 5
    HUFFYUV = 10


BYTES_PER_PIXEL: Final[Mapping[int, tuple[int, ...]]] = {
    ImageFormat.GRAY: (1, 2),
    ImageFormat.RGB: (3,),
    ImageFormat.JPEG: (1, 3),
}
"""The decoded formats: the allowed bytesPerPixel of each imageFormat; for a JPEG, after decompression."""


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """One frame's header. Sizes are in pixels, times in UTC; -1 (or 0) means not set unless described otherwise.

    The constructor checks nothing (tests need wrong headers); ``parse``, ``from_fields`` and ``check_image`` do.
    """

    base_tag: U32 = BASE_TAG
    camera_port_id: U32 = 0
    version_tag: U32 = 0
    total_length: U32 = 0
    """Bytes of the whole block: this header and the image."""
    timestamp_seconds: I32 = 0
    timestamp_microseconds: I32 = 0
    camera_port_name: Name64 = ""
    """Latin-1, padded with NUL."""
    source_width: I32 = UNSET
    source_height: I32 = UNSET
    aoi_width: I32 = UNSET
    """Area of interest: the size of the image if it is above 0; otherwise the source's size is."""
    aoi_height: I32 = UNSET
    x_start: I32 = 0
    y_start: I32 = 0
    bytes_per_pixel: I32 = UNSET
    effective_bits_per_pixel: I32 = UNSET
    """Significant bits, counted from the lowest: mask (1 << e) - 1. Not set means all."""
    horizontal_binning: I32 = 0
    vertical_binning: I32 = 0
    source_format: I32 = UNSET
    """The camera's own format, for information only; the decoder uses image_format."""
    image_format: I32 = UNSET
    frame_number: U32 = 0
    event_number: U32 = 0
    x_scale: F32 = 0.0
    y_scale: F32 = 0.0
    image_rotation: F32 = 0.0
    fspare2: F32 = 0.0
    fspare3: F32 = 0.0
    fspare4: F32 = 0.0
    image_flags: U32 = PIXELS_LITTLE_ENDIAN
    """Bit 0: pixel bytes are little endian (2-byte pixels; 3-byte pixels are R, G, B then and B, G, R otherwise)."""
    ispare2: I32 = 0
    ispare3: I32 = 0
    ispare4: I32 = 0
    appended_frame_size: U32 = 0
    """Bytes of the image that follows."""

    @property
    def width(self) -> int:
        """Width of the image in pixels: the area of interest's when set, otherwise the source's."""
        return self.aoi_width if self.aoi_width > 0 else self.source_width

    @property
    def height(self) -> int:
        """Height of the image in pixels: the area of interest's when set, otherwise the source's."""
        return self.aoi_height if self.aoi_height > 0 else self.source_height

    @property
    def pixels_are_little_endian(self) -> bool:
        """Whether the lower byte of a 2-byte pixel comes first (and R before B in a 3-byte one)."""
        return bool(self.image_flags & PIXELS_LITTLE_ENDIAN)

    @classmethod
    def parse(cls, block: Bytes) -> FrameHeader:
        """Read and check the header at the start of a whole block (188 bytes and the image).

        Raises DecodeError unless the block is exactly as long as the header says and describes an image that can be
        decoded. The image bytes themselves are not checked.
        """
        view = byte_view("block", block)
        if len(view) < HEADER_BYTES:
            raise DecodeError("block", 0, f"{len(view)} bytes", f"at least the {HEADER_BYTES} bytes of the header")
        values = list(_LAYOUT.unpack_from(view))
        values[_NAME_INDEX] = values[_NAME_INDEX].rstrip(b"\0").decode("latin-1")
        header = cls(*values)
        if header.base_tag != BASE_TAG:
            raise header._error("base_tag", f"the magic value {BASE_TAG:#x}")
        if header.total_length != len(view):
            raise header._error("total_length", f"the length of the block, {len(view)} bytes")
        header.check_image(len(view) - HEADER_BYTES)
        return header

    @classmethod
    def from_fields(cls, given: Mapping[str, object], image_bytes: int) -> FrameHeader:
        """Make a header from a dict keyed by the table's names (``"sourceWidth"``) and check it.

        ``image_bytes`` is the length of the image that belongs to it. sourceWidth, sourceHeight, bytesPerPixel and
        imageFormat are required, all others have a default; unknown names are ignored. The magic value is not checked,
        because the reader of the block has checked it. Raises DecodeError.
        """
        known = {"total_length": HEADER_BYTES + image_bytes, "appended_frame_size": image_bytes} | {
            attribute: _checked(attribute, given[field.name])
            for attribute, field in TABLE.items()
            if field.name in given
        }
        for attribute in ("source_width", "source_height", "bytes_per_pixel", "image_format"):
            if attribute not in known:
                raise DecodeError(TABLE[attribute].name, TABLE[attribute].offset, None, "to be in the frame header")
        header = cls(**known)  # type: ignore[arg-type]  # _checked returns the type of each attribute
        if header.total_length != HEADER_BYTES + image_bytes:
            raise header._error("total_length", f"header and image, {HEADER_BYTES + image_bytes} bytes")
        header.check_image(image_bytes)
        return header

    def fields(self) -> dict[str, int | float | str]:
        """Return the header as a dict keyed by the table's names, in the table's order."""
        return {field.name: getattr(self, attribute) for attribute, field in TABLE.items()}

    def pack(self) -> bytes:
        """Return the 188 bytes. Raises DecodeError for a value that its field cannot hold; checks nothing else."""
        values = [_checked(attribute, getattr(self, attribute)) for attribute in TABLE]
        values[_NAME_INDEX] = str(values[_NAME_INDEX]).encode("latin-1")
        return _LAYOUT.pack(*values)

    def check_image(self, image_bytes: int) -> None:
        """Raise DecodeError unless this header describes, without contradiction, an image of ``image_bytes`` bytes.

        Allocates nothing. For a compressed image it compares only the length; it does not read the image.
        """
        if self.image_format not in BYTES_PER_PIXEL:
            known = ", ".join(f"{ImageFormat(number).name} {number:d}" for number in BYTES_PER_PIXEL)
            raise self._error("image_format", f"one of {known}")
        if self.bytes_per_pixel not in (allowed := BYTES_PER_PIXEL[self.image_format]):
            name = ImageFormat(self.image_format).name
            raise self._error("bytes_per_pixel", f"{' or '.join(map(str, allowed))} for {name}")
        if self.effective_bits_per_pixel > 8 * self.bytes_per_pixel or self.effective_bits_per_pixel < UNSET:
            raise self._error("effective_bits_per_pixel", f"at most {8 * self.bytes_per_pixel}, or -1")
        self._check_size()
        if self.appended_frame_size != image_bytes:
            raise self._error("appended_frame_size", f"the length of the image, {image_bytes} bytes")
        raw_bytes = self.width * self.height * self.bytes_per_pixel
        if self.image_format != ImageFormat.JPEG and image_bytes != raw_bytes:
            size = f"{self.width} x {self.height} x {self.bytes_per_pixel}"
            raise self._error("appended_frame_size", f"{raw_bytes}, that is {size} bytes")

    def _check_size(self) -> None:
        for source, aoi, start in (
            ("source_width", "aoi_width", "x_start"),
            ("source_height", "aoi_height", "y_start"),
        ):
            source_pixels, aoi_pixels, start_pixel = getattr(self, source), getattr(self, aoi), getattr(self, start)
            if source_pixels <= 0:
                raise self._error(source, "at least 1 pixel")
            if aoi_pixels > source_pixels:
                raise self._error(aoi, f"at most {TABLE[source].name}, {source_pixels} pixels")
            if aoi_pixels > 0 and not 0 <= start_pixel <= source_pixels - aoi_pixels:
                raise self._error(start, f"0 to {source_pixels - aoi_pixels}, so that the area of interest lies inside")
        if self.width * self.height > MAX_PIXELS:
            widest = "aoi_width" if self.aoi_width > 0 else "source_width"
            raise self._error(widest, f"at most {MAX_PIXELS} pixels in all, not {self.width} x {self.height}")

    def _error(self, attribute: str, expectation: str) -> DecodeError:
        field = TABLE[attribute]
        return DecodeError(field.name, field.offset, getattr(self, attribute), expectation)


@dataclass(frozen=True, slots=True)
class Field:
    """Where one attribute of FrameHeader stands in the 188 bytes."""

    name: str
    """The name in the format table: ``"sourceWidth"``."""
    offset: int
    code: str
    """The format character of the struct module; little endian."""


def byte_view(name: str, data: Bytes) -> memoryview:
    """Return ``data`` as a view of unsigned bytes, without a copy. Raises DecodeError unless it is contiguous bytes."""
    try:
        return memoryview(data).cast("B")
    except (TypeError, ValueError):
        raise DecodeError(name, None, type(data).__name__, "bytes, or a view of contiguous bytes") from None


def _lay_out() -> dict[str, Field]:
    hints = get_type_hints(FrameHeader, include_extras=True)
    table: dict[str, Field] = {}
    offset = 0
    for attribute in fields(FrameHeader):
        first, *others = attribute.name.split("_")
        code: str = get_args(hints[attribute.name])[1]
        table[attribute.name] = Field(first + "".join(map(str.capitalize, others)), offset, code)
        offset += struct.calcsize(code)
    return table


TABLE: Final[Mapping[str, Field]] = _lay_out()
"""Attribute of FrameHeader -> its field, in order."""
_LAYOUT: Final = struct.Struct("<" + "".join(field.code for field in TABLE.values()))
_NAME_INDEX: Final = list(TABLE).index("camera_port_name")
_INTEGER_RANGE: Final = {"I": (0, 2**32 - 1), "i": (-(2**31), 2**31 - 1)}
HEADER_BYTES: Final = _LAYOUT.size


def _checked(attribute: str, value: object) -> int | float | str | bytes:
    """Return ``value`` as its field's type. Raises DecodeError when the field cannot hold it."""
    field = TABLE[attribute]
    if field.code == "64s":
        return _checked_name(field, value)
    if field.code == "f":
        return _checked_float(field, value)
    low, high = _INTEGER_RANGE[field.code]
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # a value without an index raises below
    except TypeError:
        number = low - 1
    if not low <= number <= high:
        raise DecodeError(field.name, field.offset, _short(value), f"an integer from {low} to {high}")
    return number


def _checked_float(field: Field, value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]  # a value that is not a number raises below
        struct.pack("<f", number)
    except (TypeError, ValueError, OverflowError):
        raise DecodeError(field.name, field.offset, _short(value), "a number that fits 32 bits") from None
    return number


def _checked_name(field: Field, value: object) -> str:
    try:
        name = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        fits = len(name.encode("latin-1")) <= struct.calcsize(field.code)
    except UnicodeEncodeError:
        fits = False
    if not fits:
        raise DecodeError(field.name, field.offset, _short(value), "at most 64 characters of Latin-1")
    return name


def _short(value: object) -> object:
    """Return a plain number itself, and the start of the repr of others: an error must not keep an image alive."""
    return value if isinstance(value, int | float) else repr(value)[:40]
