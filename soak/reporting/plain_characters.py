"""Output to a stream that cannot take every character: a plain one for each that soak writes, a code for others."""

from __future__ import annotations

import codecs
from typing import Any

_PLAIN = {
    "–": "-",
    "…": "...",
    "×": "x",
    "±": "+-",
    "≤": "<=",
    "·": "-",
    "µ": "u",
    "Δ": "d",
    "→": "->",
    "°": " deg ",
    "▲": "!",
    "▼": "v",
    "●": "*",
    "◐": "~",
    "✕": "x",
    "\N{REPLACEMENT CHARACTER}": "?",
}
_HANDLER = "soak-plain"


def use_plain_characters(*streams: Any) -> None:
    """Let streams of another encoding than UTF-8 take any text; those that cannot be changed stay as they are."""
    codecs.register_error(_HANDLER, _replace)
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    plain = (_PLAIN.get(each) or each.encode("ascii", "backslashreplace").decode() for each in characters)
    return "".join(plain), error.end
