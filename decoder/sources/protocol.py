"""What every source of frames can do."""

from __future__ import annotations

from typing import Protocol

from decoder.message import Message


class ImageSource(Protocol):
    """Delivers frames by address and property; used by one thread at a time, closed when done."""

    def get(self, address: str, property: str) -> Message:  # noqa: A002  # PyTine's name for it
        """Return the next frame of ``address`` and ``property``; the message stays valid.

        Waits no longer than the source's deadline. Raises SourceError when no frame arrives and DecodeError when what
        arrives is none.
        """
        ...

    def close(self) -> None:
        """Release everything the source holds; may be called twice."""
        ...
