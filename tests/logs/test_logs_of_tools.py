"""More tools, each with growth that is found at its rate, and without growth; of several columns or rows soak asks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import logs_builder as build
import pytest
import tools_builder as tools

from soak.errors import SoakError
from soak.logs.choice import Asked
from soak.logs.judging import LogVerdict, judge_log
from soak.logs.reading.source import Source
from soak.logs.series import LogSeries, read_series
from soak.reporting.words.logs import log_sentences
from soak.verdict import Verdict

Write = Callable[[build.Pages], str]
Judged = Callable[..., tuple[LogSeries, LogVerdict]]
LEAKING, FLAT = build.leaking(900), build.flat(400)


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    """Judge a text or bytes as a log."""

    def judge(content: str | bytes, **asked: Any) -> tuple[LogSeries, LogVerdict]:
        file = tmp_path / "log"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        series = read_series(Source(str(file)), Asked(**asked))
        return series, judge_log(series)

    return judge


def _grows_as_built(found: LogVerdict) -> bool:
    rate = found.telling.found.rate
    return found.verdict is Verdict.LEAK and rate == pytest.approx(build.GROWTH_BYTES, rel=0.1)


@pytest.mark.parametrize("write", [*tools.PER_SECOND, *tools.PER_STEP])
def test_growth_is_found_at_its_rate(judged: Judged, write: Write):
    series, found = judged(write(LEAKING))

    assert _grows_as_built(found)
    assert series.is_over_time == (write in tools.PER_SECOND)


@pytest.mark.parametrize("write", [*tools.PER_SECOND, *tools.PER_STEP])
def test_what_does_not_grow_is_no_leak(judged: Judged, write: Write):
    _, found = judged(write(FLAT))

    assert found.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("write", tools.OF_WHOLE_MIB)
def test_growth_in_whole_mib_is_found_at_its_rate_and_what_does_not_grow_is_no_leak(judged: Judged, write: Write):
    series, growing = judged(write(LEAKING))
    _, flat = judged(write(FLAT))

    assert growing.verdict is Verdict.LEAK
    assert growing.telling.found.rate == pytest.approx(build.GROWTH_BYTES * 256, rel=0.1)
    assert series.is_over_time
    assert flat.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("write", "question", "answer"), tools.ASKED)
def test_of_several_none_is_guessed_and_the_answer_is_judged(
    judged: Judged, write: Write, question: str, answer: dict[str, Any]
):
    text = write(LEAKING)

    with pytest.raises(SoakError, match=question):
        judged(text)

    assert _grows_as_built(judged(text, **answer)[1])


@pytest.mark.parametrize("write", tools.TIMES.values(), ids=tools.TIMES)
def test_times_are_read(judged: Judged, write: Callable[[int], str]):
    text = tools.timed(write)(build.leaking(500))
    if "," in write(0) and '"' not in write(0):
        text = text.partition("\n")[2]

    series, _ = judged(text)

    assert series.is_over_time
    assert series.pieces[0].at[-1] - series.pieces[0].at[0] == 499


def test_what_may_be_hours_or_minutes_is_said_and_can_be_named(judged: Judged):
    text = tools.timed(lambda n: f"{n // 60:02d}:{n % 60:02d}")(build.leaking(1000))

    series, found = judged(text)
    named, found_then = judged(text, pairs="mm:ss")

    assumed = "soak reads times such as 00:00 as hours and minutes; --times mm:ss reads them as minutes and seconds."
    assert assumed in log_sentences(series, found)
    assert assumed not in log_sentences(named, found_then)
    assert found_then.telling.found.rate == pytest.approx(60 * found.telling.found.rate)


@pytest.mark.parametrize(("from_minute", "is_said"), [(16 * 60, False), (0, True)])
def test_that_hours_come_round_at_midnight_tells_that_they_are_hours(judged: Judged, from_minute: int, is_said: bool):
    """A count of minutes that begins anew at 20:00 is no midnight."""
    longest = 1440 if not is_said else 1200
    text = tools.timed(lambda n: f"{(n + from_minute) % longest // 60:02d}:{n % 60:02d}")(build.leaking(1500))

    series, _ = judged(text)

    assert (series.assumed_time != "") is is_said
    assert not series.pieces[0].at[1] % 60


def test_a_time_that_cannot_be_read_is_said(judged: Judged):
    text = tools.timed(lambda n: f"the {n}th tick")(LEAKING)

    series, found = judged(text)

    assert series.noun == "reading"
    assert "soak cannot read the 0th tick as a time, so it numbers the readings." in log_sentences(series, found)


def test_memory_that_is_left_is_said_to_be(judged: Judged):
    series, found = judged(tools.vmstat(LEAKING), column="free")

    assert series.is_left
    assert "as free memory: a fall of it counts as growth" in log_sentences(series, found)[2]


def test_a_rise_of_less_than_the_readings_can_show_is_no_leak(judged: Judged):
    """Two pages in three thousand readings: the interval of the rate has no growth in it."""
    text = "cycle,rss\n" + "".join(f"{n},{28_000 + n * 3} B\n" for n in range(3000))

    _, found = judged(text)

    assert (found.telling.found.low or 0.0) <= 0
    assert found.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1f\x8b\x08\x00" + bytes(50), "is compressed: zcat .*log | soak judge -"),
        (b"PK\x03\x04" + bytes(50), "is compressed: unzip -p"),
        (
            "cycle;rss\n" + "".join(f"{n};{29 + n // 100}.{n % 1000:03d}\n" for n in range(200)),
            "29.000 may be 29000 or",
        ),
        (
            "firmware/hardware 0 0\nkernel image 0 0\nuser space memory 5 6\nfree memory 1 1\n" * 9,
            "line 2: other columns than line 1",
        ),
        (tools.vm_stat(FLAT), "could be judged: free, active, wired, faults"),
    ],
    ids=[
        "gzip",
        "zip",
        "points that cut thousands or decimals",
        "rows of several kinds",
        "a line above the heading",
    ],
)
def test_what_cannot_be_judged_is_said(judged: Judged, content: str | bytes, message: str):
    with pytest.raises(SoakError, match=message):
        judged(content)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_wide_characters_without_a_mark_are_read(judged: Judged, encoding: str):
    series, _ = judged(tools.with_comments(LEAKING).encode(encoding))

    assert series.readings == len(LEAKING)


def test_memory_that_is_told_once_in_a_hundred_lines_is_found(judged: Judged):
    other = "2025-11-24 16:00:00 DEBUG GET /orders 200 in 17 ms\n" * 100
    text = other.join(f"{line}\n" for line in build.text_of_resident_memory(LEAKING).splitlines())

    assert _grows_as_built(judged(text)[1])
