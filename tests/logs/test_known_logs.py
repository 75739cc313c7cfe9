"""Logs as tools write them: the same readings in each format, growing and not."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import logs_builder as build
import pytest

from soak.logs.choice import Asked
from soak.logs.judging import LogVerdict, judge_log
from soak.logs.reading.source import Source
from soak.logs.series import LogSeries, read_series
from soak.reporting.words.logs import log_sentences
from soak.verdict import Verdict

Write = Callable[[build.Pages], str]
Judged = tuple[LogSeries, LogVerdict]


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., Judged]:
    """Judge a text as a log."""

    def judge(text: str, *, asked: Asked | None = None, restarts: bool = False) -> Judged:
        file = tmp_path / "log"
        file.write_text(text, encoding="utf-8", newline="")
        series = read_series(Source(str(file)), asked or Asked())
        return series, judge_log(series, restarts=restarts)

    return judge


@pytest.mark.parametrize("write", [*build.PER_SECOND, *build.PER_STEP])
def test_growth_is_found_with_its_rate_in_bytes(judged: Callable[..., Judged], write: Write):
    series, found = judged(write(build.leaking(1500)))

    telling = found.telling.found
    assert found.verdict is Verdict.LEAK
    assert series.unit == "bytes"
    assert telling.rate == pytest.approx(build.GROWTH_BYTES, rel=0.05)


@pytest.mark.parametrize("write", [*build.PER_SECOND, *build.PER_STEP])
def test_what_does_not_grow_is_no_leak(judged: Callable[..., Judged], write: Write):
    """400 readings in pages are too few to prove a growth of less than 1 B per reading."""
    _, found = judged(write(build.flat(400)))

    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.telling.found.needed


@pytest.mark.parametrize("write", build.PER_SECOND)
def test_logs_with_times_are_judged_over_time(judged: Callable[..., Judged], write: Write):
    series, _ = judged(write(build.leaking(300)))

    assert series.is_over_time


def test_a_long_log_that_does_not_grow_is_clean(judged: Callable[..., Judged]):
    _, found = judged(build.iterations(build.flat(20_000)))

    assert found.verdict is Verdict.CLEAN


def test_memory_that_is_printed_in_whole_mib_does_not_fall(judged: Callable[..., Judged]):
    """It goes back and forth by one of them, which is no restart; that it rose is said though nothing is decided."""
    noise = random.Random(1)
    rows = [f"web 12m {int(117 + n / 150 + noise.gauss(0, 0.05))}Mi" for n in range(1200)]
    text = "NAME CPU(cores) MEMORY(bytes)\n" + "\n".join(rows)

    series, found = judged(text)

    assert found.verdict is Verdict.INCONCLUSIVE
    assert not found.falls
    assert len(found.judged) == 1
    assert log_sentences(series, found)[0].startswith("Rose from 117 MiB to 124 MiB; it is too early to tell")


def _rows(count: int, row: Callable[[int], str], head: str = "time,rss\n") -> str:
    return head + "".join(f"{row(n)}\n" for n in range(count))


PAGES = build.leaking()
FLAT = build.flat()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (_rows(3000, lambda n: f"{build.EPOCH + n},{PAGES[n % 1500] * 4096}"), "value"),
        (_rows(3000, lambda n: f"{n // 1500},{build.EPOCH + n},{PAGES[n % 1500] * 4096}", "pid,time,rss\n"), "pid"),
        (_rows(3000, lambda n: f"{n % 1500},{PAGES[n % 1500] * 4096}", "cycle,rss\n"), "axis"),
        (_rows(3000, lambda n: f"{build.EPOCH + n - 3600 * (n >= 1500)},{PAGES[n] * 4096}"), "clock"),
    ],
    ids=["the value falls", "another pid", "the counter falls", "the clock is set back"],
)
def test_a_restart_begins_a_piece(judged: Callable[..., Judged], text: str, why: str):
    _, found = judged(text)

    assert [len(one.piece.at) for one in found.judged] == [1500, 1500]
    assert [one.piece.why for one in found.judged] == ["", why]
    assert found.verdict is Verdict.LEAK


def test_restarts_of_a_program_that_does_not_grow_are_no_leak(judged: Callable[..., Judged]):
    _, found = judged(_rows(3000, lambda n: f"{n % 1500},{FLAT[n % 1500] * 4096}", "cycle,rss\n"))

    assert [one.found.verdict for one in found.judged] == [Verdict.INCONCLUSIVE] * 2


def _sawtooth(count: int, period: int) -> str:
    return _rows(count, lambda n: f"{build.EPOCH + n},{(7330 + 3 * (n % period)) * 4096}")


@pytest.mark.parametrize("period", [100, 500])
def test_the_teeth_of_a_sawtooth_are_no_restarts_and_no_leak(judged: Callable[..., Judged], period: int):
    """Teeth of 500 s are longer than n_min, an eighth of the log, would allow: it is made larger for them."""
    _, found = judged(_sawtooth(3000, period))

    assert found.falls == 3000 // period - 1
    assert found.verdict is not Verdict.LEAK


def test_teeth_that_are_said_to_be_restarts_are_judged_one_by_one(judged: Callable[..., Judged]):
    _, found = judged(_sawtooth(3000, 500), restarts=True)

    assert len(found.judged) == 6
    assert found.verdict is Verdict.LEAK


def test_readings_that_are_missing_are_left_out_and_counted(judged: Callable[..., Judged]):
    series, _ = judged(_rows(200, lambda n: f"{build.EPOCH + n},{('NaN', '', 'null', 8192 + n)[n % 4]}"))

    assert (series.readings, series.blanks) == (50, 150)


def test_of_readings_at_one_time_the_lower_one_is_kept(judged: Callable[..., Judged]):
    series, _ = judged(_rows(200, lambda n: f"{build.EPOCH + n // 2},{n % 2 * 4096 + 8192}"))

    assert (series.readings, series.same_time) == (100, 100)
    assert set(series.pieces[0].values.tolist()) == {8192.0}


def test_more_readings_than_are_kept_keep_their_lows(judged: Callable[..., Judged], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("soak.logs.series.MOST_KEPT", 64)

    series, found = judged(_rows(3000, lambda n: f"{n},{n * 10 + n % 2 * 4096}", "cycle,rss_bytes\n"))

    assert 64 <= len(series.pieces[0].at) < 128
    assert all(value % 20 == 0 for value in series.pieces[0].values[:-1].tolist())
    assert found.verdict is Verdict.LEAK
    assert found.telling.found.rate == pytest.approx(10)


def test_a_value_without_a_unit_is_judged_by_its_own_level(judged: Callable[..., Judged]):
    """A response time in seconds that doubles in half an hour grows by 0.00001 per second."""
    text = _rows(2000, lambda n: f"{build.EPOCH + n},{0.02 + n * 1e-5:.6f}", "time,response\n")

    series, found = judged(text)

    assert series.unit == ""
    assert found.verdict is Verdict.LEAK


@pytest.mark.parametrize(
    ("first", "second", "seconds"),
    [("03/04/2025 23:59:50", "04/04/2025 00:00:00", 10), ("04/03/2025 23:59:50", "04/04/2025 00:00:00", 10)],
    ids=["day first", "month first"],
)
def test_day_and_month_are_told_apart_by_the_smaller_step(
    judged: Callable[..., Judged], first: str, second: str, seconds: int
):
    series, _ = judged(f"time,rss\n{first},4096\n{second},8192\n")

    assert series.pieces[0].at[1] - series.pieces[0].at[0] == seconds


def test_a_clock_without_a_date_passes_midnight(judged: Callable[..., Judged]):
    series, _ = judged("23:59:59 4096\n00:00:01 8192\n23:59:58 4096\n00:00:03 8192\n")

    assert (series.pieces[0].at - series.pieces[0].at[0]).tolist() == [0, 2, 86_399, 86_404]
