"""The live page of a run: the readings as they come, in the stream and in a browser."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from viewer_builder import Viewer, require_browser, view

from soak.measurements import Reading
from soak.store.database import RunStore
from soak.store.runs import claimed, create_run
from soak.web import server
from soak.web.live import POINTS, LiveLook, LiveRun
from soak.web.live_pages import asset, live_page

RUN = "2026-01-02T03-04-05"


def a_run(out: Path) -> RunStore:
    """Make a run in which a component has begun."""
    folder = out / RUN
    folder.mkdir(parents=True)
    store = create_run(folder, run=RUN, started="2026-01-02T03:04:05+00:00", soak="0.1.0", settings={})
    store.begin_component("decoder", "2026-01-02T03:04:05+00:00")
    return store


def read(store: RunStore, cycles: range) -> None:
    store.write_readings(1, [Reading(n, n / 100, {"heap": 1e6 + 106.0 * n, "rss": 3e7, "fds": 5.0}) for n in cycles])


def test_a_page_gets_only_what_it_has_not_seen(tmp_path: Path):
    with a_run(tmp_path) as store, claimed(tmp_path / RUN):
        read(store, range(10))
        run = LiveRun(tmp_path / RUN)
        first = run.look()
        read(store, range(10, 13))
        second, third = run.look(), run.look()

    (begun,) = first.begun
    assert [row["cycle"] for row in begun["rows"]] == list(range(10))
    assert [[signal["name"] for signal in chart] for chart in begun["charts"]] == [["heap", "rss"], ["fds"]]
    assert first.is_running
    assert (second.begun, [row["cycle"] for row in second.readings[0]["rows"]]) == ([], [10, 11, 12])
    assert (third.begun, third.readings, third.state) == ([], [], None)


def test_of_many_readings_the_lowest_of_each_stretch_are_sent(tmp_path: Path):
    """A million cycles make a page of no more points than ten thousand."""
    with a_run(tmp_path) as store:
        store.write_readings(1, [Reading(n, n / 100, {"rss": float(n % 100)}) for n in range(10_000)])
        (begun,) = LiveRun(tmp_path / RUN).look().begun

    assert POINTS - 10 <= len(begun["rows"]) <= POINTS + 1
    assert begun["rows"][-1]["cycle"] == 9_999


def test_a_run_that_was_cut_off_is_shown_and_the_stream_ends(tmp_path: Path):
    a_run(tmp_path).close()

    found = LiveRun(tmp_path / RUN).look()

    assert not found.is_running
    assert found.state is not None
    assert "This run was interrupted" in found.state["controls"]


def test_looking_leaves_no_files_beside_a_run(tmp_path: Path):
    a_run(tmp_path).close()

    LiveRun(tmp_path / RUN).look()

    assert [file.name for file in (tmp_path / RUN).iterdir()] == ["run.db"]


def test_page_and_scripts_are_small():
    """60 kB in all, compressed."""
    scripts = [asset(name) for name in ("uPlot.iife.min.js", "uPlot.min.css", "live.js")]

    sizes = [len(found[1]) for found in scripts if found is not None]
    assert len(sizes) == 3
    assert sum(sizes) + len(gzip.compress(live_page(RUN).encode())) < 60_000
    assert asset("../templates/live.html") is None


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Viewer, RunStore]]:
    """Serve a run that is being measured."""
    with a_run(tmp_path) as store, claimed(tmp_path / RUN), view("--out", str(tmp_path)) as viewer:
        read(store, range(10))
        yield viewer, store


def next_event(answer: http.client.HTTPResponse, kind: str) -> Any:
    """Return the data of the next event of this kind."""
    for line in answer:
        if line.strip() == f"event: {kind}".encode():
            return json.loads(answer.readline().removeprefix(b"data: "))
    raise AssertionError(f"the stream ended before {kind}")


@pytest.mark.integration
def test_readings_come_by_the_stream_while_they_are_made(running: tuple[Viewer, RunStore]):
    viewer, store = running
    with closing(http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=60)) as connection:
        connection.request("GET", f"/live/{RUN}/events", headers={"Authorization": f"Bearer {viewer.token}"})
        answer = connection.getresponse()
        (begun,) = next_event(answer, "series")
        read(store, range(10, 12))
        (news,) = next_event(answer, "readings")

    assert answer.headers["Content-Type"] == "text/event-stream"
    assert (len(begun["rows"]), [row["cycle"] for row in news["rows"]]) == (10, [10, 11])


@pytest.mark.integration
def test_two_views_of_one_run_get_the_same_beside_a_browser_that_sleeps(running: tuple[Viewer, RunStore]):
    viewer, store = running
    request = (
        f"GET /live/{RUN}/events HTTP/1.1\r\nHost: 127.0.0.1:{viewer.port}\r\nAuthorization: Bearer {viewer.token}"
    )
    with socket.create_connection(("127.0.0.1", viewer.port)) as sleeping:
        sleeping.sendall(f"{request}\r\n\r\n".encode())
        with contextlib.ExitStack() as both:
            answers = []
            for _ in range(2):
                connection = http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=60)
                both.callback(connection.close)
                connection.request("GET", f"/live/{RUN}/events", headers={"Authorization": f"Bearer {viewer.token}"})
                answers.append(connection.getresponse())
            begun = [next_event(answer, "series") for answer in answers]
            read(store, range(10, 12))
            news = [next_event(answer, "readings") for answer in answers]

    assert begun[0] == begun[1]
    assert [[row["cycle"] for row in each[0]["rows"]] for each in news] == [[10, 11]] * 2


def test_nothing_piles_up_for_a_browser_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The next look follows only when the browser has taken what the last one found."""
    looks: list[LiveLook | None] = []

    async def look(_: LiveRun) -> LiveLook:
        looks.append(LiveLook(None, [], [], is_running=True))
        return LiveLook(None, [], [], is_running=True)

    monkeypatch.setattr(server, "look", look)
    monkeypatch.setattr(server, "EVERY_S", 0.0)
    stream = Mock(spec=server._LiveEvents, is_gone=False)

    async def sleep_and_wake() -> None:
        taken = asyncio.Semaphore(0)
        stream.flush = taken.acquire
        telling = asyncio.create_task(server._LiveEvents._tell(stream, LiveRun(tmp_path)))
        for wakes in range(3):
            for _ in range(50):
                await asyncio.sleep(0)
            assert (len(looks), stream.write.call_count) == (wakes + 1, wakes + 1)
            taken.release()
        telling.cancel()

    asyncio.run(sleep_and_wake())


@pytest.mark.integration
def test_the_stream_is_for_this_host_and_for_runs_only(running: tuple[Viewer, RunStore]):
    viewer, _ = running

    assert viewer.ask(f"/live/{RUN}/events", headers={"Host": "evil.example"})[0] == 403
    assert viewer.ask(f"/live/{RUN}", headers={"Host": "evil.example"})[0] == 403
    assert viewer.ask("/live/..%2f..%2fetc/events")[0] == 404
    assert viewer.ask("/assets/..%2flive.html")[0] == 404
    assert "script-src 'self';" in viewer.ask(f"/live/{RUN}")[1]


@pytest.mark.integration
def test_prometheus_is_told_of_the_runs_that_go_on(running: tuple[Viewer, RunStore]):
    viewer, _ = running

    status, headers, content = viewer.ask("/metrics")

    assert (status, b"# TYPE soak_verdict gauge" in content) == (200, True)
    assert "text/plain; version=0.0.4" in headers


@pytest.mark.integration
@pytest.mark.browser
def test_a_browser_draws_what_comes(running: tuple[Viewer, RunStore], tmp_path_factory: pytest.TempPathFactory):
    chromium, driver = require_browser()
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is missing; make install brings it")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(flag)
    viewer, store = running
    browser = selenium.Chrome(options, selenium.ChromeService(driver))
    try:
        browser.implicitly_wait(30)
        browser.get(viewer.address)
        browser.find_element("link text", "live").click()
        browser.find_element("css selector", ".chart canvas")
        cycles = "return charts.get('decoder')[0].data[0].length"
        seen = browser.execute_script(cycles)
        read(store, range(10, 40))
        browser.set_script_timeout(30)
        browser.execute_async_script(
            "const done = arguments[0]; const ask = () => "
            "charts.get('decoder')[0].data[0].length === 40 ? done() : setTimeout(ask, 50); ask()"
        )
        width = browser.execute_script("return document.documentElement.scrollWidth - innerWidth")
        complaints = browser.get_log("browser")
    finally:
        browser.quit()

    assert seen in (10, 40)
    assert width <= 0
    assert complaints == []
