"""A list that nobody empties takes one object of 106 B a call; its own table adds about 8 B."""

import json

EXPECT = {
    "verdict": "leak",
    "bytes_per_iter": 114,
    "heap_per_iter": 120,
    "malloc_per_iter": 136,
    "where_any": ["make_pixels"],
}

SEEN = []


def parse_message():
    return json.loads('{"frame": 7, "pixels": [1, 2, 3]}')


def make_pixels():
    return bytes(bytearray(73))


def iteration():
    parse_message()
    SEEN.append(make_pixels())


def repaired():
    parse_message()
    SEEN.append(make_pixels())
    SEEN.clear()
