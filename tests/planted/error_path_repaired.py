"""106 B that are freed where every fourth call fails, too."""

import native_code


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.repaired_on_error()
