"""A cache of ctypes keeps a type for each type asked for: its dict holds them, no registry of weak references."""

import ctypes
import itertools

EXPECT = {"verdicts": ["LEAK"], "says": ["pointer_types.py:12", "_pointer_type_cache"]}
REPAIRED = {"verdicts": ["CLEAN", "SETTLING"]}
number = itertools.count(1)


def cycle():
    ctypes.POINTER(ctypes.c_ubyte * next(number))


def repaired():
    ctypes.POINTER(ctypes.c_ubyte * (next(number) % 50 + 1))
