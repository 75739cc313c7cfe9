"""The protocol of loopback client and server: a request of one line, then an answer with its length in front.

Request: ``address TAB property NEWLINE`` in UTF-8. Answer: status (0 = a block follows, 1 = a message for a person) and
the length of what follows, both u32 little endian.
"""

from __future__ import annotations

import struct
from typing import Final

ANSWER: Final = struct.Struct("<II")
FRAME: Final = 0
REFUSAL: Final = 1
LONGEST_REQUEST_BYTES: Final = 1024


def request_line(address: str, image_property: str) -> bytes:
    """Return the request for one frame. Raises ValueError for a name with a tab or newline, or beyond 1024 bytes."""
    line = f"{address}\t{image_property}\n".encode()
    if line.count(b"\t") != 1 or line.count(b"\n") != 1 or len(line) > LONGEST_REQUEST_BYTES:
        raise ValueError(f"cannot request this address or property: {address!r} {image_property!r}")
    return line
