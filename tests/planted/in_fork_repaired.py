"""A process that forks in each cycle; only the child, which ends, forgets anything."""

import os

import native_code


def setup(binding="extension", folder=""):
    return native_code.load(binding, folder)


def cycle(native):
    child = os.fork()
    if child == 0:
        native.leak_malloc()
        os._exit(0)
    os.waitpid(child, 0)
    native.repaired_malloc()
