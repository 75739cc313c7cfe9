"""106 B at a multiple of 64 that nobody frees."""

import native_code

EXPECTED = {"kind": "native", "state": "lost", "function": "leak_posix_memalign", "blocks": 1.0, "size": 106}


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.leak_posix_memalign()  # planted
