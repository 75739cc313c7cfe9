"""Decode one song through a source bin of its own, without a mixer, and throw the bin away."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from itertools import cycle as endless
from pathlib import Path

from jukebox.bus import wait_for_end
from jukebox.faults import Fault
from jukebox.gstreamer import Gst, end_idle_threads, fail_on_criticals
from jukebox.play import silent_output
from jukebox.songs import Song, make_songs
from jukebox.source_bin import SourceBin

PERIOD = 6  # songs
LONGEST_S = 10.0


@dataclass(frozen=True)
class State:
    """The songs, round and round, and the defect to decode them with."""

    songs: endless[Song]
    fault: Fault


def setup(*, fault: str = "none", seconds: float = 1.0, formats: str = "ogg,flac,wav") -> State:
    """Make the songs (once, in the user's cache folder); ``fault``: none, not_null, closure or closure_gc_off."""
    end_idle_threads()
    chosen = Fault(fault)
    if chosen is Fault.NONE:
        fail_on_criticals()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return State(endless(make_songs(cache / "jukebox", seconds, tuple(formats.split(",")))), chosen)


def cycle(state: State) -> None:
    """Decode one song to its end and check its length."""
    source = SourceBin(next(state.songs), 0, 0, threading.Condition(), state.fault)
    source.gate.open()
    pipeline, output = Gst.Pipeline(), silent_output()
    pipeline.add(source.bin)
    pipeline.add(output)
    source.pad.link(output.get_static_pad("sink"))
    bus = pipeline.get_bus()
    bus.enable_sync_message_emission()
    bus.connect("sync-message::stream-status", lambda _bus, message: source.threads.take(message))
    pipeline.set_state(Gst.State.PLAYING)
    try:
        wait_for_end(bus, f"decoding {source.song.path.name}", LONGEST_S)
    finally:
        if state.fault is not Fault.NOT_NULL:
            pipeline.set_state(Gst.State.NULL)
            source.threads.end()
    source.check_length()


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
