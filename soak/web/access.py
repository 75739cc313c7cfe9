"""Who may read: those who have the token, which only the user who started the server was told.

Any user of a machine can send requests to a port of it, also from outside a home that others may not enter.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from http.cookies import Morsel
from pathlib import Path
from urllib.parse import urlencode

from tornado.httputil import HTTPServerRequest

from soak.errors import UsageError

ARGUMENT = "token"
"""The query's name for the token."""
_BYTES = 24
_LEAST_CHARACTERS = 16
_LARGEST_FILE_BYTES = 4096
_SCHEME = "bearer"


class Access:
    """Tells by a request's token or cookie whether it is answered."""

    def __init__(self, token: str) -> None:
        """Answer requests with this token."""
        self.token = token
        self._expected = token.encode()
        # Browsers send a cookie to every port of a host, so it is not the token itself.
        self._cookie = hmac.digest(self._expected, b"the cookie of soak view", "sha256").hex()
        self.cookie_name = f"soak-{self._cookie[:12]}"

    def address_of(self, base: str) -> str:
        """Return the address that lets in who opens it."""
        return f"{base}?{urlencode({ARGUMENT: self.token})}"

    def allows(self, request: HTTPServerRequest) -> bool:
        """Whether the request has the token, in the query or as ``Authorization: Bearer …``, or the cookie."""
        cookie: Morsel[str] | None = request.cookies.get(self.cookie_name)
        has_cookie = cookie is not None and hmac.compare_digest(cookie.value.encode(), self._cookie.encode())
        return self.is_named(request) or self._is_in_header(request) or has_cookie

    def is_named(self, request: HTTPServerRequest) -> bool:
        """Whether the token is in the query."""
        named = request.query_arguments.get(ARGUMENT, [])
        return len(named) == 1 and hmac.compare_digest(named[0], self._expected)

    def _is_in_header(self, request: HTTPServerRequest) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        is_token = hmac.compare_digest(token.strip().encode(), self._expected)
        return scheme.lower() == _SCHEME and is_token

    def cookie_header(self) -> str:
        """Return the header's value that gives a browser the cookie: for this host, hidden from scripts."""
        return f"{self.cookie_name}={self._cookie}; Path=/; HttpOnly; SameSite=Lax"


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(_BYTES)


def kept_token(file: Path) -> str:
    """Return the token in a file, which is made when it is missing. Raises UsageError if others may read it."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return _write_token(file)
    except OSError as error:
        raise UsageError(f"--token-file {file}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"--token-file {file}: not a regular file")
        if found.st_mode & stat.S_IRWXO:
            raise UsageError(f"--token-file {file}: every user of this machine may read it; chmod o= {file}")
        token = opened.read(_LARGEST_FILE_BYTES + 1).decode("ascii", "replace").strip()
    if not (_LEAST_CHARACTERS <= len(token) <= _LARGEST_FILE_BYTES and token.isascii() and token.isprintable()):
        raise UsageError(f"--token-file {file}: a token is one line of {_LEAST_CHARACTERS} or more characters")
    return token


def _write_token(file: Path) -> str:
    token = new_token()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as made:
            made.write(f"{token}\n")
    except OSError as error:
        raise UsageError(f"--token-file {file}: {error.strerror}") from error
    return token
