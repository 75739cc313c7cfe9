"""What a consumer is: a thread's work that takes frames from an inbox."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from camera.errors import FrameError
from camera.faults import Fault
from camera.frames import Frame
from camera.inboxes import Inbox
from camera.pixels import Picture, Pixels


class Consumer(ABC):
    """Takes frames until its inbox is closed and empty."""

    name: str

    def __init__(
        self, inbox: Inbox, picture: Picture | None, moved: Callable[[], None], fault: Fault = Fault.NONE
    ) -> None:
        """Read from ``inbox``; check the pixels against ``picture``; call ``moved`` after each frame."""
        self.inbox = inbox
        self._picture = picture
        self._moved = moved
        self._fault = fault
        self.frames = 0
        """How many frames it has had."""
        self.newest = 0
        """The number of the last one."""

    def run(self) -> None:
        """Do the thread's work. Raises what goes wrong with a frame."""
        try:
            while (frame := self.inbox.get()) is not None:
                self._take(frame)
                del frame  # the next wait may be long
        finally:
            self.end()

    def _take(self, frame: Frame) -> None:
        pixels = self._pixels_of(frame)
        if self._picture is not None:
            self._picture.check(pixels, frame.number, self.name)
        if pixels is not frame.pixels:
            raise FrameError(
                f"{self.name}: works on a copy of frame {frame.number} ({pixels.nbytes:,} B): each consumer copies "
                "each frame, and one copy is enough for all"
            )
        self.consume(pixels, frame.number)
        self.frames += 1
        self.newest = frame.number
        frame.release()
        self._moved()

    def _pixels_of(self, frame: Frame) -> Pixels:
        if self._fault is Fault.SWAP_SHARED:
            return frame.pixels.byteswap(inplace=True)
        if self._fault is Fault.COPY_PER_CONSUMER:
            return frame.pixels.copy()
        return frame.pixels

    @abstractmethod
    def consume(self, pixels: Pixels, number: int) -> None:
        """Use the pixels of frame ``number``; keep nothing of them."""

    def end(self) -> None:  # noqa: B027 (not each consumer has something to end)
        """Do what is to be done after the last frame."""
