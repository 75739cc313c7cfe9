"""Plant a leak of known size after a cycle: the proof that a run could see one.

Each maker takes a size (bytes; for ``fd`` and ``thread`` how many) and returns a function that leaks once per call.
"""

import ctypes
import gc
import os
import sys

_SLOTS = 131072


def _native(size):
    malloc = ctypes.CDLL(None).malloc
    malloc.restype = ctypes.c_void_p
    malloc.argtypes = (ctypes.c_size_t,)
    memset = ctypes.memset

    def leak():
        memset(malloc(size), 1, size)

    return leak


def _maker_of_objects(size):
    """Return a function that makes one Python object of ``size`` bytes in one block (16 at least, or 34 and more)."""
    payload = size - sys.getsizeof(b"")
    if payload < 1:
        return object
    return lambda: bytes(payload)


def _object(size):
    make = _maker_of_objects(size)
    # Slots made beforehand: a list that grows would leak memory of its own beside the object.
    slots = [None] * _SLOTS
    held = [slots, 0]

    def leak():
        if held[1] == _SLOTS:
            held[:] = [[held[0]] + [None] * _SLOTS, 1]
        held[0][held[1]] = make()
        held[1] += 1

    return leak


def _cycle(size):
    gc.disable()
    payload = size - sys.getsizeof([None, None])
    make = _maker_of_objects(payload) if payload >= sys.getsizeof(b" ") else None

    def leak():
        cell = [None, make and make()]
        cell[0] = cell

    return leak


def _lost_reference(size):
    forget = ctypes.pythonapi.Py_IncRef
    forget.argtypes = (ctypes.py_object,)
    forget.restype = None
    make = _maker_of_objects(size)

    def leak():
        forget(make())

    return leak


def _fd(count):
    def leak():
        for _ in range(count):
            os.open(os.devnull, os.O_RDONLY)

    return leak


def _thread(count):
    import _thread

    never = _thread.allocate_lock()
    never.acquire()

    def leak():
        for _ in range(count):
            _thread.start_new_thread(never.acquire, ())

    return leak


def _mmap(size):
    library = ctypes.CDLL(None)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    read_write, private_anonymous = 0x1 | 0x2, 0x2 | 0x20

    def leak():
        ctypes.memset(library.mmap(None, size, read_write, private_anonymous, -1, 0), 1, size)

    return leak


MAKERS = {
    "native": _native,
    "object": _object,
    "cycle": _cycle,
    "fd": _fd,
    "thread": _thread,
    "mmap": _mmap,
    "lost-reference": _lost_reference,
}


def make_leak(kind, size):
    """Return a function that plants one leak of ``kind`` (a key of MAKERS) and ``size`` per call."""
    return MAKERS[kind](size)
