"""Frames, and the pool that their memory comes from and goes back to."""

from __future__ import annotations

import threading

import numpy as np

from camera.pixels import Pixels


class Frame:
    """The pixels of one frame. They are given back when the last of its users has released it."""

    __slots__ = ("_lock", "_pool", "_users", "number", "pixels")

    def __init__(self, pixels: Pixels, pool: Pool | None = None) -> None:
        """Wrap ``pixels``; without a pool they are freed after use."""
        self.pixels = pixels
        self.number = 0
        self._pool = pool
        self._users = 0
        self._lock = threading.Lock()

    def share(self, users: int) -> None:
        """Say how many will release it."""
        self._users = users

    def release(self) -> None:
        """Say that one user needs the pixels no longer."""
        with self._lock:
            self._users -= 1
            is_free = self._users == 0
        if is_free and self._pool is not None:
            self._pool.give_back(self)


class Pool:
    """A fixed number of frames, allocated once."""

    def __init__(self, frames: int, shape: tuple[int, int]) -> None:
        """Allocate ``frames`` frames of shape (height, width)."""
        self._free = [Frame(np.zeros(shape, np.uint16), self) for _ in range(frames)]
        self._changed = threading.Condition()
        self._is_closed = False

    def take(self) -> Frame | None:
        """Wait for a free frame; return None when the pool is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._free or self._is_closed)
            return None if self._is_closed else self._free.pop()

    def give_back(self, frame: Frame) -> None:
        """Make a frame free."""
        with self._changed:
            self._free.append(frame)
            self._changed.notify()

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
