"""10 B that grow to 106 B, freed."""

import native_code


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.repaired_realloc()
