"""An array of 106 characters by operator new, deleted."""

import native_code


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.repaired_new()
