"""A copy of a text of 105 characters that nobody frees."""

import native_code

EXPECTED = {"kind": "native", "state": "lost", "function": "leak_strdup", "blocks": 1.0, "size": 106}


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.leak_strdup()  # planted
