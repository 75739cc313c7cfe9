"""Show profiles (in SnakeViz) and reports in the browser.

Without arguments: all runs. With RUN (a folder, or latest): that run. With .prof files
from any source: those profiles, and their sum. The server answers only this machine,
and only requests with the token in the address that it prints. Stop it with Ctrl-C.

  soak view
  soak view latest --no-browser
  soak view before.prof after.prof --port 8080
  soak view --no-browser --port 8080 --token-file ~/.soak-token     (for Prometheus)
  soak view --socket ~/view.sock
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import webbrowser
from contextlib import ExitStack
from html import escape
from pathlib import Path

from soak.commands.arguments import add_out_argument, runs_folder
from soak.errors import UsageError
from soak.store.profiles import find_viewable

_SUFFIX = ".prof"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``soak view``."""
    parser.add_argument("what", nargs="*", metavar="RUN | FILE.prof", help="a run, or profiles (default: all runs)")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--port", type=int, default=0, metavar="N", help="the server's port (default: any free port)")
    place.add_argument("--socket", type=Path, metavar="PATH", help="listen on this Unix socket; only you may use it")
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="read the token from this file; create it if it is missing (default: a new token)",
    )
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

    from soak.web.access import Access, kept_token, new_token
    from soak.web.catalogue import Catalogue
    from soak.web.server import serve_until_interrupted

    catalogue = Catalogue(out, only=only, files=files)
    access = Access(kept_token(options.token_file) if options.token_file else new_token())
    with ExitStack() as at_end:

        def announce(address: str) -> None:
            if options.socket:
                print(options.socket)
            print(address, flush=True)
            if not (options.no_browser or options.socket):
                open_in_browser(address, at_end)

        serve_until_interrupted(catalogue, access, options.socket or options.port, announce)
    return 0


def open_in_browser(address: str, at_end: ExitStack) -> None:
    """Open an address in the browser by way of a page that only this user may read.

    Everybody can read the command line of the browser. The page is removed ``at_end``.
    """
    folder = Path(at_end.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
    page = folder / "open.html"
    page.write_text(f'<!DOCTYPE html><meta http-equiv="refresh" content="0; url={escape(address)}">', encoding="utf-8")
    # webbrowser.open() waits for some browsers until they close.
    threading.Thread(target=webbrowser.open, args=(page.as_uri(),), daemon=True).start()
