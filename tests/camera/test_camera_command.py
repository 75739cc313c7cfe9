"""``python -m camera`` with real faults: one line says what is wrong, and what was written can be read."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL = ("--width", "64", "--height", "48", "--buffers", "64")
FRAME_BYTES = 64 * 48 * 2

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler for the camera's driver")


def camera(*arguments: str, folder: Path, before: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "camera", *arguments],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=before,
    )


def test_a_disk_that_fills_up_ends_the_recording_in_order(tmp_path: Path):
    """The limit on the size of a file is the full disk that needs no privilege; HDF5 alone crashes at it."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install soak[camera]")
    most_bytes = (1 << 20) + 40 * FRAME_BYTES
    out = tmp_path / "run.h5"

    done = camera(
        *("--out", str(out), "--frames", "1000", *SMALL),
        folder=tmp_path,
        before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes)),
    )

    assert done.returncode == 1
    found = re.fullmatch(
        r"writer: no room for frame (\d+) in .*run\.h5: File too large; the recording ends with the frame before\n",
        done.stderr,
    )
    assert found is not None, done.stderr
    last = int(found[1]) - 1
    with h5py.File(out) as file:
        assert file["numbers"][:].tolist() == list(range(1, last + 1))
        assert file["frames"][:, 0, 0].tolist() == list(range(1, last + 1))
    assert 32 < last < 40
    assert out.stat().st_size < 40 * FRAME_BYTES


TELLING = """
import sys
from camera.__main__ import main
from camera.recorder import Recorder
start = Recorder.start
def told(recorder):
    start(recorder)
    print("begun", flush=True)
Recorder.start = told
sys.exit(main())
"""


def test_a_service_that_is_ended_closes_its_file(tmp_path: Path):
    """SIGTERM ends the recording as Ctrl+C does: what was written is said and can be read."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install soak[camera]")
    out = tmp_path / "run.h5"
    command = [sys.executable, "-c", TELLING, "--out", str(out), *SMALL]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)}, stdout=subprocess.PIPE, text=True
    ) as recording:
        assert recording.stdout is not None
        assert recording.stdout.readline() == "begun\n"
        recording.terminate()
        told, _ = recording.communicate(timeout=120)

    assert recording.returncode == 0
    written = re.match(r"[\d,]+ frames, ([\d,]+) written, ", told)
    assert written is not None, told
    with h5py.File(out) as file:
        assert len(file["frames"]) == int(written[1].replace(",", ""))


def test_what_was_reserved_is_given_back(tmp_path: Path):
    pytest.importorskip("h5py", reason="h5py is not installed: pip install soak[camera]")

    done = camera("--out", str(tmp_path / "run.h5"), "--frames", "3", *SMALL, folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run.h5").stat().st_size < 3 * FRAME_BYTES + 16_384


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere/run.h5", "No such file or directory"),
        ("taken.h5", "File exists"),
        ("taken.h5/run.h5", "Not a directory"),
    ],
)
def test_a_file_that_cannot_be_begun_is_one_line(tmp_path: Path, name: str, reason: str):
    pytest.importorskip("h5py", reason="h5py is not installed: pip install soak[camera]")
    (tmp_path / "taken.h5").write_text("an earlier recording", encoding="utf-8")

    done = camera("--out", str(tmp_path / name), "--frames", "3", *SMALL, folder=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{tmp_path / name} cannot be written: {reason}\n"
    assert (tmp_path / "taken.h5").read_text(encoding="utf-8") == "an earlier recording"


def test_a_folder_is_no_file_to_begin(tmp_path: Path):
    pytest.importorskip("h5py", reason="h5py is not installed: pip install soak[camera]")

    done = camera("--out", ".", "--frames", "3", *SMALL, folder=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ". is a folder; give the name of a new file\n"


@pytest.mark.parametrize(
    ("option", "value"), [("--fps", "nan"), ("--fps", "0"), ("--frames", "-5"), ("--frames-per-file", "-1")]
)
def test_a_number_that_means_nothing_is_refused(tmp_path: Path, option: str, value: str):
    done = camera(f"{option}={value}", *SMALL, folder=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith(f"python -m camera: error: {option} is {value}")


def test_a_cache_folder_that_cannot_be_made_is_one_line(tmp_path: Path):
    (tmp_path / "file").touch()

    done = camera("--frames", "3", *SMALL, folder=tmp_path / "file")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"the camera's driver cannot be built in {tmp_path}/file/camera: Not a directory\n"


@pytest.mark.long  # Aravis needs ten seconds to notice it
def test_a_camera_that_is_gone_while_it_records_is_one_line(aravis_python: str, tmp_path: Path):
    """The fake camera of Aravis is a process: it is killed as soon as frames come."""
    command = [aravis_python, "-c", WATCHED, "--source", "aravis", *SMALL]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    server = int(running.stdout.readline())
    os.kill(server, 9)
    stdout, stderr = running.communicate(timeout=120)

    assert (running.returncode, stderr) == (1, "producer: the camera is unplugged\n")
    assert " frames, 0 written, " in stdout


WATCHED = """
import sys
from camera.__main__ import main
from camera.sources.aravis import AravisSource
start = AravisSource.start
def told(source):
    start(source)
    print(source._server.pid, flush=True)
AravisSource.start = told
sys.exit(main())
"""


@pytest.mark.parametrize("source", ["pylon", "aravis"])
def test_frames_of_another_size_are_one_line(source: str, request: pytest.FixtureRequest):
    """The camera sends one byte for each pixel, after the recorder was told of two."""
    if source == "pylon":
        pytest.importorskip("pypylon", reason="pypylon is not installed: pip install soak[camera]")
    python = sys.executable if source == "pylon" else request.getfixturevalue("aravis_python")

    done = subprocess.run(
        [python, "-c", MONO8, "--source", source, "--frames", "3", "--width", "64", "--height", "48"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 1
    assert done.stderr == "producer: frame 1 has 3,072 B, and a frame of 64x48 has 6,144 B\n"


MONO8 = """
import sys
import camera.__main__ as command
open_source = command.open_source
def opened(name, **size):
    source = open_source(name, **size)
    if name == "pylon":
        source._camera.PixelFormat.Value = "Mono8"
    else:
        source._camera.set_pixel_format_from_string("Mono8")
    return source
command.open_source = opened
sys.exit(command.main())
"""


@pytest.mark.long  # Aravis looks for cameras for five seconds
def test_a_camera_that_is_too_small_is_one_line(aravis_python: str):
    done = subprocess.run(
        [aravis_python, "-m", "camera", "--source", "aravis", "--width", "5000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "the camera has at most 2048x2048 pixels, not 5000x540\n"
