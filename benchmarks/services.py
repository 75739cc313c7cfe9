"""Real servers, workers and pools under `soak watch` and `soak run`: leaks found with their line, repaired twins, cost.

    python benchmarks/services.py --python .venv-services/bin/python
    python benchmarks/services.py --python … --servers "gunicorn -w 2" "Pool, spawn" --runs 20 --seconds 60
    python benchmarks/services.py --python … --ways repaired --servers "gunicorn -w 2" --seconds 600
    python benchmarks/services.py --python … --cost-only --json -

``--python`` is an interpreter that has uvicorn, gunicorn, Celery, loky; what it lacks is left out. A request for a
route, a task or a piece of work keeps 1 kB; in the repaired twin nothing. Work comes at random times, 100 a second, in
a mix of routes or tasks, with seconds of idleness at first and again and again. The cost is measured as fast as one
client can ask, in turn with and without soak.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from measuring import Figure, at_least, at_most, equal, make_parser, publish, say, scratch_folder, shown
from serving import RESULT, SERVED, SERVERS, Started, environment, is_there, serving, work_for

WAYS = ("leak", "repaired", "leak, no marks", "repaired, no marks", "leak, run", "repaired, run")
"""How a server is looked at: by `soak watch` with marks and without, and by `soak run` where it is a driver."""
COSTLY = ("uvicorn", "gunicorn -w 1")
"""Of these the cost is measured: one process, so that its processor time is that of the requests."""
BURST_S = 1.5
KEPT_BYTES = 1000
"""By a piece of work in a pool."""


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
    for name in options.servers:
        if not is_there(options.python, name):
            say(f"{name}: {options.python} does not have it")
            continue
        if not options.cost_only:
            figures += verdicts(options, name, details)
        if name in COSTLY and not options.no_cost:
            figures += costs(options, name, details)
    return publish("services", figures, details, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the servers (this one)")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS), help="which (all)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="how to look at each (all)")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of each server in each way (3)")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="of each (60)")
    parser.add_argument("--bursts", type=int, default=12, metavar="N", help="bursts of requests for the cost (12)")
    cost = parser.add_mutually_exclusive_group()
    cost.add_argument("--cost-only", action="store_true", help="measure the cost alone")
    cost.add_argument("--no-cost", action="store_true", help="do not measure the cost")
    return parser.parse_args()


def verdicts(options: argparse.Namespace, name: str, details: dict[str, Any]) -> list[Figure]:
    """Look at both twins several times in each way."""
    ways = [way for way in options.ways if not way.endswith("run") or SERVERS[name].load == "itself"]
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for number in range(1, options.runs + 1):
        for way in ways:
            found[way].append(look(options, name, way))
            say(f"{name}, {way}, {number} of {options.runs}: {found[way][-1]}")
    details[name] = found
    return [figure for way, runs in found.items() for figure in figures_of(name, way, runs)]


def figures_of(name: str, way: str, runs: Sequence[dict[str, Any]]) -> list[Figure]:
    """Return how often the answer was right, and how soon."""
    if way.startswith("repaired"):
        blamed = sum(run["verdict"] == "LEAK" or run["confirmed"] > 0 for run in runs)
        return [
            equal(f"{name}, {way}: LEAK, or a place called leaking", blamed, "runs", 0),
            shown(f"{name}, {way}: CLEAN", sum(run["verdict"] == "CLEAN" for run in runs), "runs"),
        ]
    if SERVERS[name].replaced:
        told = sum(run["verdict"] in ("LEAK", "INCONCLUSIVE") and run["ended_grew_by"] > KEPT_BYTES / 2 for run in runs)
        return [equal(f"{name}, {way}: not CLEAN, and told that those that ended had grown", told, "runs", len(runs))]
    line = SERVERS[name].line()
    right = sum(run["verdict"] == "LEAK" and run["line"] == line for run in runs)
    seconds = [run["seconds_to_leak"] for run in runs if run["seconds_to_leak"] is not None]
    return [
        equal(f"{name}, {way}: LEAK with its line", right, "runs", len(runs)),
        at_most(f"{name}, {way}: median from the first work to LEAK", median(seconds), "s", 30.0),
    ]


def look(options: argparse.Namespace, name: str, way: str) -> dict[str, Any]:
    """Look at a server once; return what soak says."""
    kind = way.partition(",")[0]
    with scratch_folder() as folder:
        if way.endswith("run"):
            return summary(soaked(options, name, folder, kind), None)
        marks = () if way.endswith("no marks") else ("--mark", SERVERS[name].mark)
        duration = ("--duration", f"{options.seconds:g}s")
        with serving(options.python, name, folder, kind, (*marks, *duration)) as server:
            begun_s, found_s = time.monotonic(), None
            with work_for(options.python, name, folder, server.port):
                assert server.process.stderr is not None
                for line in server.process.stderr:
                    if "LEAK" in line and found_s is None:
                        found_s = time.monotonic() - begun_s
                server.process.wait()
            return summary(json.loads((folder / RESULT).read_text())["components"][0], found_s)


def soaked(options: argparse.Namespace, name: str, folder: Path, kind: str) -> dict[str, Any]:
    """Run the driver of a pool; return its component of the report."""
    soak = [sys.executable, "-m", "soak", "run", SERVERS[name].file, "--python", options.python]
    done = subprocess.run(
        [*soak, "--duration", f"{options.seconds:g}s", "--out", str(folder), "--json", "-"],
        cwd=SERVED,
        env=environment(name, folder, kind),
        capture_output=True,
        text=True,
        check=False,
    )
    component: dict[str, Any] = json.loads(done.stdout)["components"][0]
    return component


def summary(component: dict[str, Any], found_s: float | None) -> dict[str, Any]:
    """Return what matters of a component; ``found_s``: when LEAK was told, where it was told before the end."""
    confirmed = [cause for cause in component["causes"] if cause["confirmed"]]
    place = confirmed[0]["python_where"] if confirmed else None
    if found_s is None and component["verdict"] == "LEAK":
        found_s = component["seconds_to_verdict"]
    return {
        "verdict": component["verdict"],
        "line": place["line"] if place else None,
        "confirmed": len(confirmed),
        "seconds_to_leak": found_s,
        "seconds_to_verdict": component["seconds_to_verdict"],
        "cycles_to_verdict": component["iterations_to_verdict"],
        "cycles": component["iterations"],
        "growth": component["growth"] and component["growth"]["bytes_per_iteration"],
        "why": component["why"],
        "places": [
            (c["python_where"] or c["where"] or {}, c["confirmed"], c["bytes_per_iteration"])
            for c in component["causes"]
        ],
        "roles": [(role["command"], role["verdict"], role["living"], role["ended"]) for role in component["roles"]],
        "ended_grew_by": max((role["ended_bytes_per_iteration"] or 0.0 for role in component["roles"]), default=0.0),
        "labels": component.get("labels", [])[:2],
    }


def costs(options: argparse.Namespace, name: str, details: dict[str, Any]) -> list[Figure]:
    """Ask the repaired application as fast as possible, in turn with and without soak."""
    marks = ("--mark", SERVERS[name].mark)
    with (
        scratch_folder() as folder,
        serving(options.python, name, folder, "repaired", None) as plain,
        serving(options.python, name, folder, "repaired", marks) as tracked,
    ):
        servers = {"plain": plain, "tracked": tracked}
        for server in servers.values():
            ask_fast(server)
        found: dict[str, list[Answers]] = {side: [] for side in servers}
        for number in range(options.bursts):
            for side, server in list(servers.items())[:: 1 if number % 2 else -1]:
                found[side].append(ask_fast(server))
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


def ask_fast(server: Started) -> Answers:
    """Ask again and again over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    latencies_s: list[float] = []
    cpu_before_s = cpu_of_server(server.process.pid)
    begun_s = now_s = time.perf_counter()
    while now_s < begun_s + BURST_S:
        connection.request("GET", "/ok")
        connection.getresponse().read()
        before_s, now_s = now_s, time.perf_counter()
        latencies_s.append(now_s - before_s)
    connection.close()
    return Answers(latencies_s, now_s - begun_s, cpu_of_server(server.process.pid) - cpu_before_s)


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
