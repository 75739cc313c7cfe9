"""Frames in all formats -> pixels -> arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from decoder.conversion import clear_insignificant_bits, to_array
from decoder.decoder import Decoder
from decoder.encoder import VideoFormat, encode_frame
from decoder.errors import DecodeError
from decoder.header import HEADER_BYTES, FrameHeader
from decoder.pixels import Pixels
from decoder.sample_frames import draw_picture, sample_block

WIDTH, HEIGHT = 50, 30
PICTURE = draw_picture(1, WIDTH, HEIGHT)
GREEN = PICTURE[..., 1]
RAW_ARRAYS = {
    VideoFormat.GRAY8: GREEN,
    VideoFormat.GRAY16: GREEN.astype(np.uint16) * 16,
    VideoFormat.GRAY16_BIG_ENDIAN: GREEN.astype(np.uint16) * 16,
    VideoFormat.RGB24: PICTURE,
}


def block_of(video_format: VideoFormat) -> bytes:
    return sample_block(video_format, number=1, width=WIDTH, height=HEIGHT)


@pytest.mark.parametrize("video_format", RAW_ARRAYS)
def test_raw_formats_arrive_pixel_for_pixel(video_format: VideoFormat):
    """In native byte order, whatever order they were sent in."""
    array = to_array(Decoder().decode(block_of(video_format)))

    expected = RAW_ARRAYS[video_format]
    assert (expected.shape, expected.dtype) == (array.shape, array.dtype)
    assert array.dtype.isnative
    assert np.array_equal(expected, array)


@pytest.mark.parametrize(("video_format", "expected"), [("JPEG-RGB24", PICTURE), ("JPEG-GRAY8", GREEN)])
def test_jpeg_formats_arrive_close_to_what_was_sent(video_format: VideoFormat, expected):
    """JPEG loses a little."""
    array = to_array(Decoder().decode(block_of(video_format)))

    assert (expected.shape, expected.dtype) == (array.shape, array.dtype)
    assert np.abs(array.astype(int) - expected).mean() < 8


@pytest.mark.parametrize("video_format", [VideoFormat.GRAY8, VideoFormat.GRAY16, VideoFormat.RGB24])
def test_native_raw_formats_are_views_without_a_copy(video_format: VideoFormat):
    """Writing into the block shows in the array."""
    block = bytearray(block_of(video_format))
    array = to_array(Decoder().decode(block))

    block[HEADER_BYTES:] = bytes(len(block) - HEADER_BYTES)

    assert not array.any()


def test_a_raw_view_of_bytes_cannot_be_written_to():
    """Bytes are immutable, and so is their view."""
    assert not to_array(Decoder().decode(block_of(VideoFormat.RGB24))).flags.writeable


def test_foreign_byte_order_is_copied():
    """The one raw format that has to be."""
    block = bytearray(block_of(VideoFormat.GRAY16_BIG_ENDIAN))
    array = to_array(Decoder().decode(block))

    block[HEADER_BYTES:] = bytes(len(block) - HEADER_BYTES)

    assert np.array_equal(RAW_ARRAYS[VideoFormat.GRAY16_BIG_ENDIAN], array)


def test_colour_without_the_little_endian_flag_is_sent_as_blue_green_red():
    """The array has the order R, G, B and is still a view."""
    header, image = encode_frame(PICTURE[..., ::-1], VideoFormat.RGB24)

    array = to_array(Decoder().decode_image(replace(header, image_flags=0), image))

    assert np.array_equal(PICTURE, array)
    assert array.base is not None


@pytest.mark.parametrize("video_format", VideoFormat)
def test_an_area_of_interest_is_the_image(video_format: VideoFormat):
    """The source's size is then the size of the sensor."""
    header, image = encode_frame(PICTURE, video_format)
    sensor = {"source_width": 640, "source_height": 480, "x_start": 590, "y_start": 450}

    pixels = Decoder().decode_image(replace(header, aoi_width=WIDTH, aoi_height=HEIGHT, **sensor), image)

    assert pixels.shape[:2] == (HEIGHT, WIDTH)


def test_a_decoder_goes_from_format_to_format():
    """Reused buffers do not mix frames up."""
    decoder = Decoder()
    for video_format in (*VideoFormat, *reversed(VideoFormat)):
        block = block_of(video_format)

        array = to_array(decoder.decode(block))

        assert np.array_equal(to_array(Decoder().decode(block)), array)


def test_bits_that_do_not_count_are_passed_on_and_cleared_on_request():
    """Clearing needs a copy, so the caller chooses; if all bits are significant, nothing is copied."""
    image = np.array([[0xF123, 0x0FFF]], np.uint16)
    header = FrameHeader(
        source_width=2, source_height=1, bytes_per_pixel=2, image_format=0, appended_frame_size=4,
        effective_bits_per_pixel=12,
    )  # fmt: skip

    array = to_array(Decoder().decode_image(header, image.astype("<u2").tobytes()))

    assert array.tolist() == [[0xF123, 0x0FFF]]
    assert clear_insignificant_bits(array, header.effective_bits_per_pixel).tolist() == [[0x123, 0xFFF]]
    assert clear_insignificant_bits(array, 12).dtype == np.uint16
    for bits in (-1, 0, 16):
        assert clear_insignificant_bits(array, bits) is array
    assert clear_insignificant_bits(PICTURE, 8) is PICTURE


@pytest.mark.parametrize(
    "pixels",
    [
        Pixels(memoryview(b"abc"), (2, 2)),
        Pixels(memoryview(b"abcd"), (2, 2), "<u2"),
        Pixels(memoryview(b"abcd"), (1, 1, 3)),
        Pixels(memoryview(b""), (0, 5)),
    ],
)
def test_pixels_that_do_not_fill_their_shape_are_refused(pixels: Pixels):
    """Instead of an array of another shape."""
    with pytest.raises(DecodeError, match="pixels is"):
        to_array(pixels)


def test_the_image_length_is_checked_when_it_comes_apart_from_its_header():
    """For raw and compressed images alike."""
    for video_format in VideoFormat:
        header, image = encode_frame(PICTURE, video_format)
        with pytest.raises(DecodeError, match="appendedFrameSize"):
            Decoder().decode_image(header, image + b"\0")
