"""The live page of a run: the readings as they come, in the stream and in a browser."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import json
import re
import socket
import threading
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
from soak.web.live_pages import UNREADABLE, asset, events, known, live_page, look

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
    assert "This run was interrupted" in found.state["state"]


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
def test_a_client_that_returns_gets_what_it_has_missed(running: tuple[Viewer, RunStore]):
    viewer, store = running
    rows = []
    for cycles in (range(10, 12), range(12, 500)):
        with closing(http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=60)) as connection:
            connection.request("GET", f"/live/{RUN}/events", headers={"Authorization": f"Bearer {viewer.token}"})
            rows.append(next_event(connection.getresponse(), "series")[0]["rows"])
        read(store, cycles)
    status, _, content = viewer.ask(f"/live/{RUN}/now")
    known = json.loads(content)

    assert [len(each) for each in rows] == [10, 12]
    assert status == 200
    assert [row["cycle"] for row in known["series"][0]["rows"]] == list(range(500))
    assert "This run is in progress" in known["state"]["state"]
    assert not known["has_ended"]


def test_a_page_that_takes_nothing_for_long_gives_its_place_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def look(_: LiveRun) -> LiveLook:
        return LiveLook(None, [], [], is_running=True)

    monkeypatch.setattr(server, "look", look)
    monkeypatch.setattr(server, "LONGEST_SLEEP_S", 0.01)
    stream = Mock(spec=server._LiveEvents, is_gone=False)
    stream.flush = asyncio.Event().wait

    with pytest.raises(TimeoutError):
        asyncio.run(server._LiveEvents._tell(stream, LiveRun(tmp_path)))


def test_a_run_that_cannot_be_read_is_said(tmp_path: Path):
    (tmp_path / RUN).mkdir()
    (tmp_path / RUN / "run.db").write_bytes(b"no database")

    found = asyncio.run(look(LiveRun(tmp_path / RUN)))

    assert found is None
    assert json.loads(events(found).partition("data: ")[2]) == {"why": UNREADABLE}
    assert known(found)["why"] == UNREADABLE


def test_a_stream_says_each_second_that_it_lives():
    """A page cannot see comments of a stream, and takes a silent one for dead."""
    assert events(LiveLook(None, [], [], is_running=True)) == "event: beat\ndata: {}\n\n"


@contextlib.contextmanager
def holding_proxy(port: int) -> Iterator[int]:
    """Pass requests on to a port; an answer only as a whole, when it has ended. Yields the port of the proxy."""
    listening = socket.create_server(("127.0.0.1", 0))
    opened = [listening]

    def pass_on(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            asked = b""
            while b"\r\n\r\n" not in asked:
                if not (part := client.recv(65536)):
                    return
                asked += part
            asked = re.sub(rb"(?i)\r\nconnection: [^\r]+", b"", asked)
            asked = re.sub(rb"(?i)\r\nhost: [^\r]+", b"\r\nHost: 127.0.0.1:%d\r\nConnection: close" % port, asked)
            with socket.create_connection(("127.0.0.1", port)) as server_side:
                opened.append(server_side)
                server_side.sendall(asked)
                answer = b"".join(iter(lambda: server_side.recv(65536), b""))
            client.sendall(answer)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                opened.append(client)
                threading.Thread(target=pass_on, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        for one in opened:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium without a window."""
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
    started = selenium.Chrome(options, selenium.ChromeService(driver))
    try:
        started.implicitly_wait(30)
        started.set_script_timeout(30)
        yield started
    finally:
        started.quit()


def wait_until(browser: Any, condition: str) -> None:
    """Wait until an expression of the page's script is true."""
    browser.execute_async_script(
        f"const done = arguments[0]; const ask = () => ({condition}) ? done() : setTimeout(ask, 50); ask()"
    )


@pytest.mark.integration
@pytest.mark.browser
def test_a_browser_draws_what_comes(running: tuple[Viewer, RunStore], browser: Any):
    viewer, store = running
    browser.get(viewer.address)
    browser.find_element("link text", "live").click()
    browser.find_element("css selector", ".chart canvas")
    seen = browser.execute_script("return charts.get('decoder')[0].data[0].length")
    read(store, range(10, 40))
    wait_until(browser, "charts.get('decoder')[0].data[0].length === 40")
    width = browser.execute_script("return document.documentElement.scrollWidth - innerWidth")
    legend = browser.find_element("css selector", ".u-legend").text.replace("\n", "")

    assert seen in (10, 40)
    assert width <= 0
    assert legend.startswith("cycle39")
    assert browser.get_log("browser") == []


@pytest.mark.long
@pytest.mark.integration
@pytest.mark.browser
def test_behind_a_proxy_that_holds_back_the_stream_the_page_gets_its_readings(
    running: tuple[Viewer, RunStore], browser: Any
):
    viewer, store = running
    with holding_proxy(viewer.port) as port:
        browser.get(viewer.address.replace(str(viewer.port), str(port), 1))
        browser.get(f"http://127.0.0.1:{port}/live/{RUN}")
        browser.find_element("css selector", ".chart canvas")
        read(store, range(10, 40))
        wait_until(browser, "charts.get('decoder')[0].data[0].length === 40")
        said = browser.find_element("id", "connection").text

    assert said.startswith("The stream of readings is interrupted; a proxy may buffer it.")


@pytest.mark.long
@pytest.mark.integration
@pytest.mark.browser
def test_a_page_whose_server_was_started_again_says_what_to_open(running: tuple[Viewer, RunStore], browser: Any):
    viewer, _ = running
    browser.get(viewer.address)
    browser.get(f"{viewer.base}live/{RUN}")
    browser.find_element("css selector", ".chart canvas")
    browser.delete_all_cookies()
    browser.execute_script("source.close(); heardAt = 0")
    wait_until(browser, "byId('connection').textContent")

    assert browser.find_element("id", "connection").text.startswith("This address is no longer valid")
