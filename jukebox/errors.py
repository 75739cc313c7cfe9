"""What can go wrong in the jukebox."""

from __future__ import annotations


class JukeboxError(Exception):
    """Something is not as it must be; the message is for a person."""


class SongError(JukeboxError):
    """A file is not a song, or cannot be played."""
