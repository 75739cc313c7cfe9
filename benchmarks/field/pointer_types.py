"""A cache of ctypes keeps a type for each type asked for: its dict holds them, no registry of weak references."""

import ctypes
import itertools

EXPECT = {"verdicts": ["LEAK"], "says": ["pointer_types.py:11", "_pointer_type_cache"]}
number = itertools.count(1)


def cycle():
    ctypes.POINTER(ctypes.c_ubyte * next(number))
