"""The analysis: the mean of a sample of each frame's pixels."""

from __future__ import annotations

from collections.abc import Callable

from camera.consumers import Consumer
from camera.faults import Fault
from camera.inboxes import Inbox
from camera.pixels import Picture, Pixels

SAMPLE_STEP = 16
FRAMES_BEFORE_DEATH = 300
KEPT_PIXELS = 8


class Analysis(Consumer):
    """Takes each frame."""

    name = "analysis"

    def __init__(
        self, inbox: Inbox, picture: Picture | None, moved: Callable[[], None], fault: Fault = Fault.NONE
    ) -> None:
        """See Consumer."""
        super().__init__(inbox, picture, moved, fault)
        self.mean = 0.0
        """Of the newest frame, in counts."""
        self._corners: list[Pixels] = []

    def consume(self, pixels: Pixels, number: int) -> None:
        """See Consumer."""
        if self._fault is Fault.CONSUMER_DIES and self.frames == FRAMES_BEFORE_DEATH:
            raise ZeroDivisionError(f"the analysis of frame {number} failed")
        self.mean = float(pixels[::SAMPLE_STEP, ::SAMPLE_STEP].mean())
        if self._fault is Fault.VIEW_KEEPS_BUFFER:
            self._corners.append(pixels.reshape(-1)[:][:KEPT_PIXELS])  # taken for a copy of eight pixels
