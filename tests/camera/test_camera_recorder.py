"""The recorder: every frame reaches every consumer, and each defect of its history is named by a check."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from camera.errors import CameraError, FrameError, SourceError
from camera.faults import Fault
from camera.pixels import Picture
from camera.recorder import Recorder
from camera.sources.protocol import Buffer
from camera.sources.simulated import SimulatedSource

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler for the camera's driver")
WIDTH, HEIGHT = 16, 12


@pytest.fixture(autouse=True)
def _cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp()))


class ScriptedSource:
    """A camera with one buffer that is filled with the next frame at once when it is handed back."""

    picture: Picture | None = Picture()
    missed = 0

    def __init__(self, *shapes: tuple[int, int], is_endless: bool = True) -> None:
        self.shape = HEIGHT, WIDTH
        self.buffer_bytes = WIDTH * HEIGHT * 2
        self.number = 0
        self.is_stopped = False
        self._shapes = list(shapes)
        self._is_endless = is_endless
        self._pixels = np.zeros(self.shape, np.uint16)

    def start(self) -> None:
        self.requeue(None)

    def wait(self, timeout_s: float) -> Buffer | None:
        if not (self._shapes or self._is_endless):
            raise SourceError("the camera is unplugged")
        self.number += 1
        if self._shapes:
            return Buffer(np.zeros(self._shapes.pop(0), np.uint16), self.number)
        return Buffer(self._pixels, self.number)

    def requeue(self, buffer: Buffer | None) -> None:
        self._pixels[:] = (np.arange(HEIGHT) + self.number + 1)[:, None]

    def stop(self) -> None:
        self.is_stopped = True


@contextmanager
def recording(source: Any, fault: Fault = Fault.NONE, *, frames: int = 1) -> Iterator[Recorder]:
    """Give a recorder in a dry run, on demand, that has been asked for so many frames; stop it whatever happens."""
    recorder = Recorder(source, on_demand=True, fault=fault)
    recorder.start()
    for _ in range(frames):
        recorder.ask()
    try:
        yield recorder
    finally:
        try:
            recorder.stop()
        except CameraError:
            assert sys.exc_info()[1] is not None
        assert not any(thread.is_alive() for thread in recorder._threads.values())


def simulated(**settings: Any) -> SimulatedSource:
    return SimulatedSource(WIDTH, HEIGHT, **settings)


@pytest.mark.parametrize("big_endian", [False, True])
def test_each_frame_reaches_each_consumer_that_keeps_pace(big_endian: bool):
    with recording(simulated(big_endian=big_endian), frames=100) as recorder:
        recorder.wait_for_frames(100, 30)
        counts = recorder.statistics()

    assert (counts.frames, counts.analysed, counts.missed, counts.gaps) == (100, 100, 0, 0)
    assert 1 <= counts.previewed <= 100
    assert counts.longest_lag <= 6


def test_a_camera_that_nobody_reads_counts_what_it_misses():
    source = simulated(fps=1000.0, buffers=2)
    source.start()
    first = source.wait(10)
    while source.missed < 3:
        pass
    source.stop()

    assert first is not None
    assert first.number == source.number == 1
    assert source.missed >= 3


def test_what_a_camera_misses_after_the_last_frame_counts_for_nothing():
    source = ScriptedSource()
    recorder = Recorder(source, limit=3)
    recorder.start()
    recorder.wait_for_frames(3, 30)
    recorder._join("producer")
    source.missed = 7
    recorder.stop()

    assert (recorder.statistics().frames, recorder.statistics().missed) == (3, 0)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault.REQUEUE_EARLY, "frame 1 has pixels of frame 2: its buffer went back to the driver before its pixels"),
        (Fault.COPY_PER_CONSUMER, "works on a copy of frame 1 (384 B): each consumer copies each frame"),
    ],
)
def test_a_defect_fails_a_check_that_names_it(fault: Fault, sentence: str):
    with recording(ScriptedSource(), fault) as recorder, pytest.raises(FrameError) as caught:
        recorder.wait_for_frames(1, 30)

    assert sentence in str(caught.value)
    with recording(ScriptedSource()) as recorder:
        recorder.wait_for_frames(1, 30)


def test_bytes_that_each_consumer_swaps_in_place_are_noticed():
    with (
        recording(simulated(big_endian=True), Fault.SWAP_SHARED) as recorder,
        pytest.raises(FrameError, match="the bytes of frame 1 are swapped: another consumer swapped the shared pixels"),
    ):
        recorder.wait_for_frames(1, 30)


def test_a_consumer_that_dies_silently_is_noticed():
    with (
        recording(simulated(), Fault.CONSUMER_DIES, frames=301) as recorder,
        pytest.raises(CameraError, match="the thread of the analysis has ended after 300 frames, and no one was told"),
    ):
        recorder.wait_for_frames(301, 30)


def test_buffers_that_are_too_large_are_refused():
    source = simulated(fault=Fault.OVERSIZED_BUFFERS)
    with pytest.raises(SourceError, match=r"each buffer has 3,072 B, and a frame of 16x12 needs 384 B: .* 8 times too"):
        Recorder(source)
    source.stop()


def test_a_camera_that_is_unplugged_ends_the_recorder_in_order():
    source = simulated(buffers=2)
    with recording(source) as recorder:
        recorder.wait_for_frames(1, 30)
        source.unplug()
        for _ in range(3):  # two frames may be in the ring
            recorder.ask()
        with pytest.raises(SourceError, match="producer: the simulated camera is unplugged"):
            recorder.wait_for_frames(4, 30)


def test_a_frame_of_another_size_is_refused():
    source = ScriptedSource((HEIGHT, WIDTH + 1))
    with recording(source) as recorder, pytest.raises(FrameError, match="frame 1 is 17x12, not 16x12"):
        recorder.wait_for_frames(1, 30)
    assert source.is_stopped


def test_an_error_in_a_consumer_says_which_one(monkeypatch: pytest.MonkeyPatch):
    def divide(*_: object) -> None:
        raise ZeroDivisionError("no pixels")

    monkeypatch.setattr("camera.preview.Preview.consume", divide)
    with recording(simulated()) as recorder, pytest.raises(CameraError, match="preview: ZeroDivisionError: no pixels"):
        recorder.wait_for_frames(1, 30)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"buffers": 0}, "the ring needs at least 1 buffer, not 0"),
        ({"width": 0}, "a frame of 0x12 has no pixels"),
        ({"width": 1 << 40}, r"a ring of 4 buffers of 1099511627776x12 pixels takes .* B, more than 50% of"),
    ],
)
def test_settings_that_no_camera_has_are_refused(settings: dict[str, int], message: str):
    with pytest.raises(SourceError, match=message):
        SimulatedSource(**{"width": WIDTH, "height": HEIGHT, **settings})  # type: ignore[arg-type]


def test_a_camera_stops_between_two_frames_that_are_far_apart():
    source = SimulatedSource(WIDTH, HEIGHT, fps=0.001)
    source.start()
    stopping = threading.Thread(target=source.stop, daemon=True)

    stopping.start()

    stopping.join(timeout=60)
    assert not stopping.is_alive()
