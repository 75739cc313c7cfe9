"""Cameras of Excelitas pco through the package pco: `Camera.record(n, mode="fifo")`, `wait_for_new_image`, `image`."""

from __future__ import annotations

from camera.errors import SourceError
from camera.pixels import BYTES_PER_PIXEL, Picture
from camera.sources.protocol import Buffer, check_settings


class PcoSource:
    """The first camera that pco finds. Its recorder keeps the ring; `image` copies a frame out of it."""

    picture: Picture | None = None

    def __init__(self, width: int = 2560, height: int = 2160, *, fps: float = 100.0, buffers: int = 4) -> None:
        """Open the camera. Raises SourceError."""
        check_settings(width, height, buffers)
        if fps <= 0:
            raise SourceError("a pco camera needs a frame rate")
        self.shape = height, width
        self.buffer_bytes = width * height * BYTES_PER_PIXEL
        self._buffers = buffers
        self._number = self._missed = self._before_first = 0
        try:
            import pco
        except ImportError as error:
            raise SourceError("the package pco is missing: pip install pco") from error
        try:
            self._camera = pco.Camera()
        except Exception as error:  # the package's own errors have no common root
            raise SourceError(f"pco has no camera: {error}") from error
        try:
            self._camera.configuration = {"roi": (1, 1, width, height), "exposure time": 0.5 / fps, "delay time": 0.0}
        except Exception as error:
            self._camera.close()
            raise SourceError(f"pco refuses {width}x{height} at {fps:g} fps: {error}") from error

    @property
    def number(self) -> int:
        """See Source."""
        return self._number

    @property
    def missed(self) -> int:
        """See Source."""
        return self._missed

    def start(self) -> None:
        """See Source."""
        self._camera.record(self._buffers, mode="fifo")

    def wait(self, timeout_s: float) -> Buffer | None:
        """See Source."""
        try:
            self._camera.wait_for_new_image(delay=True, timeout=timeout_s)
            is_recording = self._camera.recorded_image_count > 0  # the wait ends early when nothing is recorded
            pixels, about = self._camera.image(0) if is_recording else (None, {})  # in fifo mode 0 is the oldest
        except TimeoutError:
            return None
        except Exception as error:
            raise SourceError(f"pco stopped: {error}") from error
        if pixels is None:
            raise SourceError("pco stopped recording: the camera is unplugged")
        recorded = int(about["recorder image number"])
        if not self._number:
            self._before_first = recorded - 1
        number = recorded - self._before_first
        self._missed += number - self._number - 1
        self._number = number
        return Buffer(pixels, number)

    def requeue(self, buffer: Buffer) -> None:
        """See Source. The buffer is a copy already, and the recorder has its own back."""

    def stop(self) -> None:
        """See Source."""
        self._camera.stop()
        self._camera.close()
