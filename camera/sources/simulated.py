"""The simulated camera: the driver in C of `camera.driver`, which is always there."""

from __future__ import annotations

import ctypes
import os

import numpy as np
from numpy.typing import NDArray

from camera.driver.binding import IS_GONE, NO_FRAME, load
from camera.errors import SourceError
from camera.faults import Fault
from camera.pixels import BYTES_PER_PIXEL, Picture
from camera.sources.protocol import Buffer, check_settings


class SimulatedSource:
    """Takes a frame each 1/fps seconds; with ``fps=0`` whenever a buffer is empty, so that none is missed."""

    picture: Picture | None = Picture()

    def __init__(
        self,
        width: int = 640,
        height: int = 540,
        *,
        fps: float = 0.0,
        buffers: int = 4,
        big_endian: bool = False,
        fault: Fault = Fault.NONE,
    ) -> None:
        """Allocate the ring. Raises SourceError."""
        check_settings(width, height, buffers)
        self.shape = height, width
        size = width * height * BYTES_PER_PIXEL
        self.buffer_bytes = size * 8 if fault is Fault.OVERSIZED_BUFFERS else size
        self._driver = load()
        self._camera = self._driver.camera_open(width, height, buffers, self.buffer_bytes, fps, big_endian)
        if not self._camera:
            raise SourceError(f"there is no memory for {buffers} buffers of {self.buffer_bytes:,} B")
        dtype = np.dtype(">u2" if big_endian else "<u2")
        self._views = [self._view(index, size, dtype) for index in range(buffers)]
        self._number = ctypes.c_uint64()
        self._missed = 0

    def _view(self, index: int, size: int, dtype: np.dtype[np.uint16]) -> NDArray[np.uint16]:
        memory = (ctypes.c_char * size).from_address(self._driver.camera_buffer(self._camera, index))
        return np.frombuffer(memoryview(memory), dtype).reshape(self.shape)

    @property
    def number(self) -> int:
        """See Source."""
        return self._number.value

    @property
    def missed(self) -> int:
        """See Source."""
        if self._camera:
            self._missed = self._driver.camera_missed(self._camera)
        return self._missed

    def start(self) -> None:
        """See Source."""
        error = self._driver.camera_start(self._camera)
        if error:
            raise SourceError(f"the camera cannot start: {os.strerror(error)}")

    def wait(self, timeout_s: float) -> Buffer | None:
        """See Source."""
        index = self._driver.camera_wait(self._camera, timeout_s, ctypes.byref(self._number))
        if index == NO_FRAME:
            return None
        if index == IS_GONE:
            raise SourceError("the simulated camera is unplugged")
        return Buffer(self._views[index], self._number.value, index)

    def requeue(self, buffer: Buffer) -> None:
        """See Source."""
        self._driver.camera_requeue(self._camera, buffer.handle)

    def unplug(self) -> None:
        """Pull the cable."""
        self._driver.camera_unplug(self._camera)

    def stop(self) -> None:
        """See Source."""
        if self._camera:
            _ = self.missed
            self._driver.camera_close(self._camera)
            self._camera = None
            self._views.clear()
