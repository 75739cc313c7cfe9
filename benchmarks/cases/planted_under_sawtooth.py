"""106 B per call are lost, under a buffer that fills to 14 MB and is emptied every 1,400 calls."""

from __future__ import annotations

import ctypes
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
BATCH: list[bytearray] = []


def collect_batch() -> None:
    BATCH.append(bytearray(10_000))
    if len(BATCH) == 1_400:
        BATCH.clear()


def forget_buffer() -> None:
    NATIVE.make_buffer(106)


def free_buffer() -> None:
    NATIVE.drop_buffer(NATIVE.make_buffer(106))


def iteration() -> None:
    collect_batch()
    forget_buffer()


def repaired() -> None:
    collect_batch()
    free_buffer()
