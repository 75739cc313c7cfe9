"""Servers, workers and pools as people run them, with the work that each gets. `services.py` watches them.

A new one is an entry of `SERVERS`; the applications are in `served/`.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SERVED = Path(__file__).resolve().parent / "served"
sys.path.append(str(SERVED))

from random_times import pauses  # noqa: E402 - the applications take their times from there too

ROUTES = ("/report", "/ok", "/items/17")
RATE_HZ = 100.0
RESULT = "result.json"
"""The file in the folder of a watch that has its result at the end."""
_REQUESTS_PER_CONNECTION = 16
"""A server of several workers gives all requests of one connection to one of them."""
_CLIENTS = 8
"""At once. One that waits for each answer asks a server of 40 ms only 25 times a second: uvicorn's workers send head
and body apart, and the kernel holds the body back until the head is acknowledged."""
_LONGEST_START_S = 60.0


@dataclass(frozen=True)
class Server:
    """One way to serve an application."""

    arguments: tuple[str, ...]
    """Of Python. ``{port}`` is where it listens."""
    needs: str = ""
    """The package without which it cannot run."""
    mark: str = ""
    """What ``soak watch --mark`` marks in it."""
    label: str = ""
    """The label of the cycles that keep something."""
    load: str = "itself"
    """Who gives it work: ``http``, ``celery``, or the program itself."""
    file: str = "web.py"
    """Where it keeps something, in the line that says ``# kept``."""
    environment: Mapping[str, str] = field(default_factory=dict)
    replaced: bool = False
    """Its workers are replaced before a leak in them can be told from a cache."""

    def line(self) -> int:
        """Return the line that allocates what a leaking one keeps."""
        lines = (SERVED / self.file).read_text(encoding="utf-8").splitlines()
        return next(number for number, text in enumerate(lines, 1) if text.endswith("# kept"))


def _uvicorn(application: str, *arguments: str) -> Server:
    command = ("-m", "uvicorn", application, "--port", "{port}", "--log-level", "error", *arguments)
    return Server(command, "uvicorn", "asgi", "GET /report", "http")


def _gunicorn(application: str, *arguments: str) -> Server:
    command = ("-m", "gunicorn", application, "-b", "127.0.0.1:{port}", "--log-level", "error", *arguments)
    return Server(command, "gunicorn", "wsgi", "GET /report", "http")


def _celery(*arguments: str) -> Server:
    # Workers tell each other what they do through the broker, and one that reads half of such a message in a file ends.
    alone = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    command = ("-m", "celery", "-A", "tasks", "worker", "--loglevel", "ERROR", *alone, *arguments)
    return Server(command, "celery", "celery", "tasks.report", "celery", "tasks.py")


def _pool(name: str, needs: str = "", *, replaced: bool = False) -> Server:
    pool = {"SERVED_POOL": name}
    work = "workers.work"
    return Server(("workers.py",), needs, work, work, file="workers.py", environment=pool, replaced=replaced)


SERVERS = {
    "uvicorn": _uvicorn("web:asgi"),
    "uvicorn --workers 2": _uvicorn("web:asgi", "--workers", "2"),
    "gunicorn -w 1": _gunicorn("web:wsgi", "-w", "1"),
    "gunicorn -w 2": _gunicorn("web:wsgi", "-w", "2"),
    "gunicorn --max-requests": _gunicorn("web:wsgi", "-w", "2", "--max-requests", "600"),
    "gunicorn --threads": _gunicorn("web:wsgi", "-w", "2", "--threads", "4"),
    "Flask in gunicorn": _gunicorn("flask_web:app", "-w", "2"),
    "FastAPI in uvicorn": _uvicorn("fastapi_web:app", "--workers", "2"),
    "Celery, prefork": _celery("-c", "2"),
    "Celery, solo": _celery("--pool", "solo"),
    "Pool, fork": _pool("fork"),
    "Pool, spawn": _pool("spawn"),
    "Pool, forkserver": _pool("forkserver"),
    "Pool, maxtasksperchild": _pool("replaced", replaced=True),
    "ProcessPoolExecutor": _pool("executor"),
    "loky": _pool("loky", "loky"),
}


def is_there(python: str, name: str) -> bool:
    """Tell whether an interpreter has what a server needs."""
    needs = SERVERS[name].needs
    return (
        not needs or subprocess.run([python, "-c", f"import {needs}"], capture_output=True, check=False).returncode == 0
    )


@dataclass(frozen=True)
class Started:
    """A server that runs."""

    port: int
    process: subprocess.Popen[str]
    """The server, or soak that has started it."""


@contextlib.contextmanager
def serving(python: str, name: str, folder: Path, kind: str, watching: Sequence[str] | None) -> Iterator[Started]:
    """Run a server, under soak where ``watching`` has its options; ``kind``: leak or repaired."""
    server, port = SERVERS[name], free_port()
    command = [python, *(part.format(port=port) for part in server.arguments)]
    if watching is not None:
        files = ("--json", str(folder / RESULT), "--out", str(folder / "runs"))
        soak = [sys.executable, "-m", "soak", "watch", *watching, *files]
        command = [*soak, "--", *command]
    process = subprocess.Popen(
        command,
        cwd=SERVED,
        env=environment(name, folder, kind),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if server.load == "http":
            wait_for(port, process)
        yield Started(port, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT if watching is not None else signal.SIGTERM)
        process.communicate(timeout=120)


def environment(name: str, folder: Path, kind: str) -> dict[str, str]:
    """Return the environment of a server."""
    own = {"SERVED_KIND": kind, "SERVED_FOLDER": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(folder)}
    return {**os.environ, **own, **SERVERS[name].environment}


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    """Wait until a server answers. Raises RuntimeError if it does not start."""
    ends_s = time.monotonic() + _LONGEST_START_S
    while time.monotonic() < ends_s and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")


@contextlib.contextmanager
def work_for(python: str, name: str, folder: Path, port: int) -> Iterator[None]:
    """Give a server work for as long as this lasts."""
    load = SERVERS[name].load
    if load == "http":
        stopping = threading.Event()
        clients = [threading.Thread(target=ask_at_random, args=(port, stopping, seed)) for seed in range(_CLIENTS)]
        for client in clients:
            client.start()
        try:
            yield
        finally:
            stopping.set()
            for client in clients:
                client.join()
    elif load == "celery":
        asking_process = subprocess.Popen(
            [python, "tasks.py", f"{RATE_HZ:g}"], cwd=SERVED, env=environment(name, folder, "repaired")
        )
        try:
            yield
        finally:
            asking_process.kill()
            asking_process.wait()
    else:
        yield


def ask_at_random(port: int, stopping: threading.Event, seed: int) -> None:
    """Ask for random routes at random times, as one of the clients, until ``stopping`` is set."""
    rng = random.Random(seed)
    connection = None
    for asked, _ in enumerate(pauses(rng, RATE_HZ / _CLIENTS, stopping.is_set, stopping.wait)):
        if connection is None or asked % _REQUESTS_PER_CONNECTION == 0:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", rng.choice(ROUTES))
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):  # a worker has just been replaced, or the server has gone
            connection = None
