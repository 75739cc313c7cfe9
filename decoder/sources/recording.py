"""Frames in a file: a writer, and a source that plays them.

The file starts with MAGIC. Each frame follows as the length of its name (u32), the length of its block (u32), the name
``address TAB property`` in UTF-8, and the block. Numbers are little endian.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Final, Self

from decoder.errors import SourceError
from decoder.header import HEADER_BYTES, Bytes, FrameHeader
from decoder.message import Message, message_of

MAGIC: Final = b"frames 1"
_LENGTHS: Final = struct.Struct("<II")


class RecordingWriter:
    """Writes a file of recorded frames and replaces an existing one; a context manager."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._file.write(MAGIC)

    def append(self, address: str, property: str, block: Bytes) -> None:  # noqa: A002  # PyTine's name for it
        """Add one whole block. Raises DecodeError when it is no block, so that every recording can be played."""
        FrameHeader.parse(block)
        name = _name(address, property)
        self._file.write(_LENGTHS.pack(len(name), memoryview(block).nbytes) + name)
        self._file.write(block)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RecordingSource:
    """Plays a file of recorded frames; a context manager. Each address and property starts again after its last frame.

    Raises SourceError when the file cannot be read, is not a recording, or ends inside a frame.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise SourceError(f"recording {path} cannot be opened: {error}") from error
        try:
            self._places = _index(self._file, path)
        except SourceError:
            self._file.close()
            raise
        self._next = dict.fromkeys(self._places, 0)

    def get(self, address: str, property: str) -> Message:  # noqa: A002  # PyTine's name for it
        """Return the next recorded frame; see ``ImageSource.get``."""
        name = _name(address, property)
        if name not in self._places:
            recorded = ", ".join(sorted(place.decode().replace("\t", " ") for place in self._places)) or "nothing"
            raise SourceError(f"recording {self._path} has no {property!r} of {address!r}; it has {recorded}")
        places = self._places[name]
        start, size_bytes = places[self._next[name]]
        self._next[name] = (self._next[name] + 1) % len(places)
        self._file.seek(start)
        return message_of(self._file.read(size_bytes))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _name(address: str, image_property: str) -> bytes:
    return f"{address}\t{image_property}".encode()


def _index(file: BinaryIO, path: Path) -> dict[bytes, list[tuple[int, int]]]:
    """Return the place of each name's blocks in the file: start and length, in bytes."""
    end = path.stat().st_size
    if file.read(len(MAGIC)) != MAGIC:
        raise SourceError(f"{path} is not a recording: it does not start with {MAGIC!r}")
    places: dict[bytes, list[tuple[int, int]]] = {}
    while (at := file.tell()) < end:
        lengths = file.read(_LENGTHS.size)
        name_bytes, block_bytes = _LENGTHS.unpack(lengths) if len(lengths) == _LENGTHS.size else (0, 0)
        start = at + _LENGTHS.size + name_bytes
        if block_bytes < HEADER_BYTES or start + block_bytes > end:
            raise SourceError(f"recording {path} is truncated or corrupt in the frame at byte {at}")
        places.setdefault(file.read(name_bytes), []).append((start, block_bytes))
        file.seek(start + block_bytes)
    return places
