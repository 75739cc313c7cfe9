"""Memory that grows by steps: an arena or a table of names in C, made larger by a factor when it is full."""

import native_code


def setup(function, binding="ctypes", folder=""):
    return getattr(native_code.load(binding, folder), function)


def cycle(function):
    function()
