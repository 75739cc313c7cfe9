"""Frames on disk: HDF5 files, each frame a chunk that is written as it is, a new file after a number of frames.

One file for ever would keep growing in memory: HDF5 holds the index of a file's chunks (docs/camera.md).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from camera.errors import RecordingError
from camera.pixels import BYTES_PER_PIXEL, Pixels

FRAMES_PER_FILE = 1000
FRAMES_PER_FLUSH = 32
"""What was flushed can be read even when the process is killed."""
RESERVE_BYTES = 1 << 20
"""So much room is reserved on the disk beside each frame, for the index: when HDF5 cannot write that, the whole file
cannot be read, and the process may crash at its end."""


class Recording:
    """Writes ``run.h5``, then ``run-2.h5`` and so on; in each, ``frames`` and the ``numbers`` of the frames."""

    def __init__(
        self, path: Path, shape: tuple[int, int], *, frames_per_file: int = FRAMES_PER_FILE, kept_files: int = 0
    ) -> None:
        """Begin the first file, for frames of this shape; a file that exists is never overwritten.

        ``frames_per_file=0``: one file for ever; ``kept_files``: how many, 0 is all. Raises RecordingError when h5py is
        missing or there can be no such file.
        """
        try:
            import h5py
        except ImportError as error:
            raise RecordingError("the package h5py is missing: pip install h5py") from error
        if path.is_dir():
            raise RecordingError(f"{path} is a folder; give the name of a new file")
        self._h5py = h5py
        self._path, self._shape = path, shape
        self._frames_per_file, self._kept_files = frames_per_file, kept_files
        self._frame_bytes = shape[0] * shape[1] * BYTES_PER_PIXEL
        self._file: Any = None
        self._dataset: Any = None
        self._numbers: list[int] = []
        self._count = 0
        """Frames in the current file."""
        self.paths: list[Path] = []
        """The files that are there, oldest first."""
        self._begun = 0
        self.bytes_written = 0
        self._begin_file()

    def add(self, pixels: Pixels, number: int) -> None:
        """Write a frame. Raises RecordingError when there is no room; what was written before can be read."""
        try:
            if self._file is None or self._count == self._frames_per_file:
                self._begin_file()
            self._reserve_room(number)
            if self._count == len(self._dataset):
                self._dataset.resize(self._count + FRAMES_PER_FLUSH, 0)
            self._dataset.id.write_direct_chunk((self._count, 0, 0), pixels)
            self._count += 1
            self._numbers.append(number)
            if self._count % FRAMES_PER_FLUSH == 0:
                self._flush()
        except OSError as error:
            raise RecordingError(f"frame {number} cannot be written to {self.paths[-1]}: {_reason(error)}") from error
        self.bytes_written += self._frame_bytes

    def close(self) -> None:
        """End the file. Raises RecordingError when the disk refuses."""
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            self._flush()
            self._dataset.resize(self._count, 0)
            file.flush()
            used_bytes = file.id.get_filesize()
            file.close()
            os.truncate(self.paths[-1], used_bytes)  # give back what was reserved
        except (OSError, RuntimeError) as error:
            raise RecordingError(f"{self.paths[-1]} cannot be ended: {_reason(error)}") from error

    def _begin_file(self) -> None:
        self.close()
        self._begun += 1
        name = self._path.name if self._begun == 1 else f"{self._path.stem}-{self._begun}{self._path.suffix}"
        path = self._path.with_name(name)
        try:
            self._file = self._h5py.File(path, "x")
        except OSError as error:
            raise RecordingError(f"{path} cannot be written: {_reason(error)}") from error
        self.paths.append(path)
        self._dataset = self._file.create_dataset(
            "frames", (0, *self._shape), np.uint16, maxshape=(None, *self._shape), chunks=(1, *self._shape)
        )
        self._file.create_dataset("numbers", (0,), np.uint64, maxshape=(None,), chunks=(FRAMES_PER_FLUSH,))
        self._count = 0
        if self._kept_files and len(self.paths) > self._kept_files:
            self.paths.pop(0).unlink()

    def _flush(self) -> None:
        numbers = self._dataset.parent["numbers"]
        numbers.resize(self._count, 0)
        numbers[self._count - len(self._numbers) :] = self._numbers
        self._numbers.clear()
        self._dataset.file.flush()

    def _reserve_room(self, number: int) -> None:
        file = self._file.id
        try:
            os.posix_fallocate(file.get_vfd_handle(), file.get_filesize(), self._frame_bytes + RESERVE_BYTES)
        except OSError as error:
            raise RecordingError(
                f"no room for frame {number} in {self.paths[-1]}: {_reason(error)}; the recording ends with the frame "
                "before"
            ) from error


def _reason(error: Exception) -> str:
    """Return the system's words for an error of HDF5, whose own text fills lines; else the first of its lines."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else str(error).partition("\n")[0]
