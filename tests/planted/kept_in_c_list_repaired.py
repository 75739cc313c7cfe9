"""A C library whose list has one node, freed when the next one comes."""

import native_code


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.repaired_into_list()
