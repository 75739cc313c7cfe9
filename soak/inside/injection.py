"""Plant a leak of known size after a cycle, to prove that a run sees it.

Each maker takes a size (bytes; for ``fd``, ``thread`` and ``child`` a count) and returns a function. Each call of that
function leaks once.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from collections.abc import Callable

    Leak = Callable[[], None]

_SLOTS = 131072
_STACK_BYTES = 256 * 1024


def _native(size: int) -> Leak:
    malloc = ctypes.CDLL(None).malloc
    malloc.restype = ctypes.c_void_p
    malloc.argtypes = (ctypes.c_size_t,)
    memset = ctypes.memset

    def leak() -> None:
        memset(malloc(size), 1, size)

    return leak


def _maker_of_objects(size: int) -> Callable[[], object]:
    """Return a function that creates a Python object of ``size`` bytes in one block (16, or 34 and more)."""
    payload = size - sys.getsizeof(b"")
    if payload < 1:
        return object
    return lambda: bytes(payload)


def _object(size: int) -> Leak:
    make = _maker_of_objects(size)
    # All slots exist from the start, because a list that grows would leak memory in addition to the object.
    slots: list[object] = [None] * _SLOTS
    filled = [0]

    def leak() -> None:
        if filled[0] == _SLOTS:
            slots[:] = [list(slots)] + [None] * (_SLOTS - 1)
            filled[0] = 1
        slots[filled[0]] = make()
        filled[0] += 1

    return leak


def _cycle(size: int) -> Leak:
    gc.disable()
    payload = size - sys.getsizeof([None, None])
    make = _maker_of_objects(payload) if payload >= sys.getsizeof(b" ") else None

    def leak() -> None:
        cell: list[object] = [None, make and make()]
        cell[0] = cell

    return leak


def _lost_reference(size: int) -> Leak:
    forget = ctypes.pythonapi.Py_IncRef
    forget.argtypes = (ctypes.py_object,)
    forget.restype = None
    make = _maker_of_objects(size)

    def leak() -> None:
        forget(make())

    return leak


def _fd(count: int) -> Leak:
    def leak() -> None:
        for _ in range(count):
            os.open(os.devnull, os.O_RDONLY)

    return leak


def _thread(count: int) -> Leak:
    import _thread

    never = _thread.allocate_lock()
    never.acquire()

    def leak() -> None:
        # With usual stacks, the threads of the control alone would exceed a limit on the address space.
        usual = _thread.stack_size(_STACK_BYTES)
        for _ in range(count):
            _thread.start_new_thread(never.acquire, ())
        _thread.stack_size(usual)

    return leak


def _child(count: int) -> Leak:
    def leak() -> None:
        for _ in range(count):
            if os.fork() == 0:
                os._exit(0)  # no one waits for it, so it stays in the process table as a zombie

    return leak


def _mmap(size: int) -> Leak:
    library = ctypes.CDLL(None)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    read_write, private_anonymous = 0x1 | 0x2, 0x2 | 0x20

    def leak() -> None:
        ctypes.memset(library.mmap(None, size, read_write, private_anonymous, -1, 0), 1, size)

    return leak


CONTROL = (
    (16384, 256, ()),
    (16384, 256, (("native", 106, 1),)),
    (4096, 64, (("mmap", 16384, 16),)),
    (4096, 64, (("object", 106, 1), ("fd", 1, 16), ("child", 1, 64))),
    (4096, 64, (("thread", 1, 64),)),
)
"""The stretches of the control process, one after the other: cycles, cycles between two checkpoints, and what is
planted: kind, size, and cycles between two leaks. In the first nothing is, so it shows what an empty cycle reads.

Kinds that change the same signal are in different stretches: threads take Python blocks and mappings with them, and
objects an arena, which is a mapping. A distance between checkpoints is a whole number of leaks."""
CONTROL_CYCLES = sum(cycles for cycles, _, _ in CONTROL)
_FIRST_CALL = 1 << 20
"""A number of a call takes a block from 257 on: here from the first, so that no block is added in the first stretch."""


def _control(_: int) -> Leak:
    from soak.inside.counting import counters  # only the control needs it

    stretches = [
        (cycles, [(make_leak(kind, size), every) for kind, size, every in planted]) for cycles, _, planted in CONTROL
    ]
    at, calls, left = [0], [_FIRST_CALL], [stretches[0][0]]
    # The collections at 320 checkpoints would visit the interpreter's five thousand objects every time.
    counters.freeze_older_objects()

    def leak() -> None:
        if not left[0]:
            at[0] += 1
            left[0] = stretches[at[0]][0]
        left[0] -= 1
        calls[0] += 1
        for one, every in stretches[at[0]][1]:
            if calls[0] % every == 0:
                one()

    return leak


def next_control_checkpoint(done: int) -> int:
    """Return the cycle of the control process after which the next checkpoint is due."""
    end = 0
    for cycles, spacing, _ in CONTROL:
        end += cycles
        if done < end:
            return done + spacing
    return end


MAKERS = {
    "native": _native,
    "object": _object,
    "cycle": _cycle,
    "fd": _fd,
    "thread": _thread,
    "child": _child,
    "mmap": _mmap,
    "lost-reference": _lost_reference,
    "control": _control,
}


def make_leak(kind: str, size: int) -> Leak:
    """Return a function of which each call plants one leak of ``kind`` (a key of MAKERS) and ``size``."""
    return MAKERS[kind](size)
