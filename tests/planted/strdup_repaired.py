"""A copy of a text of 105 characters, freed."""

import native_code


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.repaired_strdup()
