"""``soak.asgi(app)`` and ``soak.wsgi(app)``: each request of a web application is a cycle, labelled with its route."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from soak.inside.marking.marks import begin, is_counting, name_cycle

_LONGEST_WORD, _MOST_PATHS = 32, 256
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF-")

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    Scope = MutableMapping[str, Any]
    AsgiApp = Callable[[Scope, Callable[..., Awaitable[Any]], Callable[..., Awaitable[Any]]], Awaitable[Any]]
    WsgiApp = Callable[[Any, Any], Iterable[bytes]]


def asgi(app: AsgiApp) -> AsgiApp:
    """Return an ASGI application that marks each request of ``app``; ``app`` itself when the process is not watched.

    The label is the method with the route, as Starlette and FastAPI name it, else the path with ``*`` for numbers and
    identifiers.
    """
    if not is_counting():
        return app

    async def marked(scope: Scope, receive: Any, send: Any) -> Any:
        if scope["type"] == "lifespan":
            return await app(scope, receive, send)
        number = begin()
        try:
            return await app(scope, receive, send)
        finally:
            name_cycle(number, _asgi_label(scope))

    return marked


def wsgi(app: WsgiApp) -> WsgiApp:
    """Return a WSGI application that marks each request of ``app``; ``app`` itself when the process is not watched.

    The label is the method with the route, as Flask names it, else the path with ``*`` for numbers and identifiers.
    """
    if not is_counting():
        return app

    def marked(environ: Any, start_response: Any) -> Iterable[bytes]:
        number = begin()
        try:
            return app(environ, start_response)
        finally:
            name_cycle(number, _wsgi_label(environ))

    return marked


def _asgi_label(scope: Scope) -> str:
    path = getattr(scope.get("route"), "path", None)
    method = scope.get("method") or scope.get("type", "")
    return "%s %s" % (method, path if isinstance(path, str) else _pattern(str(scope.get("path", ""))))


def _wsgi_label(environ: Any) -> str:
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    path = getattr(rule, "rule", None)
    method = environ.get("REQUEST_METHOD", "")
    return "%s %s" % (method, path if isinstance(path, str) else _pattern(str(environ.get("PATH_INFO", ""))))


_whole_paths: set[str] = set()
"""Paths of which no part is an identifier: to look at each part takes the program longer than all else of a mark."""


def _pattern(path: str) -> str:
    """Return a path with ``*`` for each part that is a number or an identifier."""
    if path in _whole_paths:
        return path
    pattern = "/".join("*" if _is_identifier(part) else part for part in path.split("/"))
    if pattern == path and len(_whole_paths) < _MOST_PATHS:
        _whole_paths.add(path)
    return pattern


def _is_identifier(part: str) -> bool:
    if len(part) > _LONGEST_WORD or part.isdigit():
        return True
    return len(part) >= 8 and _HEXADECIMAL.issuperset(part) and any(letter.isdigit() for letter in part)
