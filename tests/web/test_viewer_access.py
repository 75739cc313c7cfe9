"""Who may read over `soak view`: those who have its token, over a port or a Unix socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from viewer_builder import PROFILE, ROOT, RUN, SOAKED, Viewer, make_runs, view, write_raw

from soak.errors import UsageError
from soak.profiles import Statistics, largest_part
from soak.web.access import Access, kept_token, new_token

PATHS = (
    "/",
    f"/report/{RUN}",
    f"/snakeviz/{RUN}/decoder.prof",
    f"/live/{SOAKED}",
    f"/live/{SOAKED}/events",
    "/metrics",
    "/assets/live.js",
    "/static/snakeviz.js",
    "/none",
)
NOBODY = {"Authorization": ""}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reports")
    make_runs(out)
    return out


@pytest.fixture(scope="module")
def viewer(out: Path) -> Iterator[Viewer]:
    with view("--out", str(out)) as viewer:
        yield viewer


@pytest.mark.integration
@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_answered_without_the_token(path: str, viewer: Viewer):
    """Neither without one, nor with another, nor with one of another form; the page says where the token is."""
    cookie = f"{Access(viewer.token).cookie_name}="
    for headers in (
        NOBODY,
        {"Authorization": f"Bearer {viewer.token[:-1]}"},
        {"Authorization": f"Bearer {viewer.token}x"},
        {"Authorization": viewer.token},
        {"Authorization": "Bearer \xff"},
        NOBODY | {"Cookie": f"{cookie}"},
        NOBODY | {"Cookie": f"{cookie}{viewer.token}"},
    ):
        status, _, body = viewer.ask(path, headers=headers)
        assert (status, b"Open the address that soak view has printed" in body) == (403, True), (path, headers)
    for query in ("?token=", f"?token={viewer.token}&token=", f"?token={viewer.token[1:]}", "?token=%ff"):
        assert viewer.ask(path + query, headers=NOBODY)[0] == 403


@pytest.mark.integration
def test_a_browser_gets_a_cookie_and_an_address_without_the_token(viewer: Viewer):
    headers = NOBODY | {"Accept": "text/html"}
    status, answer, _ = viewer.ask(f"/report/{RUN}?token={viewer.token}", headers=headers)

    assert status == 303
    assert f"Location: /report/{RUN}\n" in answer
    assert viewer.token not in answer
    (line,) = [line for line in answer.splitlines() if line.startswith("Set-Cookie: ")]
    given, *attributes = line.removeprefix("Set-Cookie: ").split("; ")
    assert attributes == ["Path=/", "HttpOnly", "SameSite=Lax"]
    assert viewer.ask("/", headers=NOBODY | {"Cookie": given})[0] == 200
    # Not to another host that the path may seem to name.
    away = viewer.ask(f"//evil.example/?token={viewer.token}", headers=headers)[1]
    assert "Location: /evil.example/\n" in away


@pytest.mark.integration
def test_prometheus_has_the_token_in_its_header_or_in_the_address(viewer: Viewer):
    assert viewer.ask("/metrics", headers={"Authorization": f"Bearer {viewer.token}"})[0] == 200
    assert viewer.ask(f"/metrics?token={viewer.token}", headers=NOBODY)[0] == 200


@pytest.mark.integration
def test_a_kept_token_is_the_same_after_a_restart(out: Path, tmp_path: Path):
    """A cookie that a browser has from before is still good."""
    file = tmp_path / "token"
    with view("--out", str(out), "--token-file", str(file)) as first:
        cookie = Access(first.token)
    assert file.stat().st_mode & 0o777 == 0o600
    with view("--out", str(out), "--token-file", str(file)) as second:
        assert second.token == first.token == file.read_text().strip()
        given = cookie.cookie_header().partition(";")[0]
        assert second.ask("/", headers=NOBODY | {"Cookie": given})[0] == 200


def test_a_token_that_others_may_read_or_guess_is_refused(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text(f"{new_token()}\n")
    for mode, is_refused in ((0o644, True), (0o640, False), (0o600, False), (0o604, True)):
        file.chmod(mode)
        if is_refused:
            with pytest.raises(UsageError, match="chmod o="):
                kept_token(file)
        else:
            assert kept_token(file) == file.read_text().strip()
    file.chmod(0o600)
    for content in (b"", b"short\n", b"a" * 20 + b"\nb", b"\xff" * 30, b"a" * 10_000):
        file.write_bytes(content)
        with pytest.raises(UsageError, match="one line of 16 or more"):
            kept_token(file)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for other, reason in (("pipe", "not a regular file"), ("none/token", "No such file")):
        with pytest.raises(UsageError, match=reason):
            kept_token(tmp_path / other)


@pytest.mark.integration
def test_a_unix_socket_is_for_its_user_and_wants_the_token_too(out: Path, tmp_path: Path):
    """It may be forwarded to a port of another machine."""
    path = tmp_path / "view.sock"
    command = [sys.executable, "-m", "soak", "view", "--out", str(out), "--socket", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == str(path)
            token = process.stdout.readline().strip().removeprefix("http://localhost/?token=")
            assert path.stat().st_mode & 0o777 == 0o600

            def ask(query: str, host: str = "localhost:8080") -> bytes:
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.connect(str(path))
                    connection.sendall(f"GET /{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                    return b"".join(iter(lambda: connection.recv(65536), b""))

            assert b" 200 OK" in ask(f"?token={token}")
            assert b" 403 " in ask("")
            assert b" 403 " in ask(f"?token={token}", "evil.example")
            again = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
            assert again.returncode == 2
            assert again.stderr == f"soak: --socket {path}: another server listens there\n"
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert not path.exists()


def test_the_place_of_a_file_is_not_taken_for_a_socket(out: Path, tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    command = [sys.executable, "-m", "soak", "view", "--out", str(out), "--socket", str(tmp_path / "file")]

    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert (tmp_path / "file").read_text() == "mine"


# --- large profiles ------------------------------------------------------------------------------------------------


def a_profile(functions: int) -> Statistics:
    """Have a function call so many others, the later the longer."""
    made = {(f"file{n % 100}.py", n, f"function_{n}"): (1, 1, n / 1e6, n / 1e6, {ROOT: (1, 1, 0.0, 0.0)}) for n in
            range(functions)}  # fmt: skip
    return {ROOT: PROFILE[ROOT], **made}


def test_of_a_large_profile_the_functions_of_most_time_are_drawn():
    whole = a_profile(20_000)
    part = largest_part(whole, most_functions=500, most_characters=10**6)

    assert len(part) == 500
    assert ROOT in part
    assert ("file99.py", 19_999, "function_19999") in part
    assert part == {key: whole[key] for key in part}
    assert largest_part(PROFILE, most_functions=500, most_characters=10**6) == PROFILE


@pytest.mark.parametrize("most_characters", [10**5, 10**4, 100, 0])
def test_the_part_that_is_drawn_is_short_also_where_everything_calls_everything(most_characters: int):
    keys = [("file.py", n, f"f{n}") for n in range(200)]
    dense: Statistics = {key: (1, 1, 1.0, 1.0, dict.fromkeys(keys, (1, 1, 0.0, 0.0))) for key in keys}

    part = largest_part(dense, most_functions=500, most_characters=most_characters)

    calls = [(caller, key) for key, entry in part.items() for caller in entry[4]]
    assert sum(len(key[0]) + len(key[2]) for pair in calls for key in pair) <= most_characters
    assert all(caller in part for caller, _ in calls)


@pytest.mark.integration
def test_the_page_of_a_large_profile_is_small_and_says_what_it_leaves_out(viewer: Viewer, out: Path):
    """It would be 18 MB."""
    write_raw(out / RUN / "large.prof", a_profile(40_000))

    status, _, body = viewer.ask(f"/snakeviz/{RUN}/large.prof")

    assert status == 200
    assert len(body) < 5 * 2**20
    assert b"Drawn: the 5,000 functions with the largest cumulative time, of 40,001" in body
