"""The viewer in a real browser: the index, SnakeViz drawing our functions, the report."""

from __future__ import annotations

import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from viewer_builder import RUN, SOAKED, Viewer, make_runs, require_browser, view

from soak.commands.results.view import open_in_browser

pytestmark = [pytest.mark.integration, pytest.mark.browser]

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
    # Nothing but this machine can be found: whatever a page wants from elsewhere fails.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
LONGEST_S = 30


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    out = tmp_path_factory.mktemp("reports")
    make_runs(out)
    with view("--out", str(out)) as viewer:
        yield viewer


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    chromium, driver = require_browser()
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is missing; make install brings it")
    options = selenium.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    browser = selenium.Chrome(options, selenium.ChromeService(driver))
    browser.implicitly_wait(LONGEST_S)
    yield browser
    browser.quit()


def wait_until(condition: Callable[[], object]) -> None:
    ends_s = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < ends_s
        time.sleep(0.01)


def texts(browser: Any, selector: str) -> list[str]:
    return [found.text for found in browser.find_elements("css selector", selector)]


def test_the_index_lists_runs_components_and_profiles(browser: Any, viewer: Viewer):
    """Newest first, with verdicts of the runs that judged, and what is known of each profile."""
    browser.get(viewer.address)

    assert texts(browser, "h2") == [RUN, SOAKED]
    assert texts(browser, "td a") == ["merged", "decoder"]
    assert texts(browser, ".badge.CLEAN") == ["CLEAN"]
    row = next(row for row in texts(browser, "tbody tr") if row.startswith("decoder"))
    assert "100 ms" in row
    assert "built-in method zlib.crc32" in row


def test_the_first_address_lets_in_and_does_not_stay_in_view(browser: Any, viewer: Viewer):
    """The token makes room for a cookie that scripts cannot read; without both nothing is shown."""
    browser.delete_all_cookies()
    browser.get(viewer.base)
    assert texts(browser, "h1") == ["403"]

    browser.get(viewer.address)

    assert browser.current_url == viewer.base
    assert texts(browser, "h2") == [RUN, SOAKED]
    (cookie,) = browser.get_cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    assert viewer.token not in cookie["value"]
    assert browser.execute_script("return document.cookie") == ""


def test_the_page_that_opens_the_browser_leads_to_the_index(browser: Any, viewer: Viewer, tmp_path: Path):
    """A page on the disk, because everybody can read a browser's command line."""
    browser.get(viewer.base)
    browser.delete_all_cookies()
    with ExitStack() as at_end:
        opened: list[str] = []
        at_end.enter_context(pytest.MonkeyPatch.context()).setattr(webbrowser, "open", opened.append)
        open_in_browser(viewer.address, at_end)
        wait_until(lambda: opened)
        assert viewer.token not in opened[0]
        assert Path(opened[0].removeprefix("file://")).parent.stat().st_mode & 0o77 == 0
        browser.get(opened[0])
        assert texts(browser, "h2") == [RUN, SOAKED]


def test_the_merged_profile_is_drawn_and_names_our_functions(browser: Any, viewer: Viewer, tmp_path: Path):
    """A rectangle for each function in the icicle, its name in it, and a row for each in the table."""
    browser.get(viewer.address)
    browser.find_element("link text", "merged").click()

    browser.find_element("css selector", "#chart svg rect")
    names = "\n".join(texts(browser, "#chart svg text"))
    assert len(browser.find_elements("css selector", "#chart svg rect")) >= 4
    for name in ("run_cycles", "decoder.py:19(decode)", "zlib.crc32"):
        assert name in names
    table = "\n".join(texts(browser, "#pstats-table tbody tr"))
    assert "decoder.py:19(decode)" in table
    assert "<built-in method zlib.crc32>" in table
    browser.save_screenshot(str(tmp_path / "merged.png"))


def test_a_part_is_enlarged_by_a_click(browser: Any, viewer: Viewer):
    """SnakeViz's own scripts work under our policy: its worker computes the new picture."""
    browser.get(f"{viewer.base}snakeviz/{RUN}/decoder.prof")
    browser.find_element("css selector", "#chart svg rect")

    browser.find_element("xpath", "//*[@id='pstats-table']//td[contains(., '(decode)')]").click()

    browser.find_element("xpath", "//*[@id='sv-call-stack-list'][contains(., 'decode')]")
    assert browser.find_element("id", "resetbutton-root").is_enabled()


def test_the_report_opens_beside_it(browser: Any, viewer: Viewer):
    """From the index, of either kind of run."""
    browser.get(viewer.address)
    browser.find_elements("link text", "report")[0].click()
    assert texts(browser, "h1") == ["Where the time goes"]

    browser.back()
    browser.find_elements("link text", "report")[1].click()
    assert texts(browser, "h1") == ["All is well"]
