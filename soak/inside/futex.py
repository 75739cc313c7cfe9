"""Wait on a word of shared memory until the other process changes it (Linux futex; elsewhere a short sleep).

A futex needs no file descriptor. So it works when a component has leaked all of them, and a component that closes
descriptors of others cannot close it.
"""

from __future__ import annotations

import ctypes
import os
import sys

from soak.inside.clock import RealTime

_SYSCALL_NUMBERS = {"x86_64": 202, "aarch64": 98}
_WAIT, _WAKE = 0, 1


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class Futex:
    """One futex. ``address``: a 32-bit word, here the low half of a word of the ring (on little-endian machines)."""

    def __init__(self, address: int) -> None:
        """Prepare all arguments, so that `wait` allocates nothing that stays."""
        self._address = ctypes.c_void_p(address)
        self._word = ctypes.c_int32.from_address(address)
        self._timeout = _Timespec()
        self._timeout_pointer = ctypes.byref(self._timeout)
        number = _SYSCALL_NUMBERS.get(os.uname().machine) if sys.platform == "linux" else None
        self._number = None if number is None or sys.byteorder != "little" else ctypes.c_long(number)
        self._syscall = ctypes.CDLL(None).syscall

    def wait(self, seen: int, timeout_s: float) -> None:
        """Return when the word differs from ``seen``, or after ``timeout_s``, or sometimes without a reason."""
        if self._word.value != seen & 0x7FFFFFFF:
            return
        if self._number is None:
            RealTime.sleep(min(timeout_s, 0.001))
            return
        self._timeout.seconds = int(timeout_s)
        self._timeout.nanoseconds = int((timeout_s % 1) * 1e9)
        self._syscall(self._number, self._address, _WAIT, ctypes.c_int32(seen), self._timeout_pointer, None, 0)

    def wake(self) -> None:
        """Wake the process that waits on the word."""
        if self._number is not None:
            self._syscall(self._number, self._address, _WAKE, 1, None, None, 0)
