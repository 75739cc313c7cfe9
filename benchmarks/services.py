"""Real web servers under `soak watch`: leaks found with their line, repaired twins, and what the tracker costs them.

    python benchmarks/services.py --python .venv-services/bin/python
    python benchmarks/services.py --python … --servers uvicorn --runs 20 --seconds 60
    python benchmarks/services.py --python … --cost-only --json -

``--python`` is an interpreter that has uvicorn or gunicorn; a server that it lacks is left out. Each application has a
route that keeps 1 kB a request, and a repaired twin. Requests come at random times, 100 a second, in a mix of routes,
after some idle seconds. The cost is measured as fast as one client can ask, in turn with and without soak.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from measuring import Figure, at_least, at_most, equal, make_parser, publish, say, scratch_folder, shown

APPLICATION = """
import json

kept = []
BODY = json.dumps({"items": list(range(250))}).encode()


def answer(path, leaks):
    data = bytearray(1000)
    if path == "/report" and leaks:
        kept.append(data)
    return BODY


def make_asgi(leaks):
    async def application(scope, receive, send):
        if scope["type"] != "http":
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer(scope["path"], leaks)})

    return application


def make_wsgi(leaks):
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))])
        return [answer(environ["PATH_INFO"], leaks)]

    return application


asgi_leak, asgi_repaired, wsgi_leak, wsgi_repaired = (make(on) for make in (make_asgi, make_wsgi) for on in (1, 0))
"""
LEAK_LINE = 9
"""Where the application allocates what it keeps."""
ROUTES = ("/report", "/ok", "/items/17")
SERVERS = {
    "uvicorn": ("asgi", ("-m", "uvicorn", "served:asgi_{kind}", "--port", "{port}", "--log-level", "error")),
    "gunicorn": ("wsgi", ("-m", "gunicorn", "-w", "1", "served:wsgi_{kind}", "-b", "127.0.0.1:{port}")),
}
RATE_HZ, IDLE_S, BURST_S = 100.0, 4.0, 1.5
_LONGEST_START_S = 30.0


@dataclass(frozen=True)
class Answers:
    """Requests that were answered, and how long each took."""

    latencies_s: Sequence[float]
    seconds: float
    cpu_s: float = 0.0
    """Processor time of the server."""

    @property
    def rate_hz(self) -> float:
        """Requests a second."""
        return len(self.latencies_s) / self.seconds

    @property
    def p99_s(self) -> float:
        """The latency that one in a hundred exceeds."""
        return sorted(self.latencies_s)[int(0.99 * len(self.latencies_s))]


def main() -> int:
    """Measure and print the table."""
    options = parse_arguments()
    figures: list[Figure] = []
    details: dict[str, Any] = {}
    with scratch_folder() as folder:
        (folder / "served.py").write_text(APPLICATION, encoding="utf-8")
        for name in options.servers:
            if not has_server(options.python, name):
                say(f"{name}: {options.python} does not have it")
                continue
            if not options.cost_only:
                figures += verdicts(options, name, folder, details)
            figures += costs(options, name, folder, details)
    return publish("services", figures, details, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the servers (this one)")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS), help="which (all)")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="watches of each application (3)")
    parser.add_argument("--seconds", type=float, default=45.0, metavar="S", help="of each watch (45)")
    parser.add_argument("--bursts", type=int, default=12, metavar="N", help="bursts of requests for the cost (12)")
    parser.add_argument("--cost-only", action="store_true", help="measure the cost alone")
    return parser.parse_args()


def has_server(python: str, name: str) -> bool:
    """Tell whether an interpreter has a server."""
    return subprocess.run([python, "-c", f"import {name}"], capture_output=True, check=False).returncode == 0


def verdicts(options: argparse.Namespace, name: str, folder: Path, details: dict[str, Any]) -> list[Figure]:
    """Watch both twins several times, with marks, and the leaking one without."""
    marks = ("--mark", SERVERS[name][0])
    kinds = {"leak": ("leak", marks), "repaired": ("repaired", marks), "leak, no marks": ("leak", ())}
    runs: dict[str, list[dict[str, Any]]] = {label: [] for label in kinds}
    for number in range(1, options.runs + 1):
        for label, (kind, arguments) in kinds.items():
            runs[label].append(watch_under_load(options, name, folder, kind, arguments))
            say(f"{name}, {label}, {number} of {options.runs}: {runs[label][-1]}")
    details[name] = runs
    figures = []
    for label, found in runs.items():
        if label == "repaired":
            blamed = sum(run["verdict"] == "LEAK" or run["confirmed"] > 0 for run in found)
            figures.append(equal(f"{name}, repaired: LEAK, or a place called leaking", blamed, "runs", 0))
            figures.append(shown(f"{name}, repaired: CLEAN", sum(run["verdict"] == "CLEAN" for run in found), "runs"))
            continue
        right = sum(run["verdict"] == "LEAK" and run["line"] == LEAK_LINE for run in found)
        seconds = [run["seconds_to_leak"] for run in found if run["seconds_to_leak"] is not None]
        figures.append(equal(f"{name}, {label}: LEAK with its line", right, "runs", len(found)))
        figures.append(at_most(f"{name}, {label}: median from the first request to LEAK", median(seconds), "s", 30.0))
    return figures


def watch_under_load(
    options: argparse.Namespace, name: str, folder: Path, kind: str, arguments: Sequence[str]
) -> dict[str, Any]:
    """Watch an application while requests come at random times; return what the watch says."""
    with served(options.python, name, folder, kind, (*arguments, "--duration", f"{options.seconds:g}s")) as (
        port,
        soak,
    ):
        time.sleep(IDLE_S)
        stopping = threading.Event()
        begun_s = time.monotonic()
        asking = threading.Thread(target=ask_at_random, args=(port, stopping))
        asking.start()
        found_s: float | None = None
        assert soak.stderr is not None
        for line in soak.stderr:
            if "LEAK" in line and found_s is None:
                found_s = time.monotonic() - begun_s
        soak.wait()
        stopping.set()
        asking.join()
        assert soak.stdout is not None
        component = json.loads(soak.stdout.read())["components"][0]
    confirmed = [cause for cause in component["causes"] if cause["confirmed"]]
    place = confirmed[0]["python_where"] if confirmed else None
    return {
        "verdict": component["verdict"],
        "line": place["line"] if place else None,
        "confirmed": len(confirmed),
        "seconds_to_leak": found_s,
        "cycles_to_verdict": component["iterations_to_verdict"],
        "cycles": component["iterations"],
        "growth": component["growth"],
        "labels": component.get("labels", [])[:2],
    }


def costs(options: argparse.Namespace, name: str, folder: Path, details: dict[str, Any]) -> list[Figure]:
    """Ask the repaired application as fast as possible, in turn with and without soak."""
    marks = ("--mark", SERVERS[name][0])
    with (
        served(options.python, name, folder, "repaired", None) as plain,
        served(options.python, name, folder, "repaired", marks) as tracked,
    ):
        servers = {"plain": plain, "tracked": tracked}
        for server in servers.values():
            ask_fast(*server)
        found: dict[str, list[Answers]] = {side: [] for side in servers}
        for number in range(options.bursts):
            for side, server in list(servers.items())[:: 1 if number % 2 else -1]:
                found[side].append(ask_fast(*server))
    rates = [tracked.rate_hz / plain.rate_hz for plain, tracked in zip(found["plain"], found["tracked"], strict=True)]
    p99 = [tracked.p99_s / plain.p99_s for plain, tracked in zip(found["plain"], found["tracked"], strict=True)]
    cpu = {side: median([answers.cpu_s / len(answers.latencies_s) for answers in found[side]]) or 0 for side in found}
    details[f"{name}, cost"] = {"throughput": rates, "p99": p99, "cpu_s_per_request": cpu}
    return [
        shown(f"{name}, untracked", median([answers.rate_hz for answers in found["plain"]]), "requests/s"),
        at_least(f"{name}, throughput, tracked / untracked", median(rates), "", 0.95),
        at_most(f"{name}, p99 latency, tracked / untracked", median(p99), "", 1.05),
        shown(
            f"{name}, processor time of the server for a request, tracked / untracked", cpu["tracked"] / cpu["plain"]
        ),
    ]


@contextlib.contextmanager
def served(
    python: str, name: str, folder: Path, kind: str, watching: Sequence[str] | None
) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Run a server, under soak where ``watching`` has its options; give its port, and the process started."""
    port = free_port()
    server = [python, *(part.format(kind=kind, port=port) for part in SERVERS[name][1])]
    if watching is not None:
        soak = [sys.executable, "-m", "soak", "watch", *watching, "--json", "-", "--out", str(folder / "runs")]
        server = [*soak, "--", *server]
    process = subprocess.Popen(server, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(port, process)
        yield port, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT if watching is not None else signal.SIGTERM)
        process.communicate(timeout=60)


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    """Wait until a server answers. Raises RuntimeError where it does not start."""
    ends_s = time.monotonic() + _LONGEST_START_S
    while time.monotonic() < ends_s and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")


def ask_at_random(port: int, stopping: threading.Event) -> None:
    """Ask for random routes at random times until ``stopping`` is set or the server has gone."""
    rng = random.Random(1)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.suppress(OSError, http.client.HTTPException):
        while not stopping.wait(rng.expovariate(RATE_HZ)):
            connection.request("GET", rng.choice(ROUTES))
            connection.getresponse().read()


def ask_fast(port: int, process: subprocess.Popen[str]) -> Answers:
    """Ask again and again over one connection. ``process``: the server, or soak that has started it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    latencies_s: list[float] = []
    cpu_before_s = cpu_of_server(process.pid)
    begun_s = now_s = time.perf_counter()
    while now_s < begun_s + BURST_S:
        connection.request("GET", "/ok")
        connection.getresponse().read()
        before_s, now_s = now_s, time.perf_counter()
        latencies_s.append(now_s - before_s)
    connection.close()
    return Answers(latencies_s, now_s - begun_s, cpu_of_server(process.pid) - cpu_before_s)


def cpu_of_server(pid: int) -> float:
    """Return the processor time of a process and all that it has started, but for soak itself."""
    own = psutil.Process(pid)
    processes = [*own.children(recursive=True), *(() if "soak" in own.cmdline() else (own,))]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def median(values: Sequence[float]) -> float | None:
    """Return the median; None of nothing."""
    return statistics.median(values) if values else None


if __name__ == "__main__":
    sys.exit(main())
