"""The names of GLib's types, where the component has loaded GLib.

Only addresses that GLib itself gives are followed: the children of each fundamental type, and theirs.
"""

from __future__ import annotations

import os

_LIBRARY = "libgobject-2.0.so.0"
_FUNDAMENTALS = range(1, 256)
_FUNDAMENTAL_SHIFT = 2


def names_of(asked: list[int]) -> dict[int, str]:
    """Return the names of those of the numbers that are GTypes; nothing if GLib is not loaded."""
    if not asked or not _is_loaded():
        return {}
    import ctypes

    glib = ctypes.CDLL(_LIBRARY, mode=os.RTLD_NOW | os.RTLD_NOLOAD)
    children_of = glib.g_type_children
    children_of.restype, children_of.argtypes = ctypes.POINTER(ctypes.c_size_t), [ctypes.c_size_t, ctypes.c_void_p]
    glib.g_type_name.restype, glib.g_type_name.argtypes = ctypes.c_char_p, [ctypes.c_size_t]
    glib.g_free.argtypes = [ctypes.c_void_p]
    wanted, names = set(asked), {}
    waiting = [number << _FUNDAMENTAL_SHIFT for number in _FUNDAMENTALS]
    count = ctypes.c_uint()
    while waiting:
        children = children_of(waiting.pop(), ctypes.byref(count))
        for number in range(count.value if children else 0):
            waiting.append(children[number])
            if children[number] in wanted:
                names[children[number]] = glib.g_type_name(children[number]).decode()
        glib.g_free(children)
    return names


def _is_loaded() -> bool:
    try:
        with open("/proc/self/maps") as maps:
            return _LIBRARY in maps.read()
    except OSError:
        return False
