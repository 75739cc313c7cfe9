"""soak watch --scan: what is lost is LEAK at once, what is held is told with its holder, and repaired twins pass."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soak.probes.ledgers.shadow import Blocks
from soak.running.scanning.allowed import AllowedScans
from soak.running.scanning.copy_cost import measured_s_per_byte
from soak.running.scanning.first_seen import FirstSeen, date_by_marks

PROGRAM = """
import ctypes, os, sys, time
malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
malloc.restype, malloc.argtypes, free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
incref, decref = ctypes.pythonapi.Py_IncRef, ctypes.pythonapi.Py_DecRef
incref.argtypes = decref.argtypes = [ctypes.py_object]
way, repaired = os.environ["WAY"], "REPAIRED" in os.environ
kept = []

class Session:
    def __init__(self):
        self.body = bytes(1000)

def lose():
    block = malloc(1000)
    if repaired:
        free(block)

def forget():
    session = Session()
    incref(session)
    if repaired:
        decref(session)

def keep():
    kept.append(Session())
    if repaired:
        kept.pop()

work = {"lose": lose, "forget": forget, "keep": keep}[way]
"""
LOOP = """
for number in range(int(sys.argv[1])):
    work()
    time.sleep(0.002)
"""
SERVER = """
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

class Handler(WSGIRequestHandler):
    def log_message(self, *args):
        pass

def application(environ, start_response):
    if environ["PATH_INFO"] == "/report":
        work()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

make_server("127.0.0.1", int(sys.argv[1]), application, Server, Handler).serve_forever()
"""
_FOR_EVER = "100000000"

watched = pytest.mark.usefixtures("library")


def watch(
    tmp_path: Path, program: str, argument: str, way: str, *options: str, repaired: bool = False
) -> dict[str, Any]:
    """Watch a program until a LEAK is told, or to its end; return the component."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM + program, encoding="utf-8")
    with tempfile.TemporaryDirectory() as runs:
        own = ["--out", runs, "--every", "20ms", "--duration", "100s", "--n-min", "64", "--json", "-", *options]
        start = [sys.executable, "-m", "soak", "watch", *own, "--", sys.executable, str(script), argument]
        environment = {"WAY": way, "PATH": "/usr/bin:/bin", **({"REPAIRED": "1"} if repaired else {})}
        with subprocess.Popen(
            start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        ) as watching:
            assert watching.stderr is not None
            if any(": LEAK of " in line for line in watching.stderr):
                watching.send_signal(signal.SIGINT)
            out, text = watching.communicate(timeout=150)
    assert out, text
    component: dict[str, Any] = json.loads(out)["components"][0]
    return {**component, "text": text}


@contextmanager
def requests() -> Iterator[str]:
    """Send requests to a port from two threads; give the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    over = threading.Event()

    def send() -> None:
        while not over.wait(0.005):
            for route in ("/report", "/ok"):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                with suppress(OSError, http.client.HTTPException):
                    connection.request("GET", route)
                    connection.getresponse().read()
                connection.close()

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield str(port)
    finally:
        over.set()
        for thread in threads:
            thread.join()


@watched
@pytest.mark.integration
@pytest.mark.parametrize(
    ("way", "kind", "line"), [("lose", "native", "block = malloc"), ("forget", "lost-reference", "")]
)
def test_what_nothing_points_to_is_a_leak_by_scans(tmp_path: Path, way: str, kind: str, line: str):
    found = watch(tmp_path, LOOP, _FOR_EVER, way, "--scan")

    assert (found["verdict"], found["decided_by"]) == ("LEAK", "lost-scan"), found
    cause = next(cause for cause in found["causes"] if cause["kind"] == kind)
    assert cause["state"] == "lost"
    assert not line or line in (PROGRAM + LOOP).splitlines()[cause["python_where"]["line"] - 1]
    assert found["pauses"]["count"] >= 2
    assert found["pauses"]["budget_s"] == 0.05


@watched
@pytest.mark.integration
def test_what_a_list_of_a_module_keeps_is_told_with_the_list(tmp_path: Path):
    found = watch(tmp_path, LOOP, _FOR_EVER, "keep", "--scan")

    assert (found["verdict"], found["decided_by"]) == ("LEAK", "ledger"), found
    cause = found["causes"][0]
    assert cause["state"] == "held"
    assert [node["name"] for node in cause["chain"]][:2] == ["__main__", ".kept"]


@watched
@pytest.mark.integration
@pytest.mark.parametrize(
    "way", ["lose", pytest.param("forget", marks=pytest.mark.long), pytest.param("keep", marks=pytest.mark.long)]
)
def test_the_repaired_program_is_no_leak(tmp_path: Path, way: str):
    found = watch(tmp_path, LOOP, "1000", way, "--scan", repaired=True)

    assert found["verdict"] in ("CLEAN", "INCONCLUSIVE", "SETTLING"), found
    assert not [cause for cause in found["causes"] if cause["state"] == "lost"]


@pytest.mark.long
@watched
@pytest.mark.integration
@pytest.mark.parametrize(
    ("way", "state", "decided_by"),
    [("lose", "lost", "lost-scan"), ("forget", "lost", "lost-scan")],
)
def test_a_threaded_server_that_loses_memory_is_told(tmp_path: Path, way: str, state: str, decided_by: str):
    with requests() as port:
        found = watch(tmp_path, SERVER, port, way, "--scan", "--mark", "wsgi")

    assert (found["verdict"], found["decided_by"]) == ("LEAK", decided_by), found
    assert (found["causes"][0]["state"], found["cycle_noun"]) == (state, "mark")


@watched
@pytest.mark.integration
def test_without_being_allowed_to_nothing_is_copied_and_nothing_is_said_of_lost_or_held(tmp_path: Path):
    """Cycles are marks: at samples of a busy machine the program does now more, now less."""
    found = watch(tmp_path, LOOP, _FOR_EVER, "lose", "--mark", "program.lose")

    assert (found["verdict"], found["decided_by"], found["cycle_noun"]) == ("LEAK", "ledger", "mark"), found
    assert found["pauses"] is None
    assert {cause["state"] for cause in found["causes"]} == {"unknown"}


@watched
@pytest.mark.integration
def test_a_program_that_is_too_large_for_the_pause_is_not_copied_and_the_reason_is_said(tmp_path: Path):
    found = watch(tmp_path, LOOP, _FOR_EVER, "lose", "--scan", "100us")

    assert found["verdict"] == "LEAK"
    assert found["pauses"] is None
    assert any("a scan would keep a thread waiting" in message for message in found["messages"])


def test_blocks_are_as_old_as_they_were_first_seen_and_what_is_gone_is_forgotten():
    seen = FirstSeen()
    seen.see(np.array([32, 16], np.uint64), 10)

    assert seen.see(np.array([64, 16], np.uint64), 20).tolist() == [20, 10]
    assert seen.see(np.array([16, 32, 64], np.uint64), 30).tolist() == [10, 30, 20]


def test_births_are_counted_from_the_first_mark_also_where_their_number_has_begun_anew():
    def born(marks: list[int], *, newest: int, first: int) -> list[int]:
        births = np.array([mark % 256 for mark in marks], np.uint64)
        zeros = np.zeros(len(marks), np.uint64)
        blocks = Blocks(zeros, zeros, births, zeros.astype(np.uint32), zeros.astype(np.uint8))
        found: list[int] = date_by_marks(blocks, first=first, newest=newest, period=256).cycles.tolist()
        return found

    assert born([0, 5, 6, 20], newest=20, first=5) == [0, 0, 1, 15]
    assert born([250, 260, 300], newest=300, first=255) == [0, 5, 45]


def test_how_long_a_copy_takes_is_expected_from_those_before():
    allowed = AllowedScans(0.05, lambda: pytest.fail("it was measured where nobody has to know"))
    assert allowed.pauses() is None
    unknown_s = allowed.expected_s(1 << 30)

    allowed.spend(1 << 20, 0.3, 0.001)
    allowed.spend(1 << 20, 0.001, 0.001)

    assert allowed.expected_s(1 << 21) == pytest.approx(0.002)
    assert unknown_s == pytest.approx(0.04)
    pauses = allowed.pauses()
    assert pauses is not None
    assert (pauses.count, pauses.p50_s, pauses.worst_s, pauses.budget_s) == (2, 0.3, 0.3, 0.05)


@pytest.mark.parametrize(("measured", "expected_s"), [(0.01 / (1 << 30), 0.04), (0.03 / (1 << 30), 0.08), (None, 0.08)])
def test_what_a_copy_takes_on_this_machine_is_measured_where_it_would_usually_take_too_long(
    measured: float | None, expected_s: float
):
    assert AllowedScans(0.05, lambda: measured).expected_s(2 << 30) == pytest.approx(expected_s)


def test_the_kernel_takes_some_time_to_copy_a_process():
    assert 1e-13 < (measured_s_per_byte() or 0.0) < 1e-8


def test_pauses_that_were_too_long_for_the_kernels_work_end_the_scans_and_the_machines_load_does_not():
    allowed = AllowedScans(0.05)
    for _ in range(5):
        allowed.spend(1 << 20, 0.3, 0.01)
    assert not allowed.is_exceeded

    allowed.spend(1 << 20, 0.3, 0.06)
    allowed.spend(1 << 20, 0.3, 0.06)

    assert allowed.is_exceeded
