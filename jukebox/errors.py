"""What can go wrong in the jukebox."""

from __future__ import annotations


class JukeboxError(Exception):
    """Something is not as it must be; the message is for a person."""


class MissingPluginError(JukeboxError):
    """GStreamer lacks the plugin that decodes a song."""


class SongError(JukeboxError):
    """A file is not a song, or cannot be played."""
