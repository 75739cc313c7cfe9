"""Recordings: what is written can be read, on a full disk and after a kill too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from camera.errors import RecordingError
from camera.recording import Recording

h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install soak[camera]")

SHAPE = (54, 64)
ROOT = Path(__file__).parents[2]


def frame(number: int) -> np.ndarray:
    return np.full(SHAPE, number, np.uint16)


def read(path: Path) -> tuple[list[int], list[int]]:
    """Return the numbers in a file, and what the first pixel of each frame says."""
    with h5py.File(path) as file:
        return file["numbers"][:].tolist(), file["frames"][:, 0, 0].tolist()


def test_files_rotate_and_hold_each_frame(tmp_path: Path):
    recording = Recording(tmp_path / "run.h5", SHAPE, frames_per_file=40)
    for number in range(1, 101):
        recording.add(frame(number), number)
    recording.close()

    assert [path.name for path in recording.paths] == ["run.h5", "run-2.h5", "run-3.h5"]
    assert recording.bytes_written == 100 * 54 * 64 * 2
    numbers = [list(range(1, 41)), list(range(41, 81)), list(range(81, 101))]
    assert [read(path) for path in recording.paths] == [(some, some) for some in numbers]


def test_only_the_newest_files_are_kept_where_asked(tmp_path: Path):
    recording = Recording(tmp_path / "run.h5", SHAPE, frames_per_file=10, kept_files=2)
    for number in range(1, 36):
        recording.add(frame(number), number)
    recording.close()

    assert {path.name for path in tmp_path.iterdir()} == {"run-3.h5", "run-4.h5"}


def test_what_was_flushed_survives_a_kill(tmp_path: Path):
    code = (
        "import os, signal, sys; import numpy as np; from pathlib import Path\n"
        "from camera.recording import Recording\n"
        "recording = Recording(Path(sys.argv[1]), (54, 64))\n"
        "for number in range(1, 41): recording.add(np.full((54, 64), number, np.uint16), number)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run.h5"], cwd=ROOT, check=False, timeout=60)

    assert done.returncode == -9
    assert read(tmp_path / "run.h5") == (list(range(1, 33)), list(range(1, 33)))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a disk of 3 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_the_recording_in_order(small_disk: Path):
    recording = Recording(small_disk / "run.h5", SHAPE)

    def fill() -> None:
        for number in range(1, 1000):
            recording.add(frame(number), number)

    with pytest.raises(RecordingError, match=r"no room for frame \d+ in .*run.h5: No space left on device") as caught:
        fill()
    recording.close()

    numbers, pixels = read(small_disk / "run.h5")
    assert numbers == pixels == list(range(1, len(numbers) + 1))
    assert f"no room for frame {len(numbers) + 1} in" in str(caught.value)


def test_a_folder_that_is_gone_is_one_error(tmp_path: Path):
    folder = tmp_path / "removed"
    folder.mkdir()
    recording = Recording(folder / "run.h5", SHAPE, frames_per_file=1)
    recording.add(frame(1), 1)
    (folder / "run.h5").rename(tmp_path / "run.h5")
    folder.rmdir()

    with pytest.raises(RecordingError, match=r"run.h5 cannot be ended: No such file or directory"):
        recording.add(frame(2), 2)
    recording.close()
    assert read(tmp_path / "run.h5") == ([1], [1])
