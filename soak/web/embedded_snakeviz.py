"""SnakeViz's own handler, with everything it reads and writes put under guard.

By itself it opens whatever path the address names, unmarshals it in the server, and writes Python's repr of what it
finds into a script.
"""

from __future__ import annotations

import json
import os
from typing import Any

import tornado.autoreload
from tornado.web import RequestHandler

from soak.profiles import Statistics
from soak.store.profile_files import to_pstats


def _import_snakeviz() -> Any:
    """Import SnakeViz's server, which starts tornado's autoreload as it is imported: that must not watch us."""
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
    """Passes for a file's name with SnakeViz's handler, and with pstats for a profiler that has ended."""

    def __init__(self, name: str, statistics: Statistics) -> None:
        self.name = name
        self.stats = to_pstats(statistics).stats  # type: ignore[attr-defined]  # the stubs leave it out

    def __fspath__(self) -> str:
        """Return a path at which there can be nothing, neither file nor folder."""
        return f"{os.devnull}/profile"

    def create_stats(self) -> None:
        """Have them ready already."""


class SnakeVizHandler(_VizHandler):  # type: ignore[misc]  # it has no types
    """Draws profiles that were loaded already."""

    def draw(self, profile: LoadedProfile) -> None:
        """Answer with SnakeViz's page. The profile must have a function that calls another."""
        super().get(profile)

    def render(self, template_name: str, **values: Any) -> Any:
        """Render SnakeViz's template with values that cannot end the script they stand in."""
        return RequestHandler.render(
            self,
            template_name,
            profile_name=values["profile_name"].name,
            table_rows=_script_json(values["table_rows"]),
            callees=_script_json(values["callees"]),
        )


def _script_json(value: Any) -> str:
    """Write JSON that is safe inside a script element: ``<`` cannot begin an end tag or a comment."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
