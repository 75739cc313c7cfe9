"""A list that is never emptied gets one object of 106 B per call; its own table adds about 8 B."""

from __future__ import annotations

import json

EXPECT = {
    "verdict": "leak",
    "bytes_per_iter": 114,
    "heap_per_iter": 120,
    "malloc_per_iter": 136,
    "where_any": ["make_pixels"],
}

SEEN: list[bytes] = []


def parse_message() -> object:
    return json.loads('{"frame": 7, "pixels": [1, 2, 3]}')


def make_pixels() -> bytes:
    return bytes(bytearray(73))


def iteration() -> None:
    parse_message()
    SEEN.append(make_pixels())


def repaired() -> None:
    parse_message()
    SEEN.append(make_pixels())
    SEEN.clear()
