"""106 B a call are lost below a buffer that fills to 14 MB and is emptied, each 1,400 calls."""

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
BATCH = []


def collect_batch():
    BATCH.append(bytearray(10_000))
    if len(BATCH) == 1_400:
        BATCH.clear()


def forget_buffer():
    NATIVE.make_buffer(106)


def free_buffer():
    NATIVE.drop_buffer(NATIVE.make_buffer(106))


def iteration():
    collect_batch()
    forget_buffer()


def repaired():
    collect_batch()
    free_buffer()
