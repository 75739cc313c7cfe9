"""Where a consumer gets its frames: a queue with a limit, or the latest frame only."""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from camera.frames import Frame


class Inbox(Protocol):
    """Frames for one consumer."""

    def put(self, frame: Frame) -> None:
        """Add a frame; release it when the inbox is closed."""

    def get(self) -> Frame | None:
        """Wait for a frame; return None when the inbox is closed and empty."""

    def close(self) -> None:
        """Take no more frames."""


class Queue:
    """Keeps each frame; ``put`` waits while ``depth`` frames wait already."""

    def __init__(self, depth: int | None) -> None:
        """Make an empty queue; a depth of None is no limit."""
        self._depth = depth
        self._frames: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._is_closed = False

    def put(self, frame: Frame) -> None:
        """See Inbox."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room() or self._is_closed)
            if not self._is_closed:
                self._frames.append(frame)
                self._changed.notify_all()
                return
        frame.release()

    def get(self) -> Frame | None:
        """See Inbox."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._is_closed)
            if not self._frames:
                return None
            frame = self._frames.popleft()
            self._changed.notify_all()
            return frame

    def close(self) -> None:
        """See Inbox."""
        with self._changed:
            self._is_closed = True
            if self._depth is None:
                self._frames.clear()  # to work them off may take hours
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._depth is None or len(self._frames) < self._depth


class LatestFrame:
    """Keeps the latest frame only; older ones are released unseen. ``put`` never waits."""

    def __init__(self) -> None:
        """Begin without a frame."""
        self._frame: Frame | None = None
        self._changed = threading.Condition()
        self._is_closed = False

    def put(self, frame: Frame) -> None:
        """See Inbox."""
        with self._changed:
            if self._is_closed:
                dropped: Frame | None = frame
            else:
                dropped, self._frame = self._frame, frame
                self._changed.notify()
        if dropped is not None:
            dropped.release()

    def get(self) -> Frame | None:
        """See Inbox."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._is_closed)
            frame, self._frame = self._frame, None
            return frame

    def close(self) -> None:
        """See Inbox."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
