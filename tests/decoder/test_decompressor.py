"""JPEG -> pixels: correct, in reused buffers, never an incomplete or an old picture."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import simplejpeg

from decoder.conversion import Image, to_array
from decoder.decompressor import Decompressor
from decoder.encoder import VideoFormat, encode_frame
from decoder.errors import DecodeError
from decoder.header import HEADER_BYTES
from decoder.sample_frames import draw_picture, sample_jpeg

WIDTH, HEIGHT = 96, 64


def claiming(jpeg: bytes, width: int, height: int) -> bytes:
    """Return the JPEG with another size in its frame marker."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + jpeg[at + 4 :]


def decompressed(decompressor: Decompressor, jpeg: bytes) -> Image:
    return to_array(decompressor.decompress(jpeg))


@pytest.mark.parametrize(("video_format", "shape"), [("JPEG-RGB24", (64, 96, 3)), ("JPEG-GRAY8", (64, 96))])
def test_the_picture_is_that_of_an_independent_call(video_format: str, shape: tuple[int, ...]):
    """Compared with simplejpeg's own array, to the last row."""
    jpeg = sample_jpeg(video_format, width=WIDTH, height=HEIGHT)

    array = decompressed(Decompressor(), jpeg)

    reference = simplejpeg.decode_jpeg(jpeg, "RGB" if len(shape) == 3 else "GRAY")
    assert array.dtype == np.uint8
    assert np.array_equal(reference.reshape(shape), array)


def test_the_last_row_is_written_also_into_a_reused_buffer():
    """A missing row would show a row of an older picture."""
    decompressor = Decompressor()
    for number in range(4):
        jpeg = sample_jpeg(number=number, width=WIDTH, height=HEIGHT)

        array = decompressed(decompressor, jpeg)

        assert np.array_equal(simplejpeg.decode_jpeg(jpeg, "RGB")[-1], array[-1])


def test_buffers_are_reused_when_they_fit():
    """The third picture lies where the first did, a smaller one too; a larger one gets a new place."""
    decompressor = Decompressor()
    addresses = [
        decompressed(decompressor, sample_jpeg(width=width, height=HEIGHT)).ctypes.data
        for width in (WIDTH, WIDTH, WIDTH, WIDTH // 2, 2 * WIDTH)
    ]

    assert addresses[0] == addresses[2]
    assert addresses[1] == addresses[3]
    assert addresses[4] not in addresses[:4]


def test_a_view_stays_valid_until_the_next_call_even_if_that_fails():
    """The returned pixels stay, because the failed picture goes to the spare buffer."""
    decompressor = Decompressor()
    good = sample_jpeg(width=WIDTH, height=HEIGHT)
    other = sample_jpeg(number=3, width=WIDTH, height=HEIGHT)
    array = decompressed(decompressor, good)
    before = array.copy()

    with pytest.raises(DecodeError):
        decompressor.decompress(other[: len(other) // 2 + 200])

    assert np.array_equal(before, array)
    assert np.array_equal(decompressed(Decompressor(), other), decompressed(decompressor, other))


@pytest.mark.parametrize("kept", [0, 1, 20, 400, -2, -40])
def test_a_cut_jpeg_is_refused(kept: int):
    """A cut at any place is an error; the rest is not filled with grey."""
    jpeg = sample_jpeg(width=WIDTH, height=HEIGHT)

    with pytest.raises(DecodeError) as caught:
        Decompressor().decompress(jpeg[:kept])

    assert (caught.value.field, caught.value.offset) == ("JPEG", 0)
    assert caught.value.value == f"{len(jpeg[:kept])} bytes"


def test_a_jpeg_that_ends_in_the_middle_is_refused():
    """An end marker in the compressed data."""
    jpeg = bytearray(sample_jpeg(width=WIDTH, height=HEIGHT))
    middle = len(jpeg) * 3 // 4
    jpeg[middle : middle + 2] = b"\xff\xd9"

    with pytest.raises(DecodeError, match="intact compressed data"):
        Decompressor().decompress(jpeg)


def test_a_flipped_bit_in_the_compressed_data_can_go_unnoticed():
    """A JPEG has no checksum. The docstring says so, and this test shows it."""
    jpeg = bytearray(sample_jpeg("JPEG-GRAY8", width=WIDTH, height=HEIGHT))
    unnoticed = 0
    for at in range(len(jpeg) - 60, len(jpeg) - 10):
        jpeg[at] ^= 1
        try:
            Decompressor().decompress(jpeg)
            unnoticed += 1
        except DecodeError:
            pass
        jpeg[at] ^= 1

    assert unnoticed > 0


@pytest.mark.parametrize("size", [(65500, 65500), (60000, 30), (4096, 4096)])
def test_a_jpeg_that_claims_too_much_allocates_nothing(size: tuple[int, int]):
    """The claimed size is larger than any frame, or larger than so few bytes can contain."""
    lying = claiming(sample_jpeg(width=16, height=16), *size)
    decompressor = Decompressor()

    tracemalloc.start()
    with pytest.raises(DecodeError) as caught:
        decompressor.decompress(lying)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (caught.value.field, caught.value.value) == ("JPEG size", f"{size[0]} x {size[1]}")
    assert peak_bytes < 100_000


def test_a_jpeg_that_contradicts_its_frame_header_is_refused_at_its_place_in_the_block():
    """In size and in components."""
    header, jpeg = encode_frame(draw_picture(0, WIDTH, HEIGHT), VideoFormat.JPEG_RGB24)

    for change, field in (({"source_width": WIDTH + 1}, "JPEG size"), ({"bytes_per_pixel": 1}, "JPEG components")):
        with pytest.raises(DecodeError) as caught:
            Decompressor().decompress(jpeg, replace(header, **change))
        assert (caught.value.field, caught.value.offset) == (field, HEADER_BYTES)


def test_a_jpeg_of_four_components_is_refused():
    """Neither gray nor colour as the format knows it."""
    cmyk = simplejpeg.encode_jpeg(np.zeros((16, 16, 4), np.uint8), 85, "CMYK", "444")

    with pytest.raises(DecodeError, match="JPEG colour space"):
        Decompressor().decompress(cmyk)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)])
def test_any_holder_of_bytes_is_taken(kind):
    """Without a copy on the way."""
    jpeg = sample_jpeg(width=WIDTH, height=HEIGHT)

    assert Decompressor().decompress(kind(jpeg)).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("wrong", [None, "text", 7, np.zeros((4, 4), np.uint8)[:, ::2]])
def test_data_that_are_not_contiguous_bytes_are_refused(wrong: object):
    """It is a DecodeError, as for all other data that are no JPEG."""
    with pytest.raises(DecodeError, match="contiguous bytes"):
        Decompressor().decompress(wrong)  # type: ignore[arg-type]  # that is the point
