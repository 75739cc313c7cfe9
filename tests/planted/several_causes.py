"""Three causes in one cycle: 106 B by malloc, a bytes object in every fourth, and an arena that is doubled."""

import native_code

KEPT = []
CALLS = [0]


def setup(binding="ctypes", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.leak_into_table()
    native.leak_into_arena()
    CALLS[0] += 1
    if CALLS[0] % 4 == 0:
        KEPT.append(bytes(167))
