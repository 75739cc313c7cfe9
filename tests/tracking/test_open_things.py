"""Descriptors, threads and processes that stay: what they are, the line that opened them, and how many a cycle."""

from __future__ import annotations

from pathlib import Path

import pytest
from tracking_builder import (
    OWN,
    PLANTED,
    by_version,
    can_build,
    interpreters,
    line_of,
    soak_file,
    soak_planted,
    soak_text,
)

from soak.reporting.words import cause_sentence, why_words
from soak.results import Cause, ComponentResult, Place
from soak.verdict import Verdict

pytestmark = [pytest.mark.integration, pytest.mark.native, pytest.mark.usefixtures("library")]

CYCLES = 400


def cause_of(result: ComponentResult, kind: str) -> Cause:
    """Return the only cause of a kind; any other number fails the test with what there is."""
    found = [cause for cause in result.causes if cause.kind == kind]
    assert len(found) == 1, (result.verdict, why_words(result), result.causes)
    return found[0]


def python_line(cause: Cause) -> tuple[str | None, str | None, int | None]:
    place = cause.python_where
    return (None, None, None) if place is None else (place.function, place.file, place.line)


@pytest.mark.parametrize(
    ("version", "name", "type_"),
    [*by_version("fd", "file"), *by_version("socket", "tcp socket", also=()), *by_version("pipe", "pipe", also=())],
)
def test_a_descriptor_is_named_at_the_line_that_opened_it(version: str, name: str, type_: str) -> None:
    """It is named by kind, one per cycle, at the line that called the standard library."""
    file = PLANTED / f"{name}_leak.py"

    result = soak_file(file, interpreters()[version], iterations=CYCLES)

    cause = cause_of(result, "file-descriptor")
    assert (result.verdict, result.decided_by, result.causes[0]) == (Verdict.LEAK, "counter:fds", cause)
    assert python_line(cause) == ("cycle", str(file), line_of(file, "# planted"))
    assert (cause.type, cause.where, cause.confirmed) == (type_, None, True)
    assert cause.count_per_iteration == pytest.approx(1.0, abs=0.02)
    assert [opened.kind for opened in cause.opened] == [type_]
    assert cause.opened[0].count > 200
    assert cause.frames[-1] == Place("cycle", str(file), line_of(file, "# planted"))


@pytest.mark.parametrize("name", ["fd", "socket", "pipe", "fd_in_c", "thread", "child"])
def test_the_repaired_twins_have_no_such_cause(native_folder: Path, name: str) -> None:
    """Items that are closed, joined or waited for in their cycle are no leak."""
    if name == "fd_in_c":
        result = soak_planted("fd_in_c_repaired", native_folder / "own", iterations=CYCLES)
    else:
        # What glibc keeps of ended threads is flat in the long run only.
        cycles = 1024 if name == "thread" else CYCLES
        result = soak_file(PLANTED / f"{name}_repaired.py", iterations=cycles)

    assert result.verdict is not Verdict.LEAK
    assert result.causes == ()
    assert [result.signals[signal].per_iteration for signal in ("fds", "threads", "children")] == [0.0, 0.0, 0.0]


def test_a_sockets_addresses_and_a_files_path_are_told() -> None:
    """The peer's port is that of the planted server; the own port differs with each connection."""
    connected = cause_of(soak_file(PLANTED / "socket_leak.py", iterations=CYCLES), "file-descriptor")
    file = cause_of(soak_file(PLANTED / "fd_leak.py", iterations=CYCLES), "file-descriptor")

    assert connected.opened[0].name.startswith("127.0.0.1:* → 127.0.0.1:")
    assert connected.opened[0].name.rpartition(":")[2].isdigit()
    assert file.opened[0].name == str(PLANTED / "fd_leak.py")
    assert f"× file {PLANTED / 'fd_leak.py'}" in cause_sentence(file)


@pytest.mark.parametrize(("version", "binding"), [*by_version("extension", also=()), (OWN, "ctypes")])
def test_a_descriptor_that_c_opened_is_named_by_its_function(native_folder: Path, version: str, binding: str) -> None:
    """The line in C, and the line of Python that called it."""
    python, folder = interpreters()[version], native_folder / version
    if not can_build(binding, python, folder):
        pytest.skip(f"no headers of Python {version}")
    source, file = PLANTED / "leaks.c", PLANTED / "fd_in_c_leak.py"

    result = soak_planted("fd_in_c_leak", folder, binding, python, iterations=CYCLES)

    cause = cause_of(result, "file-descriptor")
    assert cause.where is not None
    assert (cause.where.function, cause.where.line) == ("leak_open", line_of(source, "/* planted: leak_open */"))
    assert python_line(cause) == ("cycle", str(file), line_of(file, "# planted"))
    assert (cause.type, cause.opened[0].name) == ("device", "/dev/null")
    assert result.causes == (cause,)


@pytest.mark.parametrize("version", by_version(also=()))
def test_a_thread_is_named_at_the_line_that_started_it(version: str) -> None:
    """By the name that Python gave it, and threads decide, not the Python objects that come with each."""
    file = PLANTED / "thread_leak.py"

    result = soak_file(file, interpreters()[version], iterations=1000)

    cause = cause_of(result, "thread")
    assert (result.verdict, result.decided_by, result.causes[0]) == (Verdict.LEAK, "counter:threads", cause)
    assert python_line(cause) == ("cycle", str(file), line_of(file, "# planted"))
    assert cause.count_per_iteration == pytest.approx(0.25, abs=0.02)
    assert cause.every == pytest.approx(4.0, abs=0.4)
    assert [opened.name for opened in cause.opened] == ["Thread-*" if version in ("3.8", "3.9") else "Thread-* (wait)"]


@pytest.mark.parametrize("version", by_version(also=()))
def test_a_process_that_nobody_waits_for_is_named_at_its_line(version: str) -> None:
    """A zombie has no command line any more; its name is left."""
    file = PLANTED / "child_leak.py"

    result = soak_file(file, interpreters()[version], iterations=1000)

    cause = cause_of(result, "child-process")
    assert (result.verdict, result.decided_by, result.causes[0]) == (Verdict.LEAK, "counter:children", cause)
    assert python_line(cause) == ("cycle", str(file), line_of(file, "# planted"))
    assert (cause.type, cause.opened[0].kind, cause.opened[0].name) == ("zombie process", "zombie process", "true")


def test_two_lines_that_leak_are_two_causes_and_what_was_opened_once_is_none(tmp_path: Path) -> None:
    """Each with its own rate; a log file that the first cycle opens for good does not grow."""
    text = """
        import os


        folder = os.path.dirname(__file__)
        kept = []

        def cycle(state):
            number = len(kept)
            if number == 30:
                os.open("/etc/passwd", os.O_RDONLY)
            kept.append(open(os.path.join(folder, "log-%d.txt" % number), "w"))
            if number % 2:
                os.dup(0)
    """
    result = soak_text(tmp_path, text, iterations=600)

    causes = [cause for cause in result.causes if cause.kind == "file-descriptor"]
    assert [python_line(cause)[2] for cause in causes] == [12, 14]
    assert [cause.count_per_iteration for cause in causes] == pytest.approx([1.0, 0.5], abs=0.03)
    assert causes[0].opened[0].name.endswith("/log-*.txt")
    assert [cause.type for cause in causes] == ["file", "device"]
    assert len({cause.fingerprint for cause in causes}) == 2


def test_two_runs_give_the_same_fingerprints_though_names_and_numbers_differ(tmp_path: Path) -> None:
    """Temporary files have other names each time, and a server another port."""
    text = """
        import os
        import socket
        import tempfile

        def setup():
            return []

        def cycle(kept):
            kept.append(tempfile.TemporaryFile())
            kept.extend(socket.socketpair())
    """
    found = [soak_text(tmp_path, text, iterations=200, n_min=64) for _ in range(2)]

    prints = [{c.fingerprint for c in result.causes if c.kind == "file-descriptor"} for result in found]
    assert prints[0] == prints[1]
    assert len(prints[0]) == 2


def test_a_component_that_a_guard_stops_is_told_what_it_opened(tmp_path: Path) -> None:
    """With only 64 descriptors the guard stops it before all are used; the place is known."""
    text = """
        import os
        import resource

        def setup():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

        def cycle(state):
            os.open("/etc/passwd", os.O_RDONLY)
    """
    result = soak_text(tmp_path, text)

    cause = cause_of(result, "file-descriptor")
    assert (result.verdict, result.stopped_by) == (Verdict.LEAK, "guard:fds")
    assert python_line(cause)[2] == 9
    assert (cause.opened[0].kind, cause.opened[0].name) == ("file", "/etc/passwd")


def test_one_that_is_killed_in_a_cycle_is_told_what_was_seen_of_it_before(tmp_path: Path) -> None:
    """It has no end, so the list that was made while it ran replaces the last one."""
    text = """
        import os
        import signal
        import time

        def cycle(state):
            os.open("/etc/passwd", os.O_RDONLY)
            if os.dup(0) > 600:
                time.sleep(1.5)
                os.kill(os.getpid(), signal.SIGKILL)
    """
    result = soak_text(tmp_path, text, n_min=64, early_stop=False)

    lines = [python_line(cause)[2] for cause in result.causes if cause.kind == "file-descriptor"]
    assert (result.verdict, result.failure and result.failure.reason) == (Verdict.FAILED, "signal")
    assert sorted(lines) == [7, 8]


def test_without_the_tracker_they_are_named_and_the_line_is_not_known() -> None:
    """--no-track: what is read from outside is there all the same."""
    result = soak_file(PLANTED / "fd_leak.py", iterations=CYCLES, track=False)

    cause = cause_of(result, "file-descriptor")
    assert (cause.python_where, cause.where, cause.frames) == (None, None, ())
    assert (cause.type, cause.opened[0].name) == ("file", str(PLANTED / "fd_leak.py"))
    assert cause.count_per_iteration == pytest.approx(1.0, abs=0.02)


def test_a_component_that_closes_its_standard_streams_and_fills_every_descriptor_is_listed(tmp_path: Path) -> None:
    """Nothing inside needs a descriptor to show what is open."""
    text = """
        import os

        def setup():
            return []

        def cycle(kept):
            if not kept:
                for stream in (0, 1, 2):
                    os.close(stream)
            kept.append(os.open("/dev/zero", os.O_RDONLY))
    """
    result = soak_text(tmp_path, text, iterations=CYCLES)

    assert cause_of(result, "file-descriptor").opened[0].name == "/dev/zero"


SERVER = """
import socket, socketserver, threading
release = threading.Event()

class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"x")
        if {stays}:
            release.wait()  # each request's thread stays here

class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True

def setup():
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address

def cycle(address):
    with socket.create_connection(address) as connection:
        connection.recv(1)
"""


@pytest.mark.long
@pytest.mark.parametrize("version", by_version(also=()))
def test_a_thread_that_a_server_of_the_library_started_is_told_by_where_it_is(tmp_path: Path, version: str) -> None:
    """No line of the component's starts it. There are more threads than are told one by one."""
    result = soak_text(tmp_path, SERVER.format(stays=True), interpreters()[version], iterations=300, early_stop=False)

    cause = cause_of(result, "thread")
    assert (result.verdict, cause.waits_at) == (Verdict.LEAK, cause.python_where)
    assert python_line(cause)[1:] == (str(tmp_path / "drive_it.py"), 9)
    assert cause.count_per_iteration == pytest.approx(1.0, abs=0.02)
    assert "each in " in cause_sentence(cause)


def test_a_server_whose_threads_end_has_no_such_cause(tmp_path: Path) -> None:
    result = soak_text(tmp_path, SERVER.format(stays=False), iterations=400)

    assert result.verdict is not Verdict.LEAK
    assert [cause for cause in result.causes if cause.kind == "thread"] == []
