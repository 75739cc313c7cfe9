"""The writer: each frame goes into the recording."""

from __future__ import annotations

import time
from collections.abc import Callable

from camera.consumers import Consumer
from camera.faults import Fault
from camera.inboxes import Inbox
from camera.pixels import Picture, Pixels
from camera.recording import Recording


class Writer(Consumer):
    """Takes each frame."""

    name = "writer"

    def __init__(
        self,
        recording: Recording,
        inbox: Inbox,
        picture: Picture | None,
        moved: Callable[[], None],
        fault: Fault = Fault.NONE,
        *,
        slowness_s: float = 0.0,
    ) -> None:
        """See Consumer. ``slowness_s``: what a slow disk adds to each frame."""
        super().__init__(inbox, picture, moved, fault)
        self._recording = recording
        self._slowness_s = slowness_s

    def consume(self, pixels: Pixels, number: int) -> None:
        """See Consumer. Raises RecordingError."""
        self._recording.add(pixels, number)
        if self._slowness_s:
            time.sleep(self._slowness_s)

    def end(self) -> None:
        """See Consumer. Raises RecordingError."""
        self._recording.close()
