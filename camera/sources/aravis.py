"""GigE Vision and USB3 Vision cameras through Aravis. Without hardware: its fake camera, at 127.0.0.1."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from typing import Any

from camera.errors import SourceError
from camera.pixels import Picture
from camera.sources.protocol import Buffer, as_pixels, check_settings

FAKE_CAMERA = "arv-fake-gv-camera-0.8"
FAKE_ADDRESS = "127.0.0.1"
_CONTROL_PORT = 3956
"""Of each GigE Vision camera. A second fake camera starts although it is taken, and then gives no frame."""
LAST_ID = 0xFFFF
"""GigE Vision counts frames with 16 bits: after 65,535 comes 1; 0 is no frame."""
_LONGEST_START_S = 10.0
_TRIGGER_AGAIN_S = 0.5
"""A trigger, or a packet of the frame, may be lost."""


class AravisSource:
    """The camera at ``address``; at 127.0.0.1 it starts the fake camera, a process of its own, and ends it."""

    picture: Picture | None = None

    def __init__(
        self,
        width: int = 640,
        height: int = 540,
        *,
        fps: float = 100.0,
        buffers: int = 4,
        address: str = FAKE_ADDRESS,
        is_triggered: bool = False,
    ) -> None:
        """Open the camera. ``is_triggered``: it takes a frame when `wait` asks for one. Raises SourceError."""
        check_settings(width, height, buffers)
        self.shape = height, width
        self._aravis, self._glib = _import()
        self._server = _start_fake_camera() if address == FAKE_ADDRESS else None
        self._number = self._missed = self._last_id = 0
        self._is_triggered = is_triggered
        try:
            self._camera = self._find(address)
            self._configure(fps)
        except self._glib.Error as error:
            self._end_server()
            raise SourceError(f"aravis refuses {width}x{height} at {fps:g} fps: {error.message}") from error
        except SourceError:
            self._end_server()
            raise
        for _ in range(buffers):
            self._stream.push_buffer(self._aravis.Buffer.new_allocate(self.buffer_bytes))

    def _configure(self, fps: float) -> None:
        height, width = self.shape
        (_, widest), (_, highest) = self._camera.get_width_bounds(), self._camera.get_height_bounds()
        if width > widest or height > highest:
            raise SourceError(f"the camera has at most {widest}x{highest} pixels, not {width}x{height}")
        self._camera.set_region(0, 0, width, height)
        self._camera.set_pixel_format_from_string("Mono16")
        self._camera.set_frame_rate(fps)
        if self._is_triggered:
            self._camera.set_trigger("Software")
        self.buffer_bytes = int(self._camera.get_payload())
        self._stream = self._camera.create_stream(None, None)

    def _find(self, address: str) -> Any:
        deadline = time.monotonic() + _LONGEST_START_S
        while True:
            try:
                return self._aravis.Camera.new(address)
            except self._glib.Error as error:
                if self._server is None or time.monotonic() > deadline or self._server.poll() is not None:
                    raise SourceError(f"aravis finds no camera at {address}: {error.message}") from error
            time.sleep(0.1)

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
            self._camera.start_acquisition()
        except self._glib.Error as error:
            raise SourceError(f"the camera cannot start: {error.message}") from error

    def wait(self, timeout_s: float) -> Buffer | None:
        """See Source. A frame of which packets were lost counts as missed."""
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            if self._is_triggered:
                self._trigger()
                left_s = min(left_s, _TRIGGER_AGAIN_S)
            buffer = self._stream.timeout_pop_buffer(int(left_s * 1e6))
            if buffer is None:
                continue
            if buffer.get_status() == self._aravis.BufferStatus.SUCCESS:
                self._count(buffer.get_frame_id())
                # PyGObject copies the data; the buffer itself is not touched any more.
                return Buffer(as_pixels(buffer.get_data(), self.shape, self._number), self._number, buffer)
            self._stream.push_buffer(buffer)
        if self._server is not None and self._server.poll() is not None:
            raise SourceError("the camera is unplugged")
        return None

    def _trigger(self) -> None:
        try:
            self._camera.software_trigger()
        except self._glib.Error as error:
            raise SourceError(f"the camera does not accept a trigger: {error.message}") from error

    def _count(self, frame_id: int) -> None:
        passed = (frame_id - self._last_id) % LAST_ID if self._last_id else 1
        self._last_id = frame_id
        self._missed += passed - 1
        self._number += passed

    def requeue(self, buffer: Buffer) -> None:
        """See Source."""
        self._stream.push_buffer(buffer.handle)

    def stop(self) -> None:
        """See Source."""
        with contextlib.suppress(self._glib.Error):  # it may be gone already
            self._camera.stop_acquisition()
        self._stream = self._camera = None
        self._end_server()

    def _end_server(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait()


def _import() -> tuple[Any, Any]:
    try:
        import gi

        gi.require_version("Aravis", "0.8")
        from gi.repository import Aravis, GLib
    except (ImportError, ValueError) as error:
        raise SourceError(
            f"{sys.executable} lacks Aravis: apt-get install python3-gi gir1.2-aravis-0.8, which are for "
            "/usr/bin/python3"
        ) from error
    return Aravis, GLib


def _start_fake_camera() -> subprocess.Popen[bytes]:
    if shutil.which(FAKE_CAMERA) is None:
        raise SourceError(f"{FAKE_CAMERA} is missing: apt-get install aravis-tools")
    deadline = time.monotonic() + _LONGEST_START_S
    while _is_taken(FAKE_ADDRESS):
        if time.monotonic() > deadline:
            raise SourceError(f"another camera is at {FAKE_ADDRESS}, port {_CONTROL_PORT}: end it first")
        time.sleep(0.1)
    return subprocess.Popen([FAKE_CAMERA, "-i", FAKE_ADDRESS], stdout=subprocess.DEVNULL)


def _is_taken(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, _CONTROL_PORT))
        except OSError:
            return True
    return False
