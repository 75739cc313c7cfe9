"""C code lacks a Py_DECREF: per call, one object of 106 B to which nothing points any more."""

import ctypes
import json

EXPECT = {
    "verdict": "leak",
    "bytes_per_iter": 106,
    "heap_per_iter": 112,
    "malloc_per_iter": 128,
    "where_any": ["make_pixels"],
}

ADD_REFERENCE = ctypes.pythonapi.Py_IncRef
ADD_REFERENCE.argtypes = [ctypes.py_object]


def parse_message() -> object:
    return json.loads('{"frame": 7, "pixels": [1, 2, 3]}')


def make_pixels() -> bytes:
    return bytes(bytearray(73))


def iteration() -> None:
    parse_message()
    ADD_REFERENCE(make_pixels())


def repaired() -> None:
    parse_message()
    make_pixels()
