"""Threads of a song: GStreamer takes them from a pool, and each song has a pool of its own.

A thread of GLib's pools waits for half a second for more work when its own has ended. In a pool that all songs share,
one is then taken over by the next song or not, as it happens: on a busy machine their number, with the memory that
each thread has of its own, rises and falls for minutes. The threads of a song's own pool end with the song.
"""

from __future__ import annotations

from typing import Any

from jukebox.gstreamer import Gst


class TaskThreads:
    """The pool from which the threads of one song come."""

    def __init__(self) -> None:
        """Begin without a thread."""
        self._pool = Gst.TaskPool.new()
        self._pool.prepare()

    def take(self, message: Any) -> None:
        """Have a new task run in a thread of this pool; ``message``: of stream-status, before the task starts."""
        kind, _ = message.parse_stream_status()
        if kind == Gst.StreamStatusType.CREATE:
            message.get_stream_status_object().set_pool(self._pool)

    def end(self) -> None:
        """Wait until all threads have done their work, and let them end. Stop the song before."""
        self._pool.cleanup()
