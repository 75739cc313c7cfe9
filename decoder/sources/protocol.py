"""The interface of every source of frames."""

from __future__ import annotations

from typing import Protocol

from decoder.message import Message


class ImageSource(Protocol):
    """Delivers frames by address and property. One thread at a time uses it, and closes it at the end."""

    def get(self, address: str, property: str) -> Message:  # noqa: A002  # PyTine's name for it
        """Return the next frame of ``address`` and ``property``; the message stays valid.

        Waits no longer than the source's deadline. Raises SourceError when no frame arrives, and DecodeError when the
        answer is no frame.
        """
        ...

    def close(self) -> None:
        """Release all resources of the source; may be called twice."""
        ...
