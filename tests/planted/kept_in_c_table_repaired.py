"""A C library that puts 106 B into its table and frees what was there."""

import native_code


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.repaired_into_table()
