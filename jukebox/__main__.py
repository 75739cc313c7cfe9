"""Play songs: ``python -m jukebox a.ogg b.flac [--out evening.wav]``."""

from __future__ import annotations

import argparse
import sys


def main() -> int:
    """Play the songs that the command line names; return 1 after one line on stderr when that fails."""
    parser = argparse.ArgumentParser(prog="python -m jukebox", description="Play songs, each faded into the next.")
    parser.add_argument("songs", nargs="+", metavar="SONG")
    parser.add_argument("--out", metavar="FILE", help="write a .wav, .flac or .ogg file instead of playing")
    options = parser.parse_args()
    from jukebox.errors import JukeboxError

    try:
        from jukebox.play import play

        play(options.songs, options.out)
    except JukeboxError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
