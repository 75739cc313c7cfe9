"""A web application for ASGI and for WSGI. A request for /report keeps 1 kB, or nothing: the environment says which."""

import json
import os

LEAKS = os.environ.get("SERVED_KIND") == "leak"
BODY = json.dumps({"items": list(range(250))}).encode()
HEADERS = (("content-type", "application/json"), ("content-length", str(len(BODY))))

kept = []


def answer(path):
    """Return the body of an answer."""
    data = bytearray(1000)  # kept
    if path == "/report" and LEAKS:
        kept.append(data)
    return BODY


async def asgi(scope, receive, send):
    """Answer a request, as ASGI has it."""
    if scope["type"] != "http":
        return
    headers = [(name.encode(), value.encode()) for name, value in HEADERS]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer(scope["path"])})


def wsgi(environ, start_response):
    """Answer a request, as WSGI has it."""
    start_response("200 OK", list(HEADERS))
    return [answer(environ["PATH_INFO"])]
