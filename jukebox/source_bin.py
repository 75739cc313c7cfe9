"""A source bin: decodes one song, converts, measures its level and fades it; and the gate that holds it."""

from __future__ import annotations

import threading
from typing import Any

from jukebox.errors import JukeboxError, SongError
from jukebox.faults import Fault
from jukebox.gstreamer import CAPS, FRAME_BYTES, RATE_HZ, Gst, GstController, add_chain, make, time_ns
from jukebox.songs import Song
from jukebox.threads import TaskThreads

LEVEL_INTERVAL_NS = 100_000_000
MIX_GRID_FRAMES = RATE_HZ // 100
"""Songs begin on multiples of 10 ms, which are whole frames and whole nanoseconds."""
_FULL_VOLUME = 0.1  # a control value of 1 is the largest value of the property, which is 10


class Gate:
    """Counts the frames of a song that pass, and holds the song at a frame until it is opened.

    It holds GStreamer's thread in a signal handler. A blocking probe would do the same, but PyGObject 3.42 loses 32
    bytes each time a probe is added.
    """

    def __init__(self, moved: threading.Condition, hold_at: int) -> None:
        """Take the condition to notify, and the number of frames before which the song is held."""
        self._moved = moved
        self._hold_at = hold_at
        self._is_open = False
        self.passed = 0
        """Frames that went through."""
        self.is_reached = False
        """The song is held, or was."""

    def open(self) -> None:
        """Let the song go on."""
        with self._moved:
            self._is_open = True
            self._moved.notify_all()

    def pass_buffer(self, _element: Any, buffer: Any) -> None:
        """Take note of a buffer, or wait before it."""
        with self._moved:
            if not self._is_open and self.passed >= self._hold_at:
                self.is_reached = True
                self._moved.notify_all()
                self._moved.wait_for(self._may_pass)
            self.passed += buffer.get_size() // FRAME_BYTES

    def _may_pass(self) -> bool:
        return self._is_open


class SourceBin:
    """One song on its way into the mixer. All times are frames of the mixer's output."""

    def __init__(self, song: Song, start: int, overlap: int, moved: threading.Condition, fault: Fault) -> None:
        """Build the bin for a song that begins at frame ``start``.

        ``overlap``: frames during which the next song is mixed in. ``moved``: is notified when the song reaches its mix
        point.
        """
        self.song, self.start, self.end = song, start, start + song.frames
        self.mix_point = (self.end - overlap) // MIX_GRID_FRAMES * MIX_GRID_FRAMES
        self.gate = Gate(moved, self.mix_point - start)
        self.bin = Gst.Bin()
        self.threads = TaskThreads()
        chain = [make("audioconvert"), make("audioresample"), make("level", interval=LEVEL_INTERVAL_NS)]
        chain += [_fading_volume(song.frames, overlap), make("capsfilter", caps=Gst.Caps.from_string(CAPS))]
        chain += [make("identity", signal_handoffs=True)]
        chain[-1].connect("handoff", self.gate.pass_buffer)
        self._decode(song, chain[0], fault)
        add_chain(self.bin, chain)
        self.pad = Gst.GhostPad.new("src", chain[-1].get_static_pad("src"))
        self.pad.set_active(True)
        self.pad.set_offset(time_ns(start))
        self.bin.add_pad(self.pad)
        self.mixer_pad: Any = None
        """The mixer's request pad, while the bin is linked to it."""

    def _decode(self, song: Song, convert: Any, fault: Fault) -> None:
        source, decode = make("filesrc", location=str(song.path)), make("decodebin")
        add_chain(self.bin, [source, decode])
        if fault in (Fault.CLOSURE, Fault.CLOSURE_GC_OFF):
            # The bin owns the signal, the signal the closure, the closure this object, and this object the bin.
            decode.connect("pad-added", lambda _decode, pad: self._link(pad, convert))
        else:
            decode.connect("pad-added", _link_decoded, convert.get_static_pad("sink"))

    def _link(self, pad: Any, convert: Any) -> None:
        _link_decoded(self.bin, pad, convert.get_static_pad("sink"))

    def check_length(self) -> None:
        """Raise SongError unless exactly the song's frames have passed."""
        if self.gate.passed != self.song.frames:
            raise SongError(
                f"{self.song.path.name} has {self.song.frames:,} frames, and {self.gate.passed:,} of them were mixed"
            )

    def check_stopped(self) -> None:
        """Raise JukeboxError when the bin, set to NULL before, runs."""
        _, state, pending = self.bin.get_state(0)
        if state != Gst.State.NULL or pending != Gst.State.VOID_PENDING:
            self.bin.set_state(Gst.State.NULL)
            raise JukeboxError(
                f"the source bin of {self.song.path.name} was set to NULL and runs again: its state was not locked, "
                "so the pipeline started it with its other elements"
            )


def _link_decoded(_decode: Any, pad: Any, sink: Any) -> None:
    if not sink.is_linked():
        pad.link(sink)


def _fading_volume(frames: int, overlap: int) -> Any:
    """Return a volume element that fades in and out over ``overlap`` frames each."""
    volume = make("volume")
    fade = GstController.InterpolationControlSource()
    fade.set_property("mode", GstController.InterpolationMode.LINEAR)
    volume.add_control_binding(GstController.DirectControlBinding.new(volume, "volume", fade))
    for when, level in ((0, 0.0), (overlap, _FULL_VOLUME), (frames - overlap, _FULL_VOLUME), (frames, 0.0)):
        fade.set(time_ns(when), level)
    return volume
