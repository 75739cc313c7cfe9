"""The server: it listens on the loopback address, answers only requests for that host, and reads only the catalogue."""

from __future__ import annotations

import asyncio
import gzip
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, ErrorHandler, HTTPError, RequestHandler, StaticFileHandler, _HandlerDelegate

from soak.errors import SoakError, UsageError
from soak.reporting.formats.metrics import CONTENT_TYPE
from soak.web.catalogue import Catalogue
from soak.web.embedded_snakeviz import STATIC, TEMPLATES, LoadedProfile, SnakeVizHandler
from soak.web.live import LiveRun, read_metrics
from soak.web.live_pages import EVERY_S, MOST_STREAMS, PAGE_POLICY, asset, events, live_page, look
from soak.web.pages import failure_page, index_page, undrawable_page

ADDRESS = "127.0.0.1"
_HOSTS = (ADDRESS, "localhost")
_LARGEST_BODY_BYTES = 4096
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
        finally:
            _LiveEvents.streams -= 1

    async def _tell(self, run: LiveRun) -> None:
        while not self.is_gone:
            found = await look(run)
            self.write(events(found))
            # Waits while the browser takes nothing, so that nothing piles up here.
            await self.flush()
            if found is None or not found.is_running:
                return
            await asyncio.sleep(EVERY_S)

    def on_connection_close(self) -> None:
        self.is_gone = True

    def send_error(self, status_code: int = 500, **reason: Any) -> None:
        """Answer with an error, unless the stream has begun: it just ends, as when the server is stopped."""
        if not self._headers_written:
            super().send_error(status_code, **reason)


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
        if not any(callers for *_, callers in statistics.values()):
            self.finish(undrawable_page(name, statistics))
            return
        self.set_header("Content-Security-Policy", _SNAKEVIZ_POLICY)
        self.draw(LoadedProfile(name, statistics))


class _Static(StaticFileHandler):
    """SnakeViz's scripts and pictures."""

    def set_default_headers(self) -> None:
        _set_headers(self)


class _Refused(ErrorHandler):
    def set_default_headers(self) -> None:
        _set_headers(self)


def _set_headers(handler: RequestHandler) -> None:
    handler.clear_header("Server")
    for name, value in _HEADERS.items():
        handler.set_header(name, value)


class Viewer(Application):
    """The application. It refuses every request that does not name this server as its host.

    A foreign page can bind a name of its own to this address and make the browser send requests here (DNS rebinding).
    Such a request has that name as its host.
    """

    def __init__(self, catalogue: Catalogue, port: int) -> None:
        shared = {"catalogue": catalogue, "readers": asyncio.Semaphore(_READERS_AT_A_TIME)}
        super().__init__(
            [
                (r"/", _Index, shared),
                (r"/report/([^/]+)", _Report, shared),
                (r"/live/([^/]+)", _Live, shared),
                (r"/live/([^/]+)/events", _LiveEvents, shared),
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
        self._hosts = {f"{host}:{port}" for host in _HOSTS}

    def find_handler(self, request: HTTPServerRequest, **settings: Any) -> _HandlerDelegate:
        """Find the handler of a request."""
        if request.headers.get_list("Host") not in [[host] for host in self._hosts]:
            return self.get_handler_delegate(request, _Refused, {"status_code": 403})
        return super().find_handler(request, **settings)


async def serve(catalogue: Catalogue, port: int, until: Callable[[str], Awaitable[None]]) -> None:
    """Serve until the awaitable that ``until(address)`` returns is done.

    ``port``: 0 for any free port. Raises UsageError when the port is in use or not allowed.
    """
    try:
        sockets = bind_sockets(port, ADDRESS, family=socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise UsageError(f"--port {port}: {error}; without --port soak takes a free one") from error
    own_port = sockets[0].getsockname()[1]
    server = HTTPServer(Viewer(catalogue, own_port), max_body_size=_LARGEST_BODY_BYTES)
    server.add_sockets(sockets)
    try:
        await until(f"http://{ADDRESS}:{own_port}/")
    finally:
        server.stop()
        await server.close_all_connections()


def serve_until_interrupted(catalogue: Catalogue, port: int, announce: Callable[[str], None]) -> None:
    """Serve in the main thread until Ctrl-C or SIGTERM; call ``announce(address)`` when the server is ready."""

    async def until(address: str) -> None:
        interrupted = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, interrupted.set)
        announce(address)
        await interrupted.wait()

    asyncio.run(serve(catalogue, port, until))
