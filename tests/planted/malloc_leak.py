"""106 B by malloc in each cycle that nobody frees."""

import native_code

EXPECTED = {"kind": "native", "state": "lost", "function": "leak_malloc", "blocks": 1.0, "size": 106}


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.leak_malloc()  # planted
