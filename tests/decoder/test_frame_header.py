"""The 188 bytes: layout, round trip, checks."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoder.errors import DecodeError
from decoder.header import BASE_TAG, HEADER_BYTES, MAX_PIXELS, TABLE, FrameHeader
from decoder.sample_frames import sample_block

VALUES_OF_CODE = {
    "I": st.integers(0, 2**32 - 1),
    "i": st.integers(-(2**31), 2**31 - 1),
    "f": st.floats(width=32, allow_nan=False),
    "64s": st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=64),
}


@pytest.fixture
def header() -> FrameHeader:
    return FrameHeader.parse(sample_block("GRAY8", width=40, height=30))


def test_the_layout_is_the_documented_one():
    """Both structs of the format, and the offsets that people look up by hand."""
    codes = "".join(field.code for field in TABLE.values())

    assert HEADER_BYTES == 188 == struct.calcsize("<IIIIii64s") + struct.calcsize("<12i2I6fI3iI")
    assert codes.startswith("IIIIii64s")
    offsets = {field.name: field.offset for field in TABLE.values()}
    assert offsets["cameraPortName"] == 24
    assert offsets["sourceWidth"] == 88
    assert offsets["imageFormat"] == 132
    assert offsets["imageFlags"] == 168
    assert offsets["appendedFrameSize"] == 184


def test_the_documentation_has_every_field_at_its_offset():
    """docs/image-format.md repeats the table and must agree with it."""
    page = (Path(__file__).parents[2] / "docs" / "image-format.md").read_text(encoding="utf-8")

    documented = re.findall(r"^\| (\d+) \| `(\w+)` \| (\S+) \|", page, re.MULTILINE)

    types = {"I": "u32", "i": "i32", "f": "f32", "64s": "char[64]"}
    assert documented == [(str(field.offset), field.name, types[field.code]) for field in TABLE.values()]


@given(st.fixed_dictionaries({attribute: VALUES_OF_CODE[field.code] for attribute, field in TABLE.items()}))
def test_what_is_packed_is_unpacked_the_same(values: dict[str, object]):
    """For every value a field can hold, sensible or not."""
    header = FrameHeader(**{**values, "camera_port_name": str(values["camera_port_name"]).rstrip("\0")})

    unpacked = struct.unpack("<IIIIii64s12i2I6fI3iI", header.pack())

    for field, value in zip(fields(FrameHeader), unpacked, strict=True):
        expected = getattr(header, field.name)
        assert expected == (value.rstrip(b"\0").decode("latin-1") if isinstance(value, bytes) else value)


def test_parse_gives_back_what_was_packed(header: FrameHeader):
    """Also the name, without its padding."""
    named = replace(header, camera_port_name="Tür 3", frame_number=7, x_scale=0.5)

    parsed = FrameHeader.parse(named.pack() + bytes(header.appended_frame_size))

    assert parsed == named


def test_fields_and_from_fields_are_inverse(header: FrameHeader):
    """The dict form keeps every value under the format's name."""
    assert FrameHeader.from_fields(header.fields(), header.appended_frame_size) == header


def test_the_area_of_interest_sets_the_size_where_it_is_given(header: FrameHeader):
    """Each direction by itself; -1 and 0 are none."""
    assert (header.width, header.height) == (40, 30)
    partly = replace(header, aoi_width=16, aoi_height=0)
    assert (partly.width, partly.height) == (16, 30)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("baseTag", {"base_tag": BASE_TAG + 1}),
        ("totalLength", {"total_length": 100}),
        ("imageFormat", {"image_format": 10}),
        ("imageFormat", {"image_format": -1}),
        ("bytesPerPixel", {"bytes_per_pixel": 3}),
        ("bytesPerPixel", {"bytes_per_pixel": 0}),
        ("effectiveBitsPerPixel", {"effective_bits_per_pixel": 9}),
        ("sourceWidth", {"source_width": 0}),
        ("sourceHeight", {"source_height": -1}),
        ("sourceWidth", {"source_width": 65500, "source_height": 65500}),
        ("aoiWidth", {"aoi_width": 41}),
        ("xStart", {"aoi_width": 20, "x_start": 21}),
        ("yStart", {"aoi_height": 20, "y_start": -1}),
        ("appendedFrameSize", {"appended_frame_size": 40 * 30 + 1}),
        ("appendedFrameSize", {"bytes_per_pixel": 2}),
        ("appendedFrameSize", {"aoi_width": 20}),
    ],
)
def test_a_contradiction_names_field_offset_value_and_expectation(
    header: FrameHeader, field: str, change: dict[str, int]
):
    """As attributes for programs and in the message for people."""
    wrong = replace(header, **change)

    with pytest.raises(DecodeError) as caught:
        FrameHeader.parse(wrong.pack() + bytes(40 * 30))

    error = caught.value
    assert (field, wrong.fields()[field]) == (error.field, error.value)
    assert error.offset == next(place.offset for place in TABLE.values() if place.name == field)
    assert f"{field} at byte {error.offset} is {error.value!r}, expected {error.expectation}" == str(error)


@pytest.mark.parametrize("length", [0, 1, 187])
def test_a_block_shorter_than_the_header_is_refused(length: int):
    """Nothing is read beyond its end."""
    with pytest.raises(DecodeError, match="at least the 188 bytes"):
        FrameHeader.parse(bytes(length))


@pytest.mark.parametrize("change", [-1, 1])
def test_a_block_of_another_length_than_it_says_is_refused(change: int):
    """Short and oversized alike, with both lengths in the message."""
    block = sample_block("GRAY8", width=8, height=8)

    with pytest.raises(DecodeError, match=rf"totalLength at byte 12 is 252, .* {252 + change} bytes"):
        FrameHeader.parse((block + b"\0")[: len(block) + change])


@pytest.mark.parametrize("value", [None, "wide", 2**31, -(2**31) - 1, 1.5, [1], math.nan])
def test_a_dict_with_an_impossible_value_is_refused(header: FrameHeader, value: object):
    """A dict comes from elsewhere and may hold anything."""
    with pytest.raises(DecodeError, match="sourceWidth at byte 88"):
        FrameHeader.from_fields(header.fields() | {"sourceWidth": value}, header.appended_frame_size)


@pytest.mark.parametrize(
    ("name", "value"), [("xScale", "big"), ("xScale", 1e39), ("cameraPortName", "x" * 65), ("cameraPortName", "€")]
)
def test_a_dict_with_an_impossible_scale_or_name_is_refused(header: FrameHeader, name: str, value: object):
    """The other types of field."""
    with pytest.raises(DecodeError, match=name):
        FrameHeader.from_fields(header.fields() | {name: value}, header.appended_frame_size)


def test_a_dict_needs_only_what_decoding_needs():
    """PyTine's dict may lack fields and have others."""
    few = {"sourceWidth": 4, "sourceHeight": 3, "bytesPerPixel": 1, "imageFormat": 0, "cameraMood": "sunny"}

    header = FrameHeader.from_fields(few, 12)

    assert (header.width, header.height, header.total_length) == (4, 3, 200)
    for name in ("sourceWidth", "sourceHeight", "bytesPerPixel", "imageFormat"):
        with pytest.raises(DecodeError, match=f"{name} .* to be in the frame header"):
            FrameHeader.from_fields({key: value for key, value in few.items() if key != name}, 12)


def test_the_largest_frame_is_allowed_and_one_row_more_is_not(header: FrameHeader):
    """The cap is on pixels."""
    width = 8192
    largest = replace(header, source_width=width, source_height=MAX_PIXELS // width, appended_frame_size=MAX_PIXELS)

    largest.check_image(MAX_PIXELS)
    with pytest.raises(DecodeError, match="pixels in all"):
        replace(largest, source_height=largest.source_height + 1).check_image(MAX_PIXELS + width)
