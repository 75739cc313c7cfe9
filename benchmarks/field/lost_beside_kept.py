"""A call loses 100 B and keeps 20,000 B: the rate is that of both, and the lost part is told as a part."""

import ctypes

EXPECT = {"verdicts": ["LEAK"], "says": ["19.7 KiB", "100 B", "lost_beside_kept.py"], "bytes_per_call": 20_133}
REPAIRED = {"verdicts": ["CLEAN", "SETTLING"]}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
kept = []


def cycle():
    libc.malloc(100)
    kept.append(bytes(20_000))


def repaired():
    libc.free(libc.malloc(100))
    kept.append(bytes(20_000))
    if len(kept) > 100:
        kept.pop(0)
