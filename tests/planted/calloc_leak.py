"""53 times two bytes by calloc that nobody frees."""

import native_code

EXPECTED = {"kind": "native", "state": "lost", "function": "leak_calloc", "blocks": 1.0, "size": 106}


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.leak_calloc()  # planted
