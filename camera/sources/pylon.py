"""Basler's cameras through pypylon. Without hardware its emulated camera is used: ``PYLON_CAMEMU=1``."""

from __future__ import annotations

import os

from camera.errors import SourceError
from camera.pixels import Picture
from camera.sources.protocol import Buffer, as_pixels, check_settings

FASTEST_EMULATED_FPS = 400.0
"""Above it, the grab engine of pypylon 26.9 fails now and then by itself."""


class PylonSource:
    """The first camera that pylon finds; the emulated one where PYLON_CAMEMU is 1 or not set."""

    picture: Picture | None = None

    def __init__(self, width: int = 640, height: int = 540, *, fps: float = 100.0, buffers: int = 4) -> None:
        """Open the camera. Raises SourceError."""
        check_settings(width, height, buffers)
        self.shape = height, width
        os.environ.setdefault("PYLON_CAMEMU", "1")  # read when pylon is first loaded
        try:
            from pypylon import genicam, pylon
        except ImportError as error:
            raise SourceError("the package pypylon is missing: pip install pypylon") from error
        self._pylon, self._genicam = pylon, genicam
        self._number = self._missed = 0
        try:
            self._camera = pylon.InstantCamera(pylon.TlFactory.GetInstance().CreateFirstDevice())
            self._camera.Open()
        except genicam.GenericException as error:
            raise SourceError(f"pylon has no camera: {_first_line(error)}") from error
        try:
            self._configure(fps or FASTEST_EMULATED_FPS, buffers)
        except genicam.GenericException as error:
            self.stop()
            raise SourceError(f"pylon refuses {width}x{height} at {fps:g} fps: {_first_line(error)}") from error

    def _configure(self, fps: float, buffers: int) -> None:
        camera = self._camera
        camera.Height.Value, camera.Width.Value = self.shape
        camera.PixelFormat.Value = "Mono16"
        if camera.GetDeviceInfo().GetDeviceClass() == "BaslerCamEmu":
            camera.TestImageSelector.Value = "Testimage2"
            self.picture = Picture(per_frame=256, per_row=256, per_column=256)
            camera.AcquisitionFrameRateEnable.Value = True
            camera.AcquisitionFrameRateAbs.Value = min(fps, FASTEST_EMULATED_FPS)
            camera.ExposureTimeAbs.Value = camera.ExposureTimeAbs.Min
        else:
            camera.AcquisitionFrameRateEnable.Value = True
            camera.AcquisitionFrameRate.Value = fps
        camera.MaxNumBuffer.Value = buffers
        self.buffer_bytes = int(camera.PayloadSize.Value)

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
        try:
            self._camera.StartGrabbing(self._pylon.GrabStrategy_OneByOne)
        except self._genicam.GenericException as error:
            raise SourceError(f"the camera cannot start: {_first_line(error)}") from error

    def wait(self, timeout_s: float) -> Buffer | None:
        """See Source."""
        try:
            result = self._camera.RetrieveResult(int(timeout_s * 1000), self._pylon.TimeoutHandling_Return)
        except self._genicam.GenericException as error:
            raise SourceError(f"pylon stopped: {_first_line(error)}") from error
        if not result or not result.IsValid():
            if self._camera.IsCameraDeviceRemoved():
                raise SourceError("the camera is unplugged")
            return None
        if not result.GrabSucceeded():
            text = result.ErrorDescription
            result.Release()
            raise SourceError(f"pylon could not grab a frame: {text}")
        number = int(result.ImageNumber)  # counts from 1 at each start
        self._missed += number - self._number - 1
        self._number = number
        # A view of the SDK's own buffer, without a copy.
        return Buffer(as_pixels(result.GetMemoryView(), self.shape, number), number, result)

    def requeue(self, buffer: Buffer) -> None:
        """See Source."""
        buffer.handle.Release()

    def stop(self) -> None:
        """See Source."""
        if self._camera.IsOpen():
            self._camera.StopGrabbing()
            self._camera.Close()
        self._camera.DestroyDevice()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
