"""A node of 112 B a cycle in the linked list of a C library."""

import native_code

EXPECTED = {
    "kind": "native",
    "state": "held",
    "holder": "entries, a static variable",
    "function": "leak_into_list",
    "blocks": 1.0,
    "size": 112,
}


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.leak_into_list()  # planted
