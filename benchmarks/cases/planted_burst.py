"""One call in 1,000 loses 106,000 B, as a reconnect, a rotated log or an error path may do."""

import ctypes
import itertools
import json
import subprocess
from pathlib import Path

EXPECT = {"verdict": "leak", "bytes_per_iter": 106, "where_any": ["make_buffer", "reconnect"]}

SOURCE = Path(__file__).with_name("native.c")
LIBRARY = SOURCE.with_suffix(".so")
if not LIBRARY.exists():
    subprocess.run(["cc", "-g", "-O1", "-shared", "-fPIC", "-o", LIBRARY, SOURCE], check=True)
NATIVE = ctypes.CDLL(str(LIBRARY))
NATIVE.make_buffer.restype = ctypes.c_void_p
NATIVE.drop_buffer.argtypes = [ctypes.c_void_p]
CALLS = itertools.count(1)


def parse_message() -> object:
    return json.loads('{"frame": 7, "pixels": [1, 2, 3]}')


def reconnect() -> object:
    return NATIVE.make_buffer(106_000)


def iteration() -> None:
    parse_message()
    if next(CALLS) % 1_000 == 0:
        reconnect()


def repaired() -> None:
    parse_message()
    if next(CALLS) % 1_000 == 0:
        NATIVE.drop_buffer(reconnect())
