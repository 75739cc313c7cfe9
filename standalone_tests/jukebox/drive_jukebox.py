"""Play one song: build its source bin, mix it over the end of the song before, take that one out, read the bus."""

from __future__ import annotations

import os
from pathlib import Path

from jukebox.faults import Fault
from jukebox.gstreamer import end_idle_threads, fail_on_criticals
from jukebox.play import Jukebox, silent_output
from jukebox.songs import make_songs

PERIOD = 6  # songs in the playlist: only after a whole round is the jukebox where it was


def setup(
    *, fault: str = "none", seconds: float = 1.0, overlap_s: float = 0.25, formats: str = "ogg,flac,wav"
) -> Jukebox:
    """Make the songs (once, in the user's cache folder) and begin the first; ``fault``: see jukebox.faults."""
    end_idle_threads()
    chosen = Fault(fault)
    if chosen is Fault.NONE:
        fail_on_criticals()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    songs = make_songs(cache / "jukebox", seconds, tuple(formats.split(",")))
    return Jukebox(songs, silent_output(), overlap_s=overlap_s, fault=chosen)


def cycle(jukebox: Jukebox) -> None:
    """Play one song to its end."""
    jukebox.play_next()


def teardown(jukebox: Jukebox) -> None:
    """Stop the pipeline."""
    jukebox.close()


if __name__ == "__main__":
    from soak.inside.standalone import main

    main(globals())
