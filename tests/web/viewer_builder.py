"""Makes a folder of runs to look at, and starts `soak view` on it."""

from __future__ import annotations

import http.client
import json
import marshal
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from soak.profiles import ComponentProfile, ProfileRun, Statistics, summarise
from soak.store.profile_files import add_profiles, write_profile
from soak.store.profiles import write_profile_run

RUN = "2026-01-02T03-04-05"
SOAKED = "2026-01-01T00-00-00"
SECRET = b"the secret of another folder"

ROOT = ("soak.py", 1, "run_cycles")
CYCLE = ("drive_decoder.py", 7, "cycle")
DECODE = ("decoder.py", 19, "decode")
IN_C = ("~", 0, "<built-in method zlib.crc32>")
PROFILE: Statistics = {
    ROOT: (4, 4, 0.5, 8.0, {}),
    CYCLE: (40, 40, 0.5, 7.5, {ROOT: (40, 40, 0.5, 7.5)}),
    DECODE: (40, 40, 3.0, 7.0, {CYCLE: (40, 40, 3.0, 7.0)}),
    IN_C: (80, 80, 4.0, 4.0, {DECODE: (80, 80, 4.0, 4.0)}),
}


class Viewer:
    """A running `soak view`."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process = process
        self.address = address
        self.base, self.token = address.split("?token=")
        self.port = int(self.base.rstrip("/").rpartition(":")[2])

    def ask(self, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, str, bytes]:
        """Return status, headers as text, and body. The path goes out as it is, dots and all.

        With the token, unless ``headers`` have an ``Authorization`` of their own.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=bool(headers and "Host" in headers))
            for name, value in ({"Authorization": f"Bearer {self.token}"} | (headers or {})).items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, str(answer.headers), answer.read()
        finally:
            connection.close()

    def end(self) -> int:
        """Press Ctrl-C; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@contextmanager
def view(*arguments: str) -> Iterator[Viewer]:
    command = [sys.executable, "-m", "soak", "view", "--no-browser", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), address
            yield Viewer(process, address)
        finally:
            process.kill()


def make_runs(out: Path) -> Path:
    """Make a run of profiles and a soak run's report; return the folder of the former."""
    soaked, folder = out / SOAKED, out / RUN
    soaked.mkdir(parents=True)
    folder.mkdir()
    (soaked / "run.db").touch()
    (soaked / "report.html").write_text("<!DOCTYPE html><title>soak: a run</title><h1>All is well</h1>")
    (soaked / "report.json").write_text(json.dumps({"components": [{"name": "decoder", "verdict": "CLEAN"}]}))
    write_profile(PROFILE, folder / "decoder.prof")
    merged = add_profiles([PROFILE, PROFILE])
    write_profile(merged, folder / "merged.prof")
    (folder / "report.html").write_text("<!DOCTYPE html><title>soak: a profile</title><h1>Where the time goes</h1>")
    component = ComponentProfile(
        "decoder", "drive_decoder.py", "decoder.prof", 40, 3, 0.1, 0.2, 2.0, 8, totals=summarise(PROFILE)
    )
    environment = {"python": "CPython 3.11.4"}
    run = ProfileRun(1, RUN, str(folder), "", "", "0.1.0", environment, {}, None, summarise(merged), (component,))
    write_profile_run(run, folder)
    return folder


def write_raw(path: Path, content: object) -> None:
    path.write_bytes(content if isinstance(content, bytes) else marshal.dumps(content))


def require_browser() -> tuple[str, str]:
    """Return Chromium and its driver, or skip with the line that gets them."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no Chromium with its driver here; get them with: apt-get install chromium chromium-driver")
    return browser, driver
