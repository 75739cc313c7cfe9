"""Give every component data that it must refuse: the error path must not leak either."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from decoder.acquisition import get_image, open_source
from decoder.conversion import to_array
from decoder.decoder import Decoder
from decoder.decompressor import Decompressor
from decoder.errors import VideoError
from decoder.header import HEADER_BYTES, FrameHeader
from decoder.message import message_of, tonumpy
from decoder.pixels import Pixels
from decoder.sample_frames import sample_block
from decoder.sources.protocol import ImageSource

IGNORED_CHILDREN = ("loopback_server",)


@dataclass(frozen=True)
class State:
    """The source to close, and one attempt for each kind of error."""

    source: ImageSource
    attempts: list[Callable[[], object]]


def setup(*, width: int = 64, height: int = 48) -> State:
    """Make the attempts from valid frames; frame size in pixels."""
    source = open_source("loopback", width=width, height=height)
    jpeg, gray = (sample_block(name, width=width, height=height) for name in ("JPEG-RGB24", "GRAY8"))
    return State(
        source,
        [
            *_malformed_blocks(gray),
            *_malformed_jpegs(jpeg),
            *_malformed_messages(jpeg),
            lambda: to_array(Pixels(memoryview(gray), (height, width))),
            lambda: get_image("/NO/SUCH/ADDRESS", "Frame", source=source),
        ],
    )


def cycle(state: State) -> None:
    """Make every attempt once. Raises AssertionError when one is accepted."""
    for attempt in state.attempts:
        try:
            attempt()
        except VideoError:
            continue
        raise AssertionError(f"{attempt} was not refused")


def teardown(state: State) -> None:
    """Close the source, and with it its server."""
    state.source.close()


def _malformed_blocks(block: bytes) -> list[Callable[[], object]]:
    decoder = Decoder()
    header = FrameHeader.parse(block)
    image = block[HEADER_BYTES:]
    wrong = (
        {"base_tag": 1},
        {"total_length": 5},
        {"image_format": 99},
        {"bytes_per_pixel": 3},
        {"effective_bits_per_pixel": 99},
        {"source_width": 65500, "source_height": 65500},
        {"source_width": header.source_width + 1},
        {"aoi_width": header.source_width + 1},
        {"appended_frame_size": 7},
        {"frame_number": -1},
    )
    return [
        lambda: decoder.decode(block[: HEADER_BYTES - 1]),
        lambda: decoder.decode(block[:-1]),
        lambda: decoder.decode(block + b"\0"),
        lambda: decoder.decode_image(header, image[:-1]),
        *(lambda change=change: decoder.decode(replace(header, **change).pack() + image) for change in wrong),
    ]


def _malformed_jpegs(block: bytes) -> list[Callable[[], object]]:
    decompressor = Decompressor()
    header = FrameHeader.parse(block)
    jpeg = block[HEADER_BYTES:]
    frame_marker = jpeg.index(b"\xff\xc0")
    huge = jpeg[: frame_marker + 5] + b"\xff\xdc\xff\xdc" + jpeg[frame_marker + 9 :]
    middle = len(jpeg) // 2 + HEADER_BYTES
    corrupt = jpeg[:middle] + b"\xff\xd9" + jpeg[middle + 2 :]
    return [
        *(partial(decompressor.decompress, blob) for blob in (b"", jpeg[:100], jpeg[:middle], corrupt, huge)),
        lambda: decompressor.decompress(jpeg, replace(header, source_width=header.width + 1)),
        lambda: decompressor.decompress(jpeg, replace(header, bytes_per_pixel=1)),
    ]


def _malformed_messages(block: bytes) -> list[Callable[[], object]]:
    message = message_of(block)
    fields, image = message["data"]["frameHeader"], message["data"]["imageBytes"]
    wrong: list[dict[str, object]] = [
        {},
        {"imageMatrix": None},
        {"frameHeader": fields},
        {"frameHeader": {}, "imageBytes": image},
        {"frameHeader": fields | {"sourceWidth": "wide"}, "imageBytes": image},
        {"frameHeader": fields, "imageBytes": image[:-20]},
    ]
    return [partial(tonumpy, {"data": data}) for data in wrong]


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
