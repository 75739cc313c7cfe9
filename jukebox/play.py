"""The jukebox: plays songs one after the other, each faded into the next."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jukebox.errors import JukeboxError, SongError
from jukebox.faults import Fault
from jukebox.gstreamer import RATE_HZ, Gst, make, stop
from jukebox.mixer import OUTPUT_FRAMES, Mixer
from jukebox.songs import Song, measure
from jukebox.source_bin import MIX_GRID_FRAMES, SourceBin

OVERLAP_S = 0.25
_FILE_ENCODERS = {".wav": "wavenc", ".flac": "flacenc", ".ogg": "vorbisenc ! oggmux"}
_LONGEST_END_S = 10.0


class Jukebox:
    """Plays a list of songs round and round; `play_next` plays one to its end.

    Between two calls nothing moves: the next song is held at its mix point.
    """

    def __init__(
        self, songs: Sequence[Song], output: Any, *, overlap_s: float = OVERLAP_S, fault: Fault = Fault.NONE
    ) -> None:
        """Begin the first song. ``output``: the element that takes the sound. Raises JukeboxError without songs."""
        if not songs:
            raise JukeboxError("the playlist is empty")
        self._songs, self._fault = songs, fault
        self._overlap = _overlap(songs, int(overlap_s * RATE_HZ))
        self._begun = 0
        self._finished: list[SourceBin] = []
        if fault is Fault.CLOSURE_GC_OFF:
            gc.disable()
        self.mixer = Mixer(output, fault)
        self._current = self._begin(0)
        self.mixer.start()

    def _begin(self, start: int) -> SourceBin:
        song = self._songs[self._begun % len(self._songs)]
        self._begun += 1
        source = SourceBin(song, start, self._overlap, self.mixer.moved, self._fault)
        self.mixer.add(source)
        return source

    def play_next(self) -> None:
        """Play the current song to its end, with the next one mixed in. Raises JukeboxError when anything is wrong."""
        song = self._current
        self._wait_for_mix_point(song)
        self._current = self._begin(song.mix_point)
        self._play_to_end(song)
        self.mixer.remove(song)
        if self._fault is Fault.LIST_KEPT:
            self._finished.append(song)
        self._wait_for_mix_point(self._current)
        self.mixer.check_position(self._current.start + self._current.gate.passed)
        self.mixer.check_removed()
        self.mixer.read_bus()

    def play_last(self) -> None:
        """Play the current song to its end, and nothing after it. Raises JukeboxError."""
        song = self._current
        self._play_to_end(song)
        self.mixer.finish(_LONGEST_END_S)  # the mixer ends with its last pad, so that one stays until then
        self.mixer.remove(song)
        self.mixer.check_removed()

    def _play_to_end(self, song: SourceBin) -> None:
        song.gate.open()
        self.mixer.wait_until(
            lambda: self.mixer.position >= song.end, f"{song.song.path.name} was not mixed to its end"
        )
        song.check_length()

    def _wait_for_mix_point(self, song: SourceBin) -> None:
        self.mixer.wait_until(lambda: song.gate.is_reached, f"{song.song.path.name} did not reach its mix point")

    def close(self) -> None:
        """Stop, wherever the songs are."""
        self._current.gate.open()
        self.mixer.close()
        if stop(self._current.bin):
            self._current.threads.end()  # those of a song that runs would be waited for without an end


def play(playlist: Iterable[str | Path], out: str | Path | None = None) -> None:
    """Play files once, each faded into the next, to the sound card or into a file (.wav, .flac or .ogg).

    Raises SongError for a file that is not a song, before anything is played, and JukeboxError when playing fails.
    """
    songs = [measure(Path(path)) for path in playlist]
    if out is not None and any(Path(out).exists() and song.path.samefile(out) for song in songs):
        raise JukeboxError(f"{out} is one of the songs; it would be overwritten")
    output = make("autoaudiosink") if out is None else _file_output(Path(out))
    jukebox = Jukebox(songs, output)
    try:
        _check_heard(output)
        for _ in songs[1:]:
            jukebox.play_next()
        jukebox.play_last()
    finally:
        jukebox.close()


def _overlap(songs: Sequence[Song], wanted: int) -> int:
    """Return the frames by which songs overlap; fewer than wanted where the shortest song would hold up the one before.

    That one has ended when the output has passed its end, and the output needs a whole buffer of the next song for it.
    """
    shortest = min(songs, key=lambda song: song.frames)
    longest_overlap = (shortest.frames - OUTPUT_FRAMES) // 2 - MIX_GRID_FRAMES
    if longest_overlap < 0:
        raise SongError(f"{shortest.path} is too short to be mixed: {shortest.frames / RATE_HZ:.2g} s")
    return min(wanted, longest_overlap)


def silent_output() -> Any:
    """Return an output that drops the sound as fast as it comes."""
    return make("fakesink", sync=False, **{"async": False})


def _check_heard(output: Any) -> None:
    """Raise JukeboxError where GStreamer has found no sound card, for it then drops the sound."""
    if any(element.get_factory().get_name() == "fakesink" for element in output.children):
        raise JukeboxError("there is no sound card that GStreamer can use; --out FILE writes a file instead")


def _file_output(path: Path) -> Any:
    if path.suffix not in _FILE_ENCODERS:
        raise JukeboxError(
            f"{path.name} is not a sound file format that can be written; use {', '.join(_FILE_ENCODERS)}"
        )
    output = Gst.parse_bin_from_description(
        f"audioconvert ! {_FILE_ENCODERS[path.suffix]} ! filesink name=file", ghost_unlinked_pads=True
    )
    output.get_by_name("file").set_property("location", str(path))
    return output
