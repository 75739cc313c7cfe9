"""Bytes with a reference too many: whoever made them forgot to drop its own."""

import ctypes

import native_code

EXPECTED = {"kind": "lost-reference", "state": "lost", "blocks": 1.0, "size": 106}


def setup(binding="extension", folder=""):
    if binding == "extension":
        return native_code.load(binding, folder).leak_reference
    forget = ctypes.pythonapi.Py_IncRef
    forget.argtypes, forget.restype = (ctypes.py_object,), None
    return lambda: forget(bytes(106 - 33))  # planted: ctypes


def cycle(make):
    make()  # planted: extension
