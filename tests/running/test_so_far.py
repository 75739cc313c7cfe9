"""What can be said of a component at work: told now and then, kept beside the run, read by whoever looks."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from running_builder import a_plan
from supervisor_builder import ScriptedLedger, a_course, supervise

import soak.__main__
from soak.progress import Progress
from soak.reporting.formats.terminal import ProgressDisplay
from soak.results import AT_WORK, ComponentResult
from soak.running.component.observations import Observations
from soak.running.component.result import make_result
from soak.running.interpreter import Interpreter
from soak.store.runs import claimed, create_run, open_run, read_as_it_stands
from soak.web.catalogue import Catalogue
from soak.web.pages import index_page


@pytest.fixture(scope="module")
def told() -> list[Observations]:
    """Give what is told of a component that leaks, while it runs for 20 s."""
    ledger = ScriptedLedger(bytes_per_cycle=106)
    return supervise(a_course(20_000), ledger=ledger, early_stop=False, iterations=20_000).so_far


@pytest.fixture(scope="module")
def so_far_of_a_leak(told: list[Observations]) -> ComponentResult:
    return make_result(a_plan(), told[-1], None, Interpreter("python", (3, 11, 0)))


def test_a_component_at_work_is_told_of_every_five_seconds(told: list[Observations]):
    assert [round(one.seconds) for one in told] == [5, 10, 15, 20]
    assert all(one.stopped_by == AT_WORK for one in told)
    assert told[-1].evidence.series["tracked"].rate == pytest.approx(106)


def test_a_short_run_tells_nothing_before_its_end():
    """What is made for whoever looks takes time, which a run of some seconds should not spend."""
    assert supervise(a_course(4_000), iterations=4_000, early_stop=False).so_far == []


@pytest.fixture
def running(tmp_path: Path, so_far_of_a_leak: ComponentResult) -> Path:
    """Make a run with a component that is at work, and leaks."""
    folder = tmp_path / "2026-01-02T03-04-05"
    folder.mkdir()
    settings = {"components": {"leak": {"budget_s": 60.0, "iterations": None}}}
    with create_run(
        folder, run=folder.name, started="2026-01-02T03:04:05+00:00", soak="0.1.0", settings=settings
    ) as store:
        store.begin_component("leak", "2026-01-02T03:04:05+00:00")
        store.write_so_far(dataclasses.replace(so_far_of_a_leak, name="leak"))
    return folder


def test_a_run_that_goes_on_shows_what_is_known_so_far(running: Path, capsys: pytest.CaptureFixture[str]):
    with claimed(running):
        assert soak.__main__.main(["show", str(running)]) == 0
        shown = capsys.readouterr().out
        assert soak.__main__.main(["list", "--out", str(running.parent)]) == 0
        listed = capsys.readouterr().out
        assert soak.__main__.main(["report", str(running)]) == 0

    assert "This run is in progress" in shown
    assert re.search(r"At work: 1,000 calls per second, 4\d s left\.", shown)
    assert "106 B per call" in shown
    assert "1 LEAK (so far; it goes on)" in listed
    assert "106 B per call" in (running / "report.md").read_text(encoding="utf-8")


def test_a_run_that_was_cut_off_shows_what_was_known(running: Path, capsys: pytest.CaptureFixture[str]):
    soak.__main__.main(["show", str(running)])

    shown = capsys.readouterr().out
    soak.__main__.main(["list", "--out", str(running.parent)])
    listed = capsys.readouterr().out
    assert "This run was interrupted" in shown
    assert "It was at work when the run was interrupted." in shown
    assert "106 B per call" in shown
    assert "At work:" not in shown
    assert "1 LEAK (interrupted)" in listed


def test_the_index_of_the_viewer_says_what_is_known_so_far(running: Path, so_far_of_a_leak: ComponentResult):
    def chip() -> tuple[str, str, bool]:
        (entry,) = Catalogue(running.parent).entries()
        return *entry.verdicts[0], 'LEAK</span><span class="note"> so far</span>' in index_page([entry])

    with claimed(running):
        at_work = chip()
    interrupted = chip()
    with open_run(running) as store:
        store.write_result(1, dataclasses.replace(so_far_of_a_leak, name="leak", stopped_by="verdict"))

    assert at_work == interrupted == ("leak", "LEAK", True)
    assert chip() == ("leak", "LEAK", False)


def test_the_index_of_the_viewer_follows_no_link_to_a_run_elsewhere(running: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere" / running.name
    elsewhere.mkdir(parents=True)
    (elsewhere / "run.db").symlink_to(running / "run.db")

    assert [entry.verdicts for entry in Catalogue(elsewhere.parent).entries()] == [()]


def test_what_is_known_so_far_is_no_result(running: Path, so_far_of_a_leak: ComponentResult):
    """`soak resume` measures such a component again; its result takes the place of what was known before."""
    with open_run(running) as store:
        assert store.read_run().components == ()

        found = dataclasses.replace(so_far_of_a_leak, name="leak", stopped_by="verdict")
        store.write_result(1, found)

        assert store.read_fact("so_far/leak") is None
    assert [one.stopped_by for one in read_as_it_stands(running).components] == ["verdict"]


def test_the_line_of_progress_fits_into_80_columns():
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)

    with ProgressDisplay(console) as progress:
        progress.begin("numpy_conversion", 1, 3)
        progress._drawn_at = 0.0
        progress.update(
            "numpy_conversion",
            Progress(1_234_567, 3600.0, "INCONCLUSIVE", budget_s=43_200.0, rss_bytes=138 * 2**20, growth_bytes=106.2),
        )

    line = next(line for line in out.getvalue().splitlines() if "/s" in line)
    assert "numpy_conversion 343/s  138 MiB  +106 B/cycle  11 h 00 min left" in line
