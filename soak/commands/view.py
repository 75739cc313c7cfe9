"""Show profiles (in SnakeViz) and reports in the browser.

Without arguments: all runs. With RUN (a folder, or latest): that run. With .prof files
from any source: those profiles, and their sum. The server answers this machine only.
Stop it with Ctrl-C.

  soak view
  soak view latest --no-browser
  soak view before.prof after.prof --port 8080
"""

from __future__ import annotations

import argparse
import threading
import webbrowser
from pathlib import Path

from soak.commands.arguments import add_out_argument, runs_folder
from soak.errors import UsageError
from soak.store.profiles import find_viewable

_SUFFIX = ".prof"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak view``."""
    parser.add_argument("what", nargs="*", metavar="RUN | FILE.prof", help="a run, or profiles (default: all runs)")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="the server's port (default: any free port)")
    parser.add_argument("--no-browser", action="store_true", help="print the address, but open no browser")
    add_out_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    files = [Path(text) for text in options.what if text.endswith(_SUFFIX)]
    if len(options.what) - len(files) > (0 if files else 1):
        raise UsageError("name one run, or any number of .prof files, not both")
    for file in files:
        if not file.is_file():
            raise UsageError(f"there is no file {file}")
    out, only = runs_folder(options), None
    if options.what and not files:
        folder = find_viewable(options.what[0], out)
        out, only = folder.parent, folder.name

    from soak.web.catalogue import Catalogue
    from soak.web.server import serve_until_interrupted

    catalogue = Catalogue(out, only=only, files=files)
    serve_until_interrupted(catalogue, options.port, lambda address: _announce(address, not options.no_browser))
    return 0


def _announce(address: str, in_browser: bool) -> None:
    print(address, flush=True)
    if in_browser:
        # webbrowser.open() waits for some browsers until they close.
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
