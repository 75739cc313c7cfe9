"""106 B at a multiple of 64, freed."""

import native_code


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.repaired_posix_memalign()
