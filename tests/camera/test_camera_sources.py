"""The sources: pylon's emulated camera and Aravis' fake camera where they are installed, pco against a fake."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from camera.errors import SourceError
from camera.sources import aravis, open_source
from camera.sources.aravis import LAST_ID, AravisSource

ROOT = Path(__file__).parents[2]
SHARED_MEMORY, SEMAPHORES = Path("/dev/shm"), "sem.*GenICam_XML"


def run(*command: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def no_semaphores_left() -> Iterator[None]:
    """Remove the semaphores that pylon makes where there are none yet: it leaves them for ever."""
    before = set(SHARED_MEMORY.glob(SEMAPHORES))
    yield
    for semaphore in set(SHARED_MEMORY.glob(SEMAPHORES)) - before:
        semaphore.unlink(missing_ok=True)


@pytest.mark.usefixtures("no_semaphores_left")
@pytest.mark.parametrize("source", ["simulated", "pylon"])
def test_the_command_records_exactly_what_it_is_asked_for(source: str, tmp_path: Path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install soak[camera]")
    if source == "pylon" and importlib.util.find_spec("pypylon") is None:
        pytest.skip("pypylon is not installed: pip install soak[camera]")
    out = tmp_path / "run.h5"

    done = run(
        *(sys.executable, "-m", "camera", "--source", source, "--out", str(out), "--frames", "20"),
        *("--buffers", "64", "--width", "64", "--height", "48"),
        tmp_path=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("20 frames, 20 written, 20 analysed, ")
    with h5py.File(out) as file:
        assert file["frames"].shape == (20, 48, 64)
        assert file["numbers"][:].tolist() == list(range(1, 21))
        assert len({frame.tobytes() for frame in file["frames"]}) == 20


def test_aravis_gives_frames_from_its_fake_camera(aravis_python: str, tmp_path: Path):
    done = run(aravis_python, "-m", "camera", "--source", "aravis", "--frames", "10", tmp_path=tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("10 frames, 0 written, 10 analysed, ")


def test_a_second_camera_at_one_address_is_refused(monkeypatch: pytest.MonkeyPatch):
    """The fake camera itself would start, and give no frame."""
    monkeypatch.setattr(aravis, "FAKE_CAMERA", "true")
    monkeypatch.setattr(aravis, "_LONGEST_START_S", 0.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
        first.bind((aravis.FAKE_ADDRESS, 0))
        monkeypatch.setattr(aravis, "_CONTROL_PORT", first.getsockname()[1])

        with pytest.raises(SourceError, match="another camera is at"):
            aravis._start_fake_camera()

    assert aravis._start_fake_camera().wait() == 0


def test_frame_numbers_of_16_bits_that_skip_0_are_counted_on():
    source = AravisSource.__new__(AravisSource)
    source._number = source._missed = source._last_id = 0  # without a camera
    numbers = []
    for frame_id in (LAST_ID - 1, LAST_ID, 1, 2, 5):
        source._count(frame_id)
        numbers.append(source.number)

    assert numbers == [1, 2, 3, 4, 7]
    assert source.missed == 2


class FakePco:
    """The interface of pco 2.6.0's Camera that the source uses; its recorder starts at any number."""

    recorded: ClassVar[list[int]] = []
    calls: ClassVar[list[object]] = []

    def __init__(self) -> None:
        self.configuration: dict[str, Any] = {}
        self.calls.clear()

    def record(self, number_of_images: int = 1, mode: str = "sequence") -> None:
        self.calls.append((number_of_images, mode, self.configuration["roi"]))

    def wait_for_new_image(self, delay: bool = True, timeout: float | None = None) -> None:
        if self.recorded and self.recorded[0] < 0:
            raise TimeoutError("no new image acquired")

    @property
    def recorded_image_count(self) -> int:
        return len(self.recorded)

    def image(self, image_index: int = 0) -> tuple[np.ndarray, dict[str, int]]:
        assert image_index == 0
        number = self.recorded.pop(0)
        return np.full((12, 16), number, np.uint16), {"recorder image number": number}

    def stop(self) -> None:
        self.calls.append("stop")

    def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def fake_pco(monkeypatch: pytest.MonkeyPatch) -> type[FakePco]:
    module = types.ModuleType("pco")
    module.Camera = FakePco  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pco", module)
    return FakePco


def test_pco_frames_come_in_order_with_gaps_counted(fake_pco: type[FakePco]):
    fake_pco.recorded[:] = [8, 9, 12]
    source = open_source("pco", width=16, height=12, buffers=4)
    source.start()
    buffers = [source.wait(1.0) for _ in range(3)]
    assert all(buffer is not None for buffer in buffers)
    assert [(b.number, int(b.pixels[0, 0])) for b in buffers if b is not None] == [(1, 8), (2, 9), (5, 12)]
    assert source.missed == 2
    with pytest.raises(SourceError, match="pco stopped recording: the camera is unplugged"):
        source.wait(1.0)
    source.stop()

    assert fake_pco.calls == [(4, "fifo", (1, 1, 16, 12)), "stop", "close"]


def test_a_pco_camera_without_a_frame_in_time_is_no_error(fake_pco: type[FakePco]):
    fake_pco.recorded[:] = [-1]
    source = open_source("pco", width=16, height=12)

    assert source.wait(0.1) is None


@pytest.mark.parametrize(
    ("source", "hidden", "message"),
    [
        ("pylon", "pypylon", "the package pypylon is missing: pip install pypylon"),
        ("pco", "pco", "the package pco is missing: pip install pco"),
        ("aravis", "gi", "lacks Aravis: apt-get install python3-gi gir1.2-aravis-0.8, which are for /usr/bin/python3"),
    ],
)
def test_a_missing_package_is_one_line(source: str, hidden: str, message: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, hidden, None)

    with pytest.raises(SourceError, match=re.escape(message)):
        open_source(source)


def test_an_unknown_source_names_those_that_there_are():
    with pytest.raises(SourceError, match="there is no source 'webcam'; use simulated, pylon, aravis, pco"):
        open_source("webcam")


def test_an_error_of_the_command_is_one_line(tmp_path: Path):
    done = run(sys.executable, "-m", "camera", "--buffers", "0", tmp_path=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "the ring needs at least 1 buffer, not 0\n"


def test_what_is_missing_is_not_told_of_an_unknown_source(tmp_path: Path):
    done = run(sys.executable, "-m", "camera.missing", "webcam", tmp_path=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "there is no source 'webcam'; use simulated, pylon, aravis, pco\n"
