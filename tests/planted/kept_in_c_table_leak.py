"""106 B a cycle that a C library puts into a table of its own."""

import native_code

EXPECTED = {
    "kind": "native",
    "state": "held",
    "holder": "table, a static variable",
    "function": "leak_into_table",
    "blocks": 1.0,
    "size": 106,
}


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    native.leak_into_table()  # planted
