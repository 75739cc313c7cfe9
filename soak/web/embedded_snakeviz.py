"""SnakeViz's own handler, made safe in what it reads and writes.

By itself it opens any path that the address names, unmarshals the file in the server, and writes Python's repr of the
content into a script.
"""

from __future__ import annotations

import json
import os
from typing import Any

import tornado.autoreload
from tornado.escape import xhtml_escape
from tornado.web import RequestHandler

from soak.profiles import Statistics
from soak.store.profile_files import to_pstats


def _import_snakeviz() -> Any:
    """Import SnakeViz's server without tornado's autoreload, which it would start during the import."""
    start = tornado.autoreload.start
    tornado.autoreload.start = lambda *_: None
    try:
        import snakeviz.main
    finally:
        tornado.autoreload.start = start
    return snakeviz.main


_snakeviz = _import_snakeviz()
_VizHandler: Any = _snakeviz.VizHandler
TEMPLATES: str = _snakeviz.settings["template_path"]
STATIC: str = _snakeviz.settings["static_path"]


class LoadedProfile(os.PathLike[str]):
    """A loaded profile that SnakeViz's handler takes for a file name, and pstats for a finished profiler."""

    def __init__(self, name: str, statistics: Statistics) -> None:
        self.name = name
        self.stats = to_pstats(statistics).stats  # type: ignore[attr-defined]  # the stubs leave it out

    def __fspath__(self) -> str:
        """Return a path at which neither a file nor a folder can exist."""
        return f"{os.devnull}/profile"

    def create_stats(self) -> None:
        """Do nothing: the statistics are complete."""


class SnakeVizHandler(_VizHandler):  # type: ignore[misc]  # it has no types
    """Draws loaded profiles."""

    notice = ""

    def draw(self, profile: LoadedProfile, notice: str = "") -> None:
        """Answer with SnakeViz's page, under a ``notice``. The profile must have a function that calls another."""
        self.notice = notice
        super().get(profile)

    def render(self, template_name: str, **values: Any) -> Any:
        """Render SnakeViz's template with values that cannot end the script around them."""
        page = RequestHandler.render_string(
            self,
            template_name,
            profile_name=values["profile_name"].name,
            table_rows=_script_json(values["table_rows"]),
            callees=_script_json(values["callees"]),
        )
        notice = f"<body><p>{xhtml_escape(self.notice)}</p>" if self.notice else "<body>"
        return self.finish(page.replace(b"<body>", notice.encode(), 1))


def _script_json(value: Any) -> str:
    """Write JSON that is safe inside a script element: ``<`` cannot begin an end tag or a comment."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
