"""A call loses 100 B and keeps an array of 20,000 B, whose data numpy asks for; 12 ms a call."""

import ctypes
import time

import numpy as np

EXPECT = {"verdicts": ["LEAK"], "says": ["19.", "100 B", "lost_beside_kept_array.py"]}
REPAIRED = {"verdicts": ["CLEAN", "SETTLING", "INCONCLUSIVE"]}
NEEDS = "numpy"
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
kept = []


def cycle():
    libc.malloc(100)
    kept.append(np.ones(20_000, "u1"))
    time.sleep(0.012)


def repaired():
    libc.free(libc.malloc(100))
    kept.append(np.ones(20_000, "u1"))
    if len(kept) > 100:
        kept.pop(0)
    time.sleep(0.012)
