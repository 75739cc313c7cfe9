"""A descriptor that C code opens in every cycle and never closes."""

import native_code

EXPECTED = {"kind": "file-descriptor", "function": "leak_open", "count": 1.0}
CYCLES = 400


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.leak_open()  # planted
