"""A page by mmap in each cycle, unmapped."""

import native_code


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.repaired_mmap()
