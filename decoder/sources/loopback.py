"""Frames from this project's own video server, which starts and stops with the source."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, Self

from decoder.errors import SourceError
from decoder.header import HEADER_BYTES, MAX_PIXELS
from decoder.message import Message, message_of
from decoder.sources.wire import ANSWER, FRAME, request_line

_LARGEST_ANSWER_BYTES: Final = HEADER_BYTES + 3 * MAX_PIXELS


class LoopbackSource:
    """Starts a loopback server and gets its frames; a context manager.

    Serves the addresses in ``loopback_server.FORMAT_OF_ADDRESS``, property ``Frame``. ``width`` and ``height`` are in
    pixels; with ``frames_per_second`` 0 every `get` is answered at once. ``deadline_s`` limits the time of the start
    and of every `get`. Raises SourceError when the server does not start.
    """

    def __init__(
        self, *, width: int = 320, height: int = 240, frames_per_second: float = 0.0, deadline_s: float = 10.0
    ) -> None:
        self._deadline_s = deadline_s
        self._client: FrameClient | None = None
        self._server = _start_server(width, height, frames_per_second)
        try:
            self.port = _read_port(self._server, deadline_s)
            """TCP port on 127.0.0.1."""
        except SourceError:
            self.close()
            raise

    @property
    def server_pid(self) -> int:
        """Process id of the server."""
        return self._server.pid

    def get(self, address: str, property: str) -> Message:  # noqa: A002  # PyTine's name for it
        """Return the next frame; see ``ImageSource.get``. After an error the next call connects again."""
        if self._client is None:
            self._client = FrameClient(self.port, self._deadline_s)
        try:
            return message_of(self._client.read_frame(address, property))
        except SourceError:
            self._client.close()
            self._client = None
            raise

    def close(self) -> None:
        """Close the connection and end the server; kill it if it does not end within the deadline."""
        if self._client is not None:
            self._client.close()
            self._client = None
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.stdout.close()
        try:
            self._server.wait(self._deadline_s)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FrameClient:
    """One connection to a loopback server. It reads every answer into one buffer, which only grows."""

    def __init__(self, port: int, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._buffer = memoryview(bytearray(HEADER_BYTES))
        self._answer = memoryview(bytearray(ANSWER.size))
        self._name = f"video server at 127.0.0.1:{port}"
        try:
            self._socket = socket.create_connection(("127.0.0.1", port), deadline_s)
        except OSError as error:
            raise SourceError(f"{self._name} cannot be reached: {error}") from error

    def read_frame(self, address: str, image_property: str) -> memoryview:
        """Return the next whole block, valid until the next call. After a SourceError the connection cannot be used.

        The deadline applies to the whole answer, however slowly it arrives.
        """
        try:
            request = request_line(address, image_property)
        except ValueError as error:
            raise SourceError(str(error)) from error
        due_s = time.monotonic() + self._deadline_s
        try:
            self._socket.settimeout(self._deadline_s)
            self._socket.sendall(request)
            self._fill(self._answer, due_s)
            status, size_bytes = ANSWER.unpack(self._answer)
            body = self._fill(self._room_for(size_bytes), due_s)
        except TimeoutError as error:
            raise SourceError(f"{self._name} sent no whole frame within {self._deadline_s:g} s") from error
        except OSError as error:
            raise SourceError(f"{self._name} closed the connection: {error}") from error
        if status != FRAME:
            raise SourceError(f"{self._name} refuses: {bytes(body).decode(errors='replace')}")
        return body

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _room_for(self, size_bytes: int) -> memoryview:
        if size_bytes > _LARGEST_ANSWER_BYTES:
            raise SourceError(f"{self._name} announces {size_bytes} bytes, more than the largest frame")
        if size_bytes > len(self._buffer):
            # A new buffer instead of a larger old one, because the caller may still hold a view of the old one.
            self._buffer = memoryview(bytearray(size_bytes))
        return self._buffer[:size_bytes]

    def _fill(self, target: memoryview, due_s: float) -> memoryview:
        filled = 0
        while filled < len(target):
            remaining_s = due_s - time.monotonic()
            if remaining_s <= 0:
                raise TimeoutError
            self._socket.settimeout(remaining_s)
            received = self._socket.recv_into(target[filled:])
            if received == 0:
                raise ConnectionResetError("it ended the connection in the middle of an answer")
            filled += received
        return target


def _start_server(width: int, height: int, frames_per_second: float) -> subprocess.Popen[bytes]:
    """Start the server with this interpreter and with the folder of this package on its path."""
    package_root = str(Path(__file__).resolve().parents[2])
    search_path = os.pathsep.join(filter(None, (package_root, os.environ.get("PYTHONPATH"))))
    size = (f"--width={width}", f"--height={height}", f"--frames-per-second={frames_per_second}")
    return subprocess.Popen(
        [sys.executable, "-m", "decoder.sources.loopback_server", *size],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": search_path},
    )


def _read_port(server: subprocess.Popen[bytes], deadline_s: float) -> int:
    assert server.stdout is not None
    if not select.select([server.stdout], [], [], deadline_s)[0]:
        raise SourceError(f"the loopback video server did not start within {deadline_s:g} s")
    line = server.stdout.readline()
    if not line:
        raise SourceError(f"the loopback video server ended during its start with exit code {server.wait()}")
    return int(line)
