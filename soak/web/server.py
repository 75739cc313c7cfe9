"""The server: it answers only who has the token and names this machine as the host, and reads only the catalogue."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets, bind_unix_socket
from tornado.web import Application, ErrorHandler, HTTPError, RequestHandler, StaticFileHandler, _HandlerDelegate

from soak.errors import SoakError, UsageError
from soak.profiles import largest_part
from soak.reporting.formats.metrics import CONTENT_TYPE
from soak.web.access import Access
from soak.web.catalogue import Catalogue
from soak.web.embedded_snakeviz import STATIC, TEMPLATES, LoadedProfile, SnakeVizHandler
from soak.web.live import LiveRun, read_metrics
from soak.web.live_pages import (
    EVERY_S,
    LONGEST_SLEEP_S,
    MOST_STREAMS,
    PAGE_POLICY,
    asset,
    events,
    known,
    live_page,
    look,
)
from soak.web.pages import failure_page, index_page, part_words, undrawable_page

ADDRESS = "127.0.0.1"
_HOSTS = (ADDRESS, "localhost")
_LARGEST_BODY_BYTES = 4096
_MOST_FUNCTIONS, _MOST_CHARACTERS = 5_000, 2 * 2**20
"""Of a profile that is drawn: what a browser shows at once, in a page of a few MiB."""
_READERS_AT_A_TIME = 2
"""Limited, because each reader may use as much memory as soak.store.profile_reader allows."""

_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
)
# lodash compiles templates into functions, and a worker made from text computes the hierarchy, so the policy allows
# both. It forbids the content network that this worker would ask first; the worker then uses this server's libraries.
_SNAKEVIZ_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; worker-src blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _PAGE_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class _Viewer(RequestHandler):
    """The base of soak's own handlers."""

    def initialize(self, catalogue: Catalogue, readers: asyncio.Semaphore) -> None:
        self.catalogue = catalogue
        self.readers = readers

    def set_default_headers(self) -> None:
        _set_headers(self)

    def write_error(self, status_code: int, **_: Any) -> None:
        self.finish(failure_page(f"{status_code}", self._reason))


class _Index(_Viewer):
    def get(self) -> None:
        self.finish(index_page(self.catalogue.entries()))


class _Report(_Viewer):
    def get(self, entry: str) -> None:
        page = self.catalogue.read_report(entry)
        if page is None:
            raise HTTPError(404)
        self.finish(page)


class _ReportOfCell(_Viewer):
    """The report of one cell of a fleet; that of the fleet has a relative link to it."""

    def get(self, entry: str, cell: str) -> None:
        page = self.catalogue.read_report_of_cell(entry, cell)
        if page is None:
            raise HTTPError(404)
        self.finish(page)


class _Live(_Viewer):
    """The page of a run that goes on, or was cut off."""

    def get(self, entry: str) -> None:
        if self.catalogue.find_run(entry) is None:
            raise HTTPError(404)
        self.set_header("Content-Security-Policy", PAGE_POLICY)
        self.finish(live_page(entry))


class _LiveEvents(_Viewer):
    """The stream of what is new in a run, once a second until it ends or nobody listens."""

    streams = 0
    is_gone = False

    async def get(self, entry: str) -> None:
        folder = self.catalogue.find_run(entry)
        if folder is None:
            raise HTTPError(404)
        if _LiveEvents.streams >= MOST_STREAMS:
            raise HTTPError(503)
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")  # a proxy would keep the events until there are many
        _LiveEvents.streams += 1
        try:
            await self._tell(LiveRun(folder))
        except StreamClosedError:
            pass
        except TimeoutError:
            # The place of a computer that sleeps is for others; its page asks again when it wakes.
            self.detach().close()
        finally:
            _LiveEvents.streams -= 1

    async def _tell(self, run: LiveRun) -> None:
        while not self.is_gone:
            found = await look(run)
            self.write(events(found))
            # Waits while the browser takes nothing, so that nothing piles up here.
            await asyncio.wait_for(self.flush(), LONGEST_SLEEP_S)
            if found is None or not found.is_running:
                return
            await asyncio.sleep(EVERY_S)

    def on_connection_close(self) -> None:
        self.is_gone = True

    def send_error(self, status_code: int = 500, **reason: Any) -> None:
        """Answer with an error, unless the stream has begun: it just ends, as when the server is stopped."""
        if not self._headers_written:
            super().send_error(status_code, **reason)


class _LiveNow(_Viewer):
    """All that is known of a run, in one answer that ends: a proxy that holds back the stream passes it on."""

    async def get(self, entry: str) -> None:
        folder = self.catalogue.find_run(entry)
        if folder is None:
            raise HTTPError(404)
        self.finish(known(await look(LiveRun(folder))))


class _Metrics(_Viewer):
    """What is known of the runs that go on, and of the newest one, for Prometheus."""

    async def get(self) -> None:
        folders = self.catalogue.current_runs()
        content = await asyncio.get_running_loop().run_in_executor(None, read_metrics, folders)
        self.set_header("Content-Type", CONTENT_TYPE)
        self.finish(content)


class _Asset(_Viewer):
    def get(self, name: str) -> None:
        found = asset(name)
        if found is None:
            raise HTTPError(404)
        kind, content = found
        self.set_header("Content-Type", kind)
        self.set_header("Vary", "Accept-Encoding")
        if "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            self.finish(content)
        else:
            self.finish(gzip.decompress(content))


class _Profile(_Viewer, SnakeVizHandler):
    async def get(self, entry: str, name: str) -> None:
        profile = self.catalogue.find_profile(entry, name)
        if profile is None:
            raise HTTPError(404)
        try:
            async with self.readers:
                statistics = await asyncio.get_running_loop().run_in_executor(None, profile.load)
        except SoakError as error:
            self.set_status(422)
            self.finish(failure_page("This profile cannot be shown", str(error)))
            return
        part = largest_part(statistics, most_functions=_MOST_FUNCTIONS, most_characters=_MOST_CHARACTERS)
        if not any(callers for *_, callers in part.values()):
            self.finish(undrawable_page(name, statistics))
            return
        self.set_header("Content-Security-Policy", _SNAKEVIZ_POLICY)
        self.draw(LoadedProfile(name, part), part_words(len(part), len(statistics)))


class _Static(StaticFileHandler):
    """SnakeViz's scripts and pictures."""

    def set_default_headers(self) -> None:
        _set_headers(self)


class _Refused(ErrorHandler):
    def set_default_headers(self) -> None:
        _set_headers(self)


class _WithoutToken(_Refused):
    """Says where the token is."""

    def write_error(self, status_code: int, **_: Any) -> None:
        self.finish(failure_page(f"{status_code}", "Open the address that soak view has printed: it has the token."))


class _Admitted(RequestHandler):
    """Gives a browser that came with the token the cookie, and takes the token out of its address."""

    def initialize(self, cookie: str) -> None:
        self._cookie = cookie

    def set_default_headers(self) -> None:
        _set_headers(self)

    def get(self, *_: str) -> None:
        self.set_header("Set-Cookie", self._cookie)
        self.redirect(f"/{self.request.path.lstrip('/')}", status=303)


def _set_headers(handler: RequestHandler) -> None:
    handler.clear_header("Server")
    for name, value in _HEADERS.items():
        handler.set_header(name, value)


class Viewer(Application):
    """The application. It refuses every request without the token, and every one that names another host.

    A foreign page can bind a name of its own to this address and make the browser send requests here (DNS rebinding).
    Such a request has that name as its host.
    """

    def __init__(self, catalogue: Catalogue, access: Access, port: int | None) -> None:
        """Serve the catalogue. ``port``: on which requests come in; None for a Unix socket, where any may be named."""
        shared = {"catalogue": catalogue, "readers": asyncio.Semaphore(_READERS_AT_A_TIME)}
        super().__init__(
            [
                (r"/", _Index, shared),
                (r"/report/([^/]+)/?", _Report, shared),
                (r"/report/([^/]+)/([^/]+)/report\.html", _ReportOfCell, shared),
                (r"/live/([^/]+)", _Live, shared),
                (r"/live/([^/]+)/events", _LiveEvents, shared),
                (r"/live/([^/]+)/now", _LiveNow, shared),
                (r"/assets/([^/]+)", _Asset, shared),
                (r"/metrics", _Metrics, shared),
                (r"/snakeviz/([^/]+)/([^/]+)", _Profile, shared),
            ],
            default_handler_class=_Refused,
            default_handler_args={"status_code": 404},
            static_path=STATIC,
            static_handler_class=_Static,
            template_path=TEMPLATES,
            log_function=lambda _: None,
        )
        self._access = access
        self._port = port

    def find_handler(self, request: HTTPServerRequest, **settings: Any) -> _HandlerDelegate:
        """Find the handler of a request."""
        if not self._is_host(request.headers.get_list("Host")):
            return self.get_handler_delegate(request, _Refused, {"status_code": 403})
        if not self._access.allows(request):
            return self.get_handler_delegate(request, _WithoutToken, {"status_code": 403})
        is_browser = "text/html" in request.headers.get("Accept", "")
        if is_browser and request.method == "GET" and self._access.is_named(request):
            return self.get_handler_delegate(request, _Admitted, {"cookie": self._access.cookie_header()})
        return super().find_handler(request, **settings)

    def _is_host(self, named: list[str]) -> bool:
        if self._port is not None:
            return named in [[f"{host}:{self._port}"] for host in _HOSTS]
        return len(named) == 1 and named[0].partition(":")[0] in _HOSTS


async def serve(
    catalogue: Catalogue, access: Access, place: int | Path, until: Callable[[str], Awaitable[None]]
) -> None:
    """Serve until the awaitable that ``until(address)`` returns is done.

    ``place``: a port, 0 for any free one; or the path of a Unix socket that only this user may connect to. Raises
    UsageError when it is in use or not allowed.
    """
    listening, port = ([_bind_path(place)], None) if isinstance(place, Path) else _bind_port(place)
    server = HTTPServer(Viewer(catalogue, access, port), max_body_size=_LARGEST_BODY_BYTES)
    server.add_sockets(listening)
    try:
        await until(access.address_of(f"http://{ADDRESS}:{port}/" if port else f"http://{_HOSTS[1]}/"))
    finally:
        server.stop()
        if isinstance(place, Path):
            place.unlink(missing_ok=True)
        await server.close_all_connections()


def _bind_port(port: int) -> tuple[list[socket.socket], int]:
    try:
        sockets = bind_sockets(port, ADDRESS, family=socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise UsageError(f"--port {port}: {error}; without --port soak takes a free one") from error
    return sockets, sockets[0].getsockname()[1]


def _bind_path(path: Path) -> socket.socket:
    """Listen at a path; a socket there to which nobody listens any more is replaced."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as other:
        other.connect(str(path))
        raise UsageError(f"--socket {path}: another server listens there")
    try:
        return bind_unix_socket(str(path), mode=0o600)
    except (OSError, ValueError) as error:
        raise UsageError(f"--socket {path}: {error}") from error


def serve_until_interrupted(
    catalogue: Catalogue, access: Access, place: int | Path, announce: Callable[[str], None]
) -> None:
    """Serve in the main thread until Ctrl-C or SIGTERM; call ``announce(address)`` when the server is ready."""

    async def until(address: str) -> None:
        interrupted = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, interrupted.set)
        announce(address)
        await interrupted.wait()

    asyncio.run(serve(catalogue, access, place, until))
