"""A descriptor that C code opens in every cycle and closes."""

import native_code


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.repaired_open()
