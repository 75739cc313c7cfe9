"""Build the driver with the machine's C compiler, once per version of its source, and load it by ctypes."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from camera.errors import SourceError

SOURCE = Path(__file__).with_name("driver.c")
FLAGS = ("-std=gnu11", "-O2", "-g1", "-Wall", "-Wextra", "-fPIC", "-fvisibility=hidden", "-shared")
NO_FRAME = -1
IS_GONE = -2


@cache
def load() -> ctypes.CDLL:
    """Return the driver. Raises SourceError when there is no C compiler or it fails."""
    library = ctypes.CDLL(str(_built()))
    camera, number = ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint64)
    sizes = [ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_size_t]
    _declare(library, "camera_open", camera, *sizes, ctypes.c_double, ctypes.c_int)
    _declare(library, "camera_start", ctypes.c_int, camera)
    _declare(library, "camera_wait", ctypes.c_int, camera, ctypes.c_double, number)
    _declare(library, "camera_requeue", None, camera, ctypes.c_int)
    _declare(library, "camera_buffer", ctypes.c_void_p, camera, ctypes.c_int)
    _declare(library, "camera_missed", ctypes.c_uint64, camera)
    _declare(library, "camera_unplug", None, camera)
    _declare(library, "camera_close", None, camera)
    return library


def _declare(library: ctypes.CDLL, name: str, result: type | None, *arguments: type) -> None:
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments


def _built() -> Path:
    """Return the library in the user's cache folder; compile it when it is not there."""
    digest = hashlib.sha256(SOURCE.read_bytes() + repr(FLAGS).encode()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "camera"
    path = folder / f"libcamera-{digest}.so"
    if path.exists():
        return path
    compiler = shutil.which("cc")
    if compiler is None:
        raise SourceError("the simulated camera needs a C compiler (cc), and there is none")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            built = Path(scratch, "libcamera.so")
            command = [compiler, *FLAGS, str(SOURCE), "-o", str(built), "-lpthread"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                why = "; ".join(done.stderr.strip().split("\n"))[:300] or f"status {done.returncode}"
                raise SourceError(f"the C compiler cannot build the camera's driver: {why}")
            built.replace(path)  # at once, so that another process never sees half a library
    except OSError as error:
        raise SourceError(f"the camera's driver cannot be built in {folder}: {error.strerror}") from error
    return path
