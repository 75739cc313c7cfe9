"""Frames broken at random: a DecodeError or an array of the header's shape, never anything else; and nothing grows."""

from __future__ import annotations

import ctypes
import gc
import sys
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoder.conversion import to_array
from decoder.decoder import Decoder
from decoder.decompressor import Decompressor
from decoder.encoder import VideoFormat
from decoder.errors import DecodeError
from decoder.header import HEADER_BYTES, TABLE, FrameHeader
from decoder.message import message_of, tonumpy
from decoder.sample_frames import sample_block

BLOCKS = [sample_block(video_format, width=24, height=16) for video_format in VideoFormat]
SHARED_DECODER = Decoder()


@st.composite
def mutated(draw: st.DrawFn, start: int = 0) -> bytes:
    """Draw a block with some bytes replaced from ``start`` on, perhaps cut or lengthened."""
    block = bytearray(draw(st.sampled_from(BLOCKS)))
    for _ in range(draw(st.integers(0, 6))):
        block[draw(st.integers(start, len(block) - 1))] = draw(st.integers(0, 255))
    if draw(st.integers(0, 9)) == 0:
        block = block[: draw(st.integers(0, len(block)))] + draw(st.binary(max_size=8))
    return bytes(block)


@given(mutated())
@settings(max_examples=400)
def test_a_mutated_block_is_refused_or_decoded_to_the_shape_of_its_header(block: bytes):
    """By a decoder that has seen all the others."""
    try:
        array = to_array(SHARED_DECODER.decode(block))
    except DecodeError:
        return
    header = FrameHeader.parse(block)
    assert array.shape[:2] == (header.height, header.width)


@given(mutated(start=HEADER_BYTES))
@settings(max_examples=300)
def test_a_mutated_jpeg_is_refused_or_decompressed(block: bytes):
    """A bare JPEG without a frame header."""
    try:
        to_array(Decompressor().decompress(block[HEADER_BYTES:]))
    except DecodeError:
        return


FIELD_VALUES = st.one_of(
    st.none(), st.text(max_size=3), st.floats(), st.integers(-3, 70_000), st.sampled_from([2**31 - 1, 2**32 - 1])
)


@given(
    st.sampled_from(BLOCKS),
    st.dictionaries(st.sampled_from([field.name for field in TABLE.values()]), FIELD_VALUES, max_size=3),
)
@settings(max_examples=300)
def test_a_mutated_message_is_refused_or_converted_to_the_shape_of_its_header(block: bytes, changes: dict[str, object]):
    """Whatever a dict can hold."""
    data = message_of(block)["data"]
    fields = {**data["frameHeader"], **changes}
    try:
        array = tonumpy({"data": {"frameHeader": fields, "imageBytes": data["imageBytes"]}})
    except DecodeError:
        return
    header = FrameHeader.from_fields(fields, len(data["imageBytes"]))
    assert array.shape[:2] == (header.height, header.width)


@pytest.mark.parametrize("video_format", VideoFormat)
def test_a_header_that_claims_65500_squared_allocates_nothing(video_format: VideoFormat):
    """Trusting the header would allocate 12 GB."""
    block = sample_block(video_format, width=24, height=16)
    header = replace(FrameHeader.parse(block), source_width=65500, source_height=65500)
    lying = header.pack() + block[HEADER_BYTES:]
    decoder = Decoder()

    tracemalloc.start()
    with pytest.raises(DecodeError, match="sourceWidth at byte 88 is 65500"):
        decoder.decode(lying)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < 100_000


class _MallocInfo(ctypes.Structure):
    """glibc's struct mallinfo2: ten sizes, of which the fifth and the eighth are what is in use."""

    _fields_ = [(f"size_{number}", ctypes.c_size_t) for number in range(10)]


def heap_bytes_and_python_blocks() -> tuple[int, int]:
    """Return what malloc has given out and how many blocks Python has, garbage collected."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _MallocInfo
    gc.collect()
    info = mallinfo2()
    return info.size_4 + info.size_7, sys.getallocatedblocks()


@pytest.mark.parametrize("video_format", VideoFormat)
def test_nothing_grows_on_the_error_path(video_format: VideoFormat):
    """500 refusals leave less than 40 blocks behind; one kept buffer or handle of each kind would be 100."""
    decoder = Decoder()
    block = sample_block(video_format, width=24, height=16)
    cut = replace(FrameHeader.parse(block), appended_frame_size=0, total_length=HEADER_BYTES).pack()
    broken = [block[:-2], block[:100], cut, block[:150] + b"\xff" * 30 + block[180:], block[:-40] + bytes(40)]

    def refuse_all() -> None:
        for wrong in broken:
            try:
                decoder.decode(wrong)
            except DecodeError:
                continue

    for _ in range(40):
        refuse_all()
    grown = []
    for _ in range(3):  # the test's own process may free or allocate beside, but not each time
        heap_before, blocks_before = heap_bytes_and_python_blocks()
        for _ in range(100):
            refuse_all()
        heap_after, blocks_after = heap_bytes_and_python_blocks()
        grown.append((blocks_after - blocks_before, heap_after - heap_before))

    assert min(blocks for blocks, _ in grown) < 40
    assert min(heap for _, heap in grown) < 4000
