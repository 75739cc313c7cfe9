"""Songs: files whose exact length is known. Songs to soak with are made once; any others are measured."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jukebox.bus import wait_for_end
from jukebox.errors import JukeboxError, MissingPluginError, SongError
from jukebox.gstreamer import CAPS, FRAME_BYTES, RATE_HZ, Gst

FORMATS = ("ogg", "flac", "wav")
_ENCODERS = {"ogg": "vorbisenc ! oggmux", "flac": "flacenc", "wav": "wavenc"}
_BUFFER_FRAMES = RATE_HZ // 100
_WATCHDOG_S = 10.0
"""No frame may be missing for longer than this."""
SOAKED_SONGS = 6
_LONGEST_S = 3600.0


@dataclass(frozen=True)
class Song:
    """A file and its length in frames, at the mixer's rate."""

    path: Path
    frames: int


def make_songs(folder: Path, seconds: float = 1.0, formats: tuple[str, ...] = FORMATS) -> tuple[Song, ...]:
    """Return six songs of about so many seconds, in these formats by turns; files that exist are not made again.

    Lengths go from 0.7 to 1.2 of ``seconds``. Raises SongError for an unknown format or when a file cannot be written.
    """
    if not 0 < seconds <= _LONGEST_S:
        raise SongError(f"songs of {seconds:g} s cannot be made; give a length above 0 and up to {_LONGEST_S:g} s")
    folder.mkdir(parents=True, exist_ok=True)
    songs = []
    for number in range(SOAKED_SONGS):
        suffix = formats[number % len(formats)]
        if suffix not in _ENCODERS:
            raise SongError(f"there is no format {suffix!r}; use {', '.join(FORMATS)}")
        buffers = max(1, round(seconds * (0.7 + 0.1 * number) * 100))
        path = folder / f"song{number}-{buffers}.{suffix}"
        if not path.exists():
            _make(path, suffix, buffers, frequency_hz=220 * (number + 1))
        songs.append(measure(path))  # Vorbis may add a frame
    return tuple(songs)


def _make(path: Path, suffix: str, buffers: int, frequency_hz: int) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    line = Gst.parse_launch(
        f"audiotestsrc samplesperbuffer={_BUFFER_FRAMES} num-buffers={buffers} freq={frequency_hz} volume=0.4 ! {CAPS} "
        f"! audioconvert ! {_ENCODERS[suffix]} ! filesink name=file"
    )
    line.get_by_name("file").set_property("location", str(unfinished))
    try:
        _run(line, f"{path} cannot be made", [])
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def measure(path: Path) -> Song:
    """Return the song in a file, decoded once to count its frames. Raises SongError when the file is not a song."""
    if not path.is_file():
        raise SongError(f"{path} is a folder, not a song" if path.is_dir() else f"there is no file {path}")
    line = Gst.parse_launch(
        f"filesrc name=file ! decodebin ! audioconvert ! audioresample ! {CAPS} ! identity name=counter "
        "signal-handoffs=true ! fakesink sync=false"
    )
    line.get_by_name("file").set_property("location", str(path))
    sizes_bytes: list[int] = []
    line.get_by_name("counter").connect("handoff", _note_size, sizes_bytes)
    try:
        _run(line, f"{path} is not a song", sizes_bytes)
    except MissingPluginError as error:
        raise SongError(f"{path} cannot be decoded: {error}") from None
    if not sizes_bytes:
        raise SongError(f"{path} has no sound")
    return Song(path, sum(sizes_bytes) // FRAME_BYTES)


def _note_size(_counter: Any, buffer: Any, sizes_bytes: list[int]) -> None:
    sizes_bytes.append(buffer.get_size())


def _run(line: Any, failure: str, sizes_bytes: list[int]) -> None:
    line.set_state(Gst.State.PLAYING)
    try:
        wait_for_end(line.get_bus(), "decoding or encoding", _WATCHDOG_S, lambda: len(sizes_bytes))
    except MissingPluginError:
        raise
    except JukeboxError as error:
        raise SongError(f"{failure}: {error}") from None
    finally:
        line.set_state(Gst.State.NULL)
