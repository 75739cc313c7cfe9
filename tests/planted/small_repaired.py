"""16 B by malloc in each cycle, freed."""

import native_code


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.repaired_small()
