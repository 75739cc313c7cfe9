"""The producer: takes each frame from the source, copies it once, hands the buffer back, and shares the frame."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np

from camera.errors import FrameError, SourceError
from camera.faults import FRESH_PIXELS, Fault
from camera.frames import Frame, Pool
from camera.inboxes import Inbox
from camera.sources.protocol import Buffer, Source

WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
"""A camera that is asked for frames and gives none for this long counts as unplugged."""


class Producer:
    """Feeds the inboxes of all consumers."""

    name = "producer"

    def __init__(
        self,
        source: Source,
        inboxes: Sequence[Inbox],
        pool: Pool,
        moved: Callable[[], None],
        *,
        on_demand: bool = False,
        limit: int = 0,
        fault: Fault = Fault.NONE,
    ) -> None:
        """Take frames as they come, or ``on_demand`` one for each `ask`; end after ``limit`` (0: never).

        ``moved`` is called after each frame.
        """
        self._source, self._inboxes, self._pool, self._moved = source, inboxes, pool, moved
        self._demand = threading.Semaphore(0) if on_demand else None
        self._fault = fault
        self._limit = limit
        self._is_stopping = False
        self.frames = 0
        """How many frames it has shared."""
        self.newest = 0
        """The number of the last one."""
        self.gaps = 0
        """Numbers that were left out between the first frame and the newest."""
        self._missed: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether it has shared as many frames as it was to."""
        return 0 < self._limit <= self.frames

    @property
    def missed(self) -> int:
        """Frames that the camera missed while somebody took them: it runs on after the last one until it is stopped."""
        return self._source.missed if self._missed is None else self._missed

    def ask(self) -> None:
        """Ask for one more frame."""
        if self._demand is not None:
            self._demand.release()

    def stop(self) -> None:
        """Let the thread end after the frame that it is at."""
        self._is_stopping = True
        self.ask()

    def run(self) -> None:
        """Do the thread's work. Raises SourceError and FrameError."""
        try:
            self._produce()
        finally:
            self._missed = self._source.missed

    def _produce(self) -> None:
        while not self._is_stopping and not self.is_complete:
            if self._demand is not None:
                self._demand.acquire()
            buffer = self._wait()
            if buffer is None:
                return
            frame = self._frame_of(buffer)
            if frame is None:
                return
            self._share(frame)

    def _wait(self) -> Buffer | None:
        for _ in range(round(LONGEST_WAIT_S / WAIT_S)):
            if self._is_stopping:
                return None
            buffer = self._source.wait(WAIT_S)
            if buffer is not None:
                return buffer
        raise SourceError(f"no frame for {LONGEST_WAIT_S:g} s: the camera is unplugged, or waits for a trigger")

    def _frame_of(self, buffer: Buffer) -> Frame | None:
        """Return the buffer's frame, and hand the buffer back; None when recording has ended."""
        if buffer.pixels.shape != self._source.shape:
            raise FrameError(f"frame {buffer.number} is {_size(buffer.pixels.shape)}, not {_size(self._source.shape)}")
        if self._fault is Fault.REQUEUE_EARLY:
            frame: Frame | None = Frame(buffer.pixels)
        elif self._fault in FRESH_PIXELS:
            frame = Frame(buffer.pixels.astype(np.uint16))
        else:
            frame = self._pool.take()
            if frame is not None:
                # Swaps the bytes where the camera's order is another.
                as_read = buffer.pixels.view(np.uint16) if self._fault is Fault.SWAP_SHARED else buffer.pixels
                np.copyto(frame.pixels, as_read)
        self._source.requeue(buffer)
        if frame is not None:
            frame.number = buffer.number
        return frame

    def _share(self, frame: Frame) -> None:
        if self.newest:
            self.gaps += frame.number - self.newest - 1
        self.newest = frame.number
        self.frames += 1
        frame.share(len(self._inboxes))
        for inbox in self._inboxes:
            inbox.put(frame)
        self._moved()


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(str(length) for length in reversed(shape))
