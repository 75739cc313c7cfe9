"""A C function allocates 106 B per call and never frees them."""

import ctypes
import json
import subprocess
from pathlib import Path

EXPECT = {
    "verdict": "leak",
    "bytes_per_iter": 106,
    "heap_per_iter": 128,
    "where_any": ["make_buffer", "forget_buffer"],
}

SOURCE = Path(__file__).with_name("native.c")
LIBRARY = SOURCE.with_suffix(".so")
if not LIBRARY.exists():
    subprocess.run(["cc", "-g", "-O1", "-shared", "-fPIC", "-o", LIBRARY, SOURCE], check=True)
NATIVE = ctypes.CDLL(str(LIBRARY))
NATIVE.make_buffer.restype = ctypes.c_void_p
NATIVE.drop_buffer.argtypes = [ctypes.c_void_p]


def parse_message() -> object:
    return json.loads('{"frame": 7, "pixels": [1, 2, 3]}')


def forget_buffer() -> None:
    NATIVE.make_buffer(106)


def free_buffer() -> None:
    NATIVE.drop_buffer(NATIVE.make_buffer(106))


def iteration() -> None:
    parse_message()
    forget_buffer()


def repaired() -> None:
    parse_message()
    free_buffer()
