"""10 B that grow to 106 B and that nobody frees."""

import native_code

EXPECTED = {"kind": "native", "state": "lost", "function": "leak_realloc", "blocks": 1.0, "size": 106}


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.leak_realloc()  # planted
