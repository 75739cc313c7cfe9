"""How loopback client and server talk: one line asks, a length-prefixed answer follows.

Request: ``address TAB property NEWLINE`` in UTF-8. Answer: status (0 = a block follows, 1 = a message for a person) and
length of what follows, both u32 little endian.
"""

from __future__ import annotations

import struct
from typing import Final

ANSWER: Final = struct.Struct("<II")
FRAME: Final = 0
REFUSAL: Final = 1
LONGEST_REQUEST_BYTES: Final = 1024


def request_line(address: str, image_property: str) -> bytes:
    """Return the request for one frame. Raises ValueError for names with a tab, a newline or beyond 1024 bytes."""
    line = f"{address}\t{image_property}\n".encode()
    if line.count(b"\t") != 1 or line.count(b"\n") != 1 or len(line) > LONGEST_REQUEST_BYTES:
        raise ValueError(f"address or property cannot be asked for: {address!r} {image_property!r}")
    return line
