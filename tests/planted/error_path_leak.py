"""106 B that are not freed where every fourth call fails."""

import native_code

EXPECTED = {"kind": "native", "state": "lost", "function": "leak_on_error", "blocks": 0.25, "size": 106}
CYCLES = 1000


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.leak_on_error()  # planted
