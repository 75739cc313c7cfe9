"""Access from outside is refused: each way is tried on a running `soak view`."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from viewer_builder import DECODE, PROFILE, ROOT, RUN, SECRET, SOAKED, Viewer, make_runs, view, write_raw

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder of runs beside a secret that is none of them, with links from one to the other."""
    place = tmp_path_factory.mktemp("place")
    run = make_runs(place / "reports")
    outside = place / "outside"
    outside.mkdir()
    write_raw(outside / "secret.prof", {("secret.py", 1, SECRET.decode()): (1, 1, 0.5, 0.5, {})})
    (outside / "report.html").write_bytes(SECRET)
    (outside / "run.db").touch()
    (run / "link.prof").symlink_to(outside / "secret.prof")
    (place / "reports" / "linked").symlink_to(outside)
    linked = place / "reports" / "with-linked-report"
    linked.mkdir()
    (linked / "run.db").touch()
    (linked / "report.html").symlink_to(outside / "report.html")
    write_raw(run / "memory.prof", b"(" + struct.pack("<i", 2**31 - 1))
    write_raw(run / "markup.prof", _with_markup())
    with (run / "large.prof").open("wb") as file:
        file.truncate(2**30)
    os.mkfifo(run / "pipe.prof")
    return place


@pytest.fixture(scope="module")
def viewer(place: Path) -> Iterator[Viewer]:
    with view("--out", str(place / "reports")) as viewer:
        yield viewer


def _with_markup() -> object:
    name = "</script><script>evil()</script><!--"
    return {ROOT: PROFILE[ROOT], (name, 1, name): (1, 1, 0.5, 0.5, {ROOT: (1, 1, 0.5, 0.5)})}


def test_only_this_machine_is_listened_to(viewer: Viewer):
    """One socket, on the loopback address."""
    listening = [
        connection.laddr.ip
        for connection in psutil.Process(viewer.process.pid).net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert listening == ["127.0.0.1"]


@pytest.mark.parametrize(
    "path", ["/", f"/snakeviz/{RUN}/decoder.prof", f"/report/{RUN}", "/static/snakeviz.js", "/none"]
)
def test_a_request_for_another_host_is_refused(path: str, viewer: Viewer):
    """So that a page elsewhere cannot have its own name point here (DNS rebinding)."""
    for host in (
        "evil.example",
        f"evil.example:{viewer.port}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"127.0.0.1.evil:{viewer.port}",
        "",
    ):
        assert viewer.ask(path, headers={"Host": host})[0] == 403

    assert viewer.ask(path, headers={"Host": f"localhost:{viewer.port}"})[0] in (200, 404)


def test_a_request_that_names_no_host_or_two_is_refused(viewer: Viewer):
    """Neither names this server clearly."""
    good = f"Host: 127.0.0.1:{viewer.port}\r\n"
    for hosts in ("", f"{good}Host: evil.example\r\n", f"Host: evil.example\r\n{good}"):
        with socket.create_connection(("127.0.0.1", viewer.port), timeout=30) as connection:
            connection.sendall(f"GET / HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda connection=connection: connection.recv(65536), b""))
        assert not answer.startswith(b"HTTP/1.1 200")
        assert b"Runs and profiles" not in answer


def test_no_path_outside_the_runs_is_read(viewer: Viewer, place: Path):
    """Absolute, relative, encoded once and twice, by way of SnakeViz, reports and static files."""
    secret = f"{place}/outside/secret.prof"
    encoded = secret.replace("/", "%2F")
    ways = [
        f"/snakeviz/{encoded}",
        f"/snakeviz/{secret}",
        f"/snakeviz//{secret}",
        f"/snakeviz/{RUN}/..%2F..%2Foutside%2Fsecret.prof",
        f"/snakeviz/{RUN}/../../outside/secret.prof",
        f"/snakeviz/{RUN}/%252e%252e%252f%252e%252e%252foutside%252fsecret.prof",
        "/snakeviz/..%2Foutside/secret.prof",
        "/snakeviz/../outside/secret.prof",
        "/snakeviz/%2e%2e/secret.prof",
        f"/snakeviz/{encoded}/x",
        f"/snakeviz/{RUN}/{encoded}",
        f"/snakeviz/{RUN}/run.db",
        f"/snakeviz/{RUN}/",
        f"/snakeviz/{encoded.rpartition('%2F')[0]}",
        "/snakeviz/%2Fetc%2Fpasswd",
        "/snakeviz/%2F",
        "/snakeviz/.",
        "/report/..%2Foutside",
        "/report/../outside",
        f"/report/{place}/outside".replace("/", "%2F"),
        f"/report/{RUN}%2F..%2F..%2Foutside",
        "/report/.",
        "/static/../main.py",
        "/static/..%2Fmain.py",
        "/static/%2Fetc%2Fpasswd",
        f"/static/{encoded}",
        "/static//etc/passwd",
        f"/{secret}",
        f"/snakeviz/{RUN}/decoder.prof%00.html",
    ]
    for path in ways:
        status, _, body = viewer.ask(path)
        assert status in (400, 403, 404), path
        assert SECRET not in body
        assert b"root:" not in body


def test_links_out_of_the_folder_are_not_followed(viewer: Viewer):
    """Neither a linked profile, nor a linked run, nor a linked report; and none is listed."""
    for path in (
        f"/snakeviz/{RUN}/link.prof",
        "/snakeviz/linked/secret.prof",
        "/report/linked",
        "/report/with-linked-report",
    ):
        status, _, body = viewer.ask(path)
        assert status == 404
        assert SECRET not in body
    index = viewer.ask("/")[2]
    assert b"link.prof" not in index
    assert b"/report/linked" not in index
    assert b"/report/with-linked-report" not in index


def test_a_hostile_profile_is_refused_and_takes_no_memory(viewer: Viewer):
    """It claims 16 GiB; the server does not grow, gives the reason, and answers the next request."""
    server = psutil.Process(viewer.process.pid)
    before = server.memory_info().rss

    status, _, body = viewer.ask(f"/snakeviz/{RUN}/memory.prof")

    assert status == 422
    assert b"needs more than 512 MiB" in body
    assert server.memory_info().rss - before < 50 * 2**20
    assert viewer.ask("/")[0] == 200


def test_a_profile_too_large_or_no_file_is_refused(viewer: Viewer):
    """A GiB is not read, a named pipe not waited for."""
    assert b"larger than 16 MiB" in viewer.ask(f"/snakeviz/{RUN}/large.prof")[2]
    assert b"not a regular file" in viewer.ask(f"/snakeviz/{RUN}/pipe.prof")[2]


def test_names_in_a_profile_cannot_become_script(viewer: Viewer):
    """A function may be called anything; SnakeViz by itself would write it into its page as it is."""
    status, _, body = viewer.ask(f"/snakeviz/{RUN}/markup.prof")

    assert status == 200
    assert b"evil()" in body
    assert b"<script>evil()" not in body
    assert b"</script><script>evil" not in body


def test_nothing_is_written_over_http(viewer: Viewer, place: Path):
    """Every method but GET and HEAD is refused, and the folders stay unchanged."""
    before = {path: path.lstat().st_mtime_ns for path in place.rglob("*")}

    for path in (
        "/",
        f"/snakeviz/{RUN}/decoder.prof",
        f"/report/{RUN}",
        f"/report/{SOAKED}",
        "/static/snakeviz.js",
        "/new",
    ):
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "MKCOL"):
            assert viewer.ask(path, method)[0] in (400, 404, 405, 501), (method, path)
        viewer.ask(path)

    assert {path: path.lstat().st_mtime_ns for path in place.rglob("*")} == before


def test_every_answer_tells_the_browser_to_keep_it_to_itself(viewer: Viewer):
    """No framing, no reading from other origins, no guessing of types, no network but this server."""
    for path in ("/", f"/snakeviz/{RUN}/decoder.prof", f"/report/{RUN}", "/static/snakeviz.js", "/none"):
        headers = viewer.ask(path)[1].lower()
        for line in ("cross-origin-resource-policy: same-origin", "x-frame-options: deny", "nosniff", "no-referrer"):
            assert line in headers, path
        assert "default-src 'none'" in headers
        assert "access-control-allow-origin" not in headers
        assert "http://" not in headers
        assert "https://" not in headers


def test_only_the_named_files_are_shown_and_their_sum(place: Path):
    """Not their neighbours; and the sum is the one SnakeViz cannot make."""
    folder = place / "reports" / RUN
    with view(str(folder / "decoder.prof"), str(folder / "merged.prof")) as viewer:
        index = viewer.ask("/")[2]
        status, _, merged = viewer.ask("/snakeviz/files/merged.prof")

        assert b"1-decoder.prof" in index
        assert status == 200
        assert b'"%s:%d(%s)"' % tuple(str(part).encode() if i != 1 else part for i, part in enumerate(DECODE)) in merged
        assert b"[120, 120, 9.0, 21.0]" in merged
        assert viewer.ask("/snakeviz/files/markup.prof")[0] == 404
        assert viewer.ask(f"/snakeviz/{RUN}/decoder.prof")[0] == 404
        assert viewer.ask(f"/report/{RUN}")[0] == 404


def test_a_single_run_is_shown_alone_and_ctrl_c_ends_in_order(place: Path):
    """With RUN the other runs are not served; Ctrl-C is the usual way to stop, so it is no error."""
    with view(RUN, "--out", str(place / "reports")) as viewer:
        assert viewer.ask(f"/report/{RUN}")[0] == 200
        assert viewer.ask(f"/report/{SOAKED}")[0] == 404
        assert viewer.end() == 0


def test_a_port_in_use_is_refused(viewer: Viewer, place: Path):
    """In one line that says what to do."""
    with (
        pytest.raises(AssertionError, match=r"soak: --port \d+: .*without --port"),
        view("--out", str(place), "--port", str(viewer.port)),
    ):
        pass
