"""The live page of a run, its scripts, and the stream of what is new (Server-Sent Events)."""

from __future__ import annotations

import asyncio
import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import soak.reporting.assets
from soak.errors import SoakError
from soak.reporting.figures.palette import series_colours
from soak.reporting.templating import OwnMarkup, render
from soak.web.live import LiveLook, LiveRun

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'"
)
EVERY_S = 1.0
LONGEST_SLEEP_S = 900.0
"""A page that takes nothing for this long loses its stream. It gets everything when it asks again."""
UNREADABLE = "This run cannot be read: its folder is gone, is not finished yet, or is damaged."
MOST_STREAMS = 32
"""Pages that are open at once. Each reads the run once a second."""
_ASSETS = Path(soak.reporting.assets.__file__).parent
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


def live_page(run: str) -> str:
    """Return the page of a run; what it shows comes by the stream."""
    return render("live.html", title=run, series_colours=OwnMarkup(series_colours()))


@cache
def asset(name: str) -> tuple[str, bytes] | None:
    """Return the type and the compressed content of a script or style sheet; None for any other name."""
    known = {file.name: file for file in _ASSETS.iterdir() if file.suffix in _TYPES}
    if name not in known:
        return None
    return _TYPES[known[name].suffix], gzip.compress(known[name].read_bytes(), mtime=0)


async def look(run: LiveRun) -> LiveLook | None:
    """Read what is new without holding up the server; None when the run cannot be read (any more)."""
    try:
        return await asyncio.get_running_loop().run_in_executor(None, run.look)
    except SoakError:
        return None


def events(found: LiveLook | None) -> str:
    """Write what is new as events, at least one; the last one says that no more will come."""
    if found is None:
        return _event("end", {"why": UNREADABLE})
    written = _event("series", found.begun) if found.begun else ""
    written += _event("readings", found.readings) if found.readings else ""
    written += _event("state", found.state) if found.state is not None else _event("beat", {})
    return written if found.is_running else written + _event("end", {})


def known(found: LiveLook | None) -> dict[str, Any]:
    """Return all that a first look has found, as one answer for a page that the stream does not reach."""
    if found is None:
        return {"series": [], "state": None, "has_ended": True, "why": UNREADABLE}
    return {"series": found.begun, "state": found.state, "has_ended": not found.is_running}


def _event(kind: str, content: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps(content, allow_nan=False)}\n\n"
