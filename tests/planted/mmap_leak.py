"""A page by mmap in each cycle that nobody unmaps."""

import native_code

EXPECTED = {"kind": "mapping", "function": "leak_mmap", "blocks": 1.0, "size": 4096}


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.leak_mmap()  # planted
