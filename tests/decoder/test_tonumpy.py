"""tonumpy: both shapes of what `get` returns, and arrays that stay valid."""

from __future__ import annotations

import numpy as np
import pytest

from decoder.conversion import to_array
from decoder.decoder import Decoder
from decoder.encoder import VideoFormat
from decoder.errors import DecodeError
from decoder.message import message_of, tonumpy
from decoder.sample_frames import sample_block

SIZE = {"width": 40, "height": 24}


@pytest.mark.parametrize("video_format", VideoFormat)
def test_header_and_bytes_become_the_decoded_array(video_format: VideoFormat):
    """The same pixels as by the reusing decoder."""
    block = sample_block(video_format, **SIZE)

    array = tonumpy(message_of(block))

    assert np.array_equal(to_array(Decoder().decode(block)), array)


@pytest.mark.parametrize("video_format", VideoFormat)
def test_an_array_stays_valid_whatever_is_called_later(video_format: VideoFormat):
    """Frames of the same size decoded afterwards go elsewhere."""
    first = tonumpy(message_of(sample_block(video_format, number=1, **SIZE)))
    before = first.copy()

    for number in range(2, 6):
        tonumpy(message_of(sample_block(video_format, number=number, **SIZE)))

    assert np.array_equal(before, first)


@pytest.mark.parametrize("kind", [bytearray, lambda image: memoryview(bytearray(image))])
def test_an_image_in_a_buffer_that_others_may_change_is_copied(kind):
    """A transport may read the next frame into it."""
    message = message_of(sample_block("GRAY8", **SIZE))
    buffer = kind(message["data"]["imageBytes"])
    array = tonumpy({"data": {**message["data"], "imageBytes": buffer}})
    before = array.copy()

    buffer[:] = bytes(len(buffer))

    assert np.array_equal(before, array)


def test_an_image_in_bytes_is_not_copied():
    """They cannot change, and the array keeps them alive."""
    image = message_of(sample_block("GRAY16", **SIZE))

    array = tonumpy(image)

    assert np.shares_memory(array, np.frombuffer(image["data"]["imageBytes"], np.uint8))


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2"])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_an_image_matrix_is_copied_in_native_order(dtype: str, shape: tuple[int, ...]):
    """Its maker may own the memory."""
    matrix = np.arange(np.prod(shape)).reshape(shape).astype(dtype)

    array = tonumpy({"data": {"imageMatrix": matrix}, "timestamp": 0.0, "status": 0})
    expected = matrix.tolist()
    matrix[:] = 0

    assert array.dtype.isnative
    assert expected == array.tolist()


def test_masked_clears_what_does_not_count():
    """With the header's own number of bits."""
    message = message_of(sample_block("GRAY16", **SIZE))
    noisy = bytes(byte | 0xF0 if at % 2 else byte for at, byte in enumerate(message["data"]["imageBytes"]))
    data = {**message["data"], "imageBytes": noisy}

    assert tonumpy({"data": data}).max() > 0xFFF
    assert np.array_equal(tonumpy(message), tonumpy({"data": data}, masked=True))


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (None, "data"),
        ({}, "data"),
        ({"data": b"bytes"}, "data"),
        ({"data": {}}, "data"),
        ({"data": {"imageBytes": b""}}, "data"),
        ({"data": {"frameHeader": {}}}, "data"),
        ({"data": {"frameHeader": None, "imageBytes": b""}}, "data"),
        ({"data": {"frameHeader": {}, "imageBytes": None}}, "imageBytes"),
        ({"data": {"frameHeader": {}, "imageBytes": b""}}, "sourceWidth"),
        ({"data": {"imageMatrix": [[1, 2]]}}, "imageMatrix"),
        ({"data": {"imageMatrix": np.zeros((2, 2))}}, "imageMatrix"),
        ({"data": {"imageMatrix": np.zeros((2, 2, 4), np.uint8)}}, "imageMatrix"),
        ({"data": {"imageMatrix": np.zeros((0, 2), np.uint8)}}, "imageMatrix"),
        ({"data": {"imageMatrix": np.zeros(4, np.uint8)}}, "imageMatrix"),
    ],
)
def test_data_of_neither_shape_are_refused(message, field: str):
    """Naming the part that is wrong."""
    with pytest.raises(DecodeError) as caught:
        tonumpy(message)

    assert field == caught.value.field
