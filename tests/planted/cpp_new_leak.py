"""An array of 106 characters by operator new that nobody deletes."""

import native_code

EXPECTED = {"kind": "native", "state": "lost", "function": "leak_new", "blocks": 1.0, "size": 106}


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.leak_new()  # planted
