"""Bytes whose references are all dropped."""

import ctypes

import native_code


def setup(binding="extension", folder=""):
    if binding == "extension":
        return native_code.load(binding, folder).repaired_reference
    add, drop = ctypes.pythonapi.Py_IncRef, ctypes.pythonapi.Py_DecRef
    for function in (add, drop):
        function.argtypes, function.restype = (ctypes.py_object,), None

    def make():
        made = bytes(106 - 33)
        add(made)
        drop(made)

    return make


def cycle(make):
    make()
