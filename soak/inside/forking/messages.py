"""Messages of plain values between the template and its parent, over pipes."""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from typing import Any

    Message = dict[str, Any]

_LENGTH_BYTES = 4


def receive(descriptor: int) -> Message | None:
    """Return the next message; None at the end of them."""
    head = _read(descriptor, _LENGTH_BYTES)
    body = _read(descriptor, int.from_bytes(head, "little")) if head else b""
    return dict(marshal.loads(body)) if body else None


def send(descriptor: int, message: Message) -> None:
    """Send one message."""
    body = marshal.dumps(message, 2)
    os.write(descriptor, len(body).to_bytes(_LENGTH_BYTES, "little") + body)


def _read(descriptor: int, size: int) -> bytes:
    parts = []
    while size:
        part = os.read(descriptor, size)
        if not part:
            return b""
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
