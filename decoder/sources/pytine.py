"""Frames from a real TINE control system, where the closed module PyTine is installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Self

from decoder.errors import SourceError
from decoder.message import Message


class PyTineSource:
    """Gets frames through PyTine; a context manager. Raises SourceError when PyTine cannot be imported.

    The first `get` of an address starts a listener inside PyTine, and later ones read from it. ``close`` stops every
    listener and detaches every link of this source; otherwise they stay until the process ends.
    """

    def __init__(self) -> None:
        try:
            self._pytine = importlib.import_module("PyTine")
        except ImportError as error:
            raise SourceError(f"PyTine cannot be imported ({error}); use the loopback source instead") from error
        self._listening: set[tuple[str, str]] = set()
        self._links: set[Any] = set()

    def get(self, address: str, property: str) -> Message:  # noqa: A002  # PyTine's name for it
        """Return the newest frame, in either of PyTine's shapes; see ``ImageSource.get``."""
        self._listening.add((address, property))
        try:
            message: Message = self._pytine.get(address, property)
        except Exception as error:
            # PyTine documents no error class.
            raise SourceError(f"PyTine cannot get {property!r} of {address!r}: {error}") from error
        return message

    def attach(
        self,
        address: str,
        property: str,  # noqa: A002  # PyTine's name for it
        callback: Callable[[int, int, Mapping[str, Any]], object],
        interval_ms: int = 1000,
    ) -> int:
        """Have ``callback(id, completion_code, data)`` called with new frames; return the link's id for ``detach``."""
        link: int = self._pytine.attach(address=address, property=property, callback=callback, interval=interval_ms)
        self._links.add(link)
        return link

    def detach(self, link: int) -> None:
        """End a link made by ``attach``."""
        self._links.discard(link)
        self._pytine.detach(link)

    def close(self) -> None:
        """Detach every link and stop every listener."""
        while self._links:
            self._pytine.detach(self._links.pop())
        while self._listening:
            # A failed `get` may or may not have left a listener, and PyTine may refuse to stop a missing one.
            with suppress(Exception):
                self._pytine.stop_get(*self._listening.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_installed() -> bool:
    """Whether PyTine can be found, without importing it."""
    return importlib.util.find_spec("PyTine") is not None
