"""A process that forks in each cycle, and forgets 106 B in itself after that; the child's loss ends with it."""

import os

import native_code

EXPECTED = {"kind": "native", "state": "lost", "function": "leak_malloc", "blocks": 1.0, "size": 106}


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    child = os.fork()
    if child == 0:
        native.leak_malloc()
        os._exit(0)
    os.waitpid(child, 0)
    native.leak_malloc()  # planted
