"""A small video server on 127.0.0.1, in a process of its own: ``python -m decoder.sources.loopback_server``.

It prints its port and serves until its standard input closes. The pipe closes even when the parent dies by SIGKILL, so
the server always ends with its parent.
"""

from __future__ import annotations

import argparse
import os
import signal
import socketserver
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from decoder.encoder import VideoFormat, encode_frame
from decoder.header import FrameHeader
from decoder.sample_frames import draw_picture
from decoder.sources.wire import ANSWER, FRAME, LONGEST_REQUEST_BYTES, REFUSAL

FORMAT_OF_ADDRESS: Final[Mapping[str, VideoFormat]] = MappingProxyType(
    {
        "/DESY2/D2JPEG.Webcam/Output": VideoFormat.JPEG_RGB24,
        "/DESY2/D2GRAB.Webcam/Output": VideoFormat.GRAY8,
        "/TEST/Z41L.R2J/Output": VideoFormat.JPEG_GRAY8,
    }
    | {f"/LOOPBACK/{video_format}/Output": video_format for video_format in VideoFormat}
)
PROPERTY: Final = "Frame"
PICTURES: Final = 8
"""The length of the film. After the last picture it starts again, with new frame numbers."""


class VideoServer(socketserver.ThreadingTCPServer):
    """Serves the film on an ephemeral port of 127.0.0.1; every client starts at the first frame."""

    daemon_threads = True
    disable_nagle_algorithm = True

    def __init__(self, width: int, height: int, frames_per_second: float) -> None:
        self.width = width
        self.height = height
        self.frame_period_s = 1 / frames_per_second if frames_per_second > 0 else 0.0
        self.film = lru_cache(maxsize=PICTURES * len(VideoFormat))(self._shoot)
        super().__init__(("127.0.0.1", 0), _Client)

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self.server_address[1])

    def _shoot(self, video_format: VideoFormat, number: int) -> tuple[FrameHeader, bytes]:
        header, image = encode_frame(draw_picture(number, self.width, self.height), video_format)
        return replace(header, camera_port_name="loopback"), image


class _Client(socketserver.StreamRequestHandler):
    server: VideoServer
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Answer requests until the client closes the connection."""
        with suppress(ConnectionError):
            self._send_film()

    def _send_film(self) -> None:
        """Answer each request with the next frame, when it is due, or at once when flat out."""
        number = 0
        due_s = time.monotonic()
        while request := self.rfile.readline(LONGEST_REQUEST_BYTES):
            address, _, image_property = request.decode(errors="replace").rstrip("\n").partition("\t")
            video_format = FORMAT_OF_ADDRESS.get(address)
            if video_format is None or image_property != PROPERTY:
                self._answer(REFUSAL, f"no {image_property!r} at {address!r}".encode())
                continue
            due_s = self._wait_until(due_s + self.server.frame_period_s)
            header, image = self.server.film(video_format, number % PICTURES)
            seconds, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
            stamped = replace(
                header, timestamp_seconds=seconds, timestamp_microseconds=microseconds, frame_number=number % 2**32
            )
            self._answer(FRAME, stamped.pack(), image)
            number += 1

    @staticmethod
    def _wait_until(due_s: float) -> float:
        """Sleep until ``due_s`` and return it. If it is past, return now: missed frames are not sent later."""
        if (wait_s := due_s - time.monotonic()) > 0:
            time.sleep(wait_s)
            return due_s
        return due_s - wait_s

    def _answer(self, status: int, *parts: bytes) -> None:
        self.wfile.write(b"".join((ANSWER.pack(status, sum(map(len, parts))), *parts)))


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=320, help="pixels")
    parser.add_argument("--height", type=int, default=240, help="pixels")
    parser.add_argument("--frames-per-second", type=float, default=0.0, help="0 = flat out")
    options = parser.parse_args()
    # Ctrl-C goes to the whole foreground process group, but the parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with VideoServer(options.width, options.height, options.frames_per_second) as server:
        threading.Thread(target=_exit_when_parent_is_gone, daemon=True).start()
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        server.serve_forever()


def _exit_when_parent_is_gone() -> None:
    while os.read(sys.stdin.fileno(), 64):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
