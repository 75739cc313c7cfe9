"""The loopback video server and its client: every format, pace, deadlines, and nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from decoder.acquisition import get_image, open_source
from decoder.encoder import VideoFormat
from decoder.errors import DecodeError, SourceError
from decoder.message import tonumpy
from decoder.sample_frames import sample_block
from decoder.sources.loopback import FrameClient, LoopbackSource
from decoder.sources.loopback_server import FORMAT_OF_ADDRESS, PICTURES
from decoder.sources.wire import ANSWER, FRAME, request_line

SLIDES = ["/DESY2/D2JPEG.Webcam/Output", "/DESY2/D2GRAB.Webcam/Output", "/TEST/Z41L.R2J/Output"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def source() -> Iterator[LoopbackSource]:
    with LoopbackSource(width=48, height=32) as opened:
        yield opened


@contextmanager
def a_server_that_answers(answer: bytes, then_close: bool = False) -> Iterator[int]:
    """Yield the port of a server that sends ``answer`` to its first request and nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer)
                if not then_close:
                    done.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        done.set()
        thread.join()


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def ends_soon(pid: int) -> bool:
    for _ in range(500):
        if has_ended(pid):
            return True
        time.sleep(0.01)
    return False


def test_the_slides_addresses_and_every_format_are_served():
    """Three addresses from the slides, one more for each format."""
    assert set(SLIDES) < set(FORMAT_OF_ADDRESS)
    assert set(VideoFormat) == set(FORMAT_OF_ADDRESS.values())


@pytest.mark.parametrize("address", FORMAT_OF_ADDRESS)
def test_a_frame_is_what_the_film_shows(source: LoopbackSource, address: str):
    """Of the size asked for; its number says which picture of the film."""
    message = get_image(address, "Frame", source=source)

    number = message["data"]["frameHeader"]["frameNumber"] % PICTURES
    block = sample_block(FORMAT_OF_ADDRESS[address], number=number, width=48, height=32)
    assert block[188:] == message["data"]["imageBytes"]
    assert tonumpy(message).shape[:2] == (32, 48)
    assert message["status"] == 0
    assert abs(message["timestamp"] - time.time()) < 60


def test_frames_are_numbered_and_stay_valid(source: LoopbackSource):
    """The client's buffer is reused, the messages' bytes are their own."""
    messages = [source.get(SLIDES[1], "Frame") for _ in range(5)]

    numbers = [message["data"]["frameHeader"]["frameNumber"] for message in messages]
    assert list(range(numbers[0], numbers[0] + 5)) == numbers
    for message in messages:
        number = message["data"]["frameHeader"]["frameNumber"] % PICTURES
        expected = sample_block("GRAY8", number=number, width=48, height=32)[188:]
        assert np.array_equal(np.frombuffer(expected, np.uint8), tonumpy(message).ravel())


@pytest.mark.parametrize(
    ("address", "image_property"),
    [("/NO/SUCH/PLACE", "Frame"), (SLIDES[0], "Sound"), ("a\tb", "Frame"), ("x" * 2000, "")],
)
def test_what_is_not_served_is_refused_and_the_next_get_works(
    source: LoopbackSource, address: str, image_property: str
):
    """The source still works after a refusal."""
    with pytest.raises(SourceError, match=r"no |cannot request"):
        source.get(address, image_property)

    assert tonumpy(source.get(SLIDES[0], "Frame")).shape == (32, 48, 3)


def test_the_frame_rate_is_held():
    """Eleven frames at 100 a second cannot take less than a tenth of a second."""
    with LoopbackSource(width=16, height=16, frames_per_second=100) as source:
        source.get(SLIDES[0], "Frame")
        start_s = time.monotonic()
        for _ in range(11):
            source.get(SLIDES[0], "Frame")

        assert time.monotonic() - start_s >= 0.1


def test_only_the_loopback_interface_listens(source: LoopbackSource):
    """Nobody else on the network sees the server."""
    listening = [
        connection.laddr
        for connection in psutil.Process(source.server_pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert [("127.0.0.1", source.port)] == listening


def test_closing_ends_the_server_and_leaves_no_descriptor():
    """Also when closed twice."""
    descriptors_before = psutil.Process().num_fds()
    source = LoopbackSource(width=16, height=16)
    source.get(SLIDES[0], "Frame")

    source.close()
    source.close()

    assert has_ended(source.server_pid)
    assert descriptors_before == psutil.Process().num_fds()


def test_the_server_ends_when_its_parent_is_killed():
    """With SIGKILL the parent cannot clean up."""
    program = (
        "from decoder.sources.loopback import LoopbackSource\n"
        "source = LoopbackSource(width=16, height=16)\n"
        "source.get('/TEST/Z41L.R2J/Output', 'Frame')\n"
        "print(source.server_pid, flush=True)\n"
        "input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        server_pid = int(parent.stdout.readline())
        assert not has_ended(server_pid)

        parent.send_signal(signal.SIGKILL)

    assert ends_soon(server_pid)


def test_the_default_source_of_get_image_ends_with_the_process():
    """A script of two lines needs no clean-up, and says nothing on stderr."""
    program = (
        "import psutil\n"
        "from decoder import get_image, tonumpy\n"
        "print(tonumpy(get_image('/DESY2/D2JPEG.Webcam/Output', 'Frame')).shape)\n"
        "print(psutil.Process().children()[0].pid)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    shape, server_pid = done.stdout.splitlines()
    assert (shape, done.stderr) == ("(240, 320, 3)", "")
    assert has_ended(int(server_pid))


def test_a_dead_server_is_a_source_error():
    """With its address, within the deadline."""
    with LoopbackSource(width=16, height=16) as source:
        source.get(SLIDES[0], "Frame")
        os.kill(source.server_pid, signal.SIGKILL)
        assert ends_soon(source.server_pid)

        with pytest.raises(SourceError, match=f"127.0.0.1:{source.port} closed the connection"):
            source.get(SLIDES[0], "Frame")
        with pytest.raises(SourceError, match=r"cannot be reached|closed the connection"):
            source.get(SLIDES[0], "Frame")


def test_a_server_that_cannot_start_is_a_source_error():
    """Its own message is on stderr; its exit code is in the error."""
    with pytest.raises(SourceError, match="ended during its start with exit code 2"):
        LoopbackSource(width="wide")  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    ("answer", "then_close", "complaint"),
    [
        (b"", False, "no whole frame within 0.2 s"),
        (ANSWER.pack(FRAME, 500) + bytes(100), False, "no whole frame within 0.2 s"),
        (ANSWER.pack(FRAME, 500) + bytes(100), True, "in the middle of an answer"),
        (ANSWER.pack(FRAME, 2**32 - 1), False, "more than the largest frame"),
    ],
)
def test_a_server_that_stalls_or_lies_is_a_source_error(answer: bytes, then_close: bool, complaint: str):
    """Before anything large is allocated."""
    with a_server_that_answers(answer, then_close) as port:
        client = FrameClient(port, deadline_s=0.2)
        with pytest.raises(SourceError, match=complaint):
            client.read_frame(SLIDES[0], "Frame")
        client.close()


def test_an_answer_that_is_no_frame_is_a_decode_error(source: LoopbackSource, monkeypatch: pytest.MonkeyPatch):
    """The transport worked, the content did not."""
    monkeypatch.setattr(FrameClient, "read_frame", lambda *_: memoryview(b"no frame"))

    with pytest.raises(DecodeError, match="8 bytes"):
        source.get(SLIDES[0], "Frame")


def test_the_client_reads_into_one_buffer(source: LoopbackSource):
    """Which only grows, and not while a view of it is held."""
    client = FrameClient(source.port, deadline_s=10)
    small = client.read_frame(SLIDES[0], "Frame")
    large = client.read_frame("/LOOPBACK/RGB24/Output", "Frame")
    again = client.read_frame("/LOOPBACK/RGB24/Output", "Frame")
    client.close()

    assert small.obj is not large.obj
    assert again.obj is large.obj


def test_a_request_is_one_line():
    """Names that would break the line are refused before they are sent."""
    assert request_line("/A/B/C", "Frame") == b"/A/B/C\tFrame\n"
    for wrong in ("a\nb", "a\tb"):
        with pytest.raises(ValueError, match="cannot request"):
            request_line(wrong, "Frame")


def test_an_unknown_source_is_named():
    """With the names there are."""
    with pytest.raises(SourceError, match="loopback, pytine or recording:PATH"):
        open_source("carrier pigeon")
