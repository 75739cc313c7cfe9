"""The column is chosen by its name or asked for; a log that cannot be judged is refused in one line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import logs_builder as build
import pytest

import soak.__main__
from soak.errors import SoakError
from soak.logs.choice import Asked
from soak.logs.reading.source import Source
from soak.logs.series import LogSeries, read_series

Read = Callable[..., LogSeries]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_text(text: str, **asked: object) -> LogSeries:
        (tmp_path / "a.log").write_text(text, encoding="utf-8", newline="")
        return read_series(Source(str(tmp_path / "a.log")), Asked(**asked))  # type: ignore[arg-type]

    return read_text


def _table(*names: str) -> str:
    rows = (",".join(str(n * (column + 1)) for column in range(len(names))) for n in range(1, 100))
    return "\n".join([",".join(names), *rows]) + "\n"


@pytest.mark.parametrize(
    ("names", "column"),
    [
        (("ts", "pid", "vms", "rss"), "rss"),
        (("iteration", "cpu_percent", "Heap Used (MB)"), "Heap Used (MB)"),
        (("time", "mem_total", "mem_limit", "memory_usage"), "memory_usage"),
        (("cycle", "at_s", "fds"), "fds"),
        (("n", "whatever"), "whatever"),
        (("time", "current", "peak"), "current"),
    ],
)
def test_a_column_is_chosen_by_its_name(read: Read, names: tuple[str, ...], column: str):
    assert read(_table(*names)).column == column


@pytest.mark.parametrize(
    ("names", "candidates"),
    [
        (("time", "rss", "uss", "pss"), "rss, uss, pss"),
        (("time", "alpha", "beta"), "alpha, beta"),
        (("Timestamp", "Requests/s", "Average Response Time"), "Requests/s, Average Response Time"),
    ],
)
def test_among_several_columns_none_is_guessed(read: Read, names: tuple[str, ...], candidates: str):
    with pytest.raises(
        SoakError, match=f"several columns that could be judged: {candidates}; choose one with --column"
    ):
        read(_table(*names))


def test_the_processor_of_kubernetes_is_not_taken_for_memory(read: Read):
    """``12m`` is a thousandth of a processor there, and looks like 12 MiB."""
    rows = [f"web-5d9   {12 + n % 5}m          {117 + n // 50}Mi" for n in range(200)]

    with_heading = read("".join(f"NAME      CPU(cores)   MEMORY(bytes)\n{row}\n" for row in rows))

    assert with_heading.column == "MEMORY(bytes)"
    assert with_heading.pieces[0].values[-1] == 120 * 2**20
    assert read("".join(f"{row}\n" for row in rows)).column == "column 3"
    with pytest.raises(SoakError, match="several columns that could be judged: column 2, column 3"):
        read("".join(f"{row}\n" for row in rows).replace("Mi", "M"))


def test_a_part_of_a_name_that_only_one_column_has_is_enough(read: Read):
    assert read(_table("time", "alpha", "beta"), column="bet").column == "beta"


def test_rows_of_several_processes_are_not_mixed(read: Read):
    text = "time,pid,rss\n" + "".join(f"{build.EPOCH + n // 2},{7 + n % 2},{8192 + n}\n" for n in range(100))

    with pytest.raises(SoakError, match="has several in column pid: 7, 8; choose one with --only 'pid=7'"):
        read(text)

    assert read(text, only=[("pid", "8")]).readings == 50


def test_the_components_of_an_export_are_not_taken_for_restarts(read: Read):
    text = "component,cycle,at_s,rss\n" + "".join(f"{'ab'[n // 50]},{n},{n},{8192}\n" for n in range(100))

    with pytest.raises(SoakError, match="has several in column component: a, b"):
        read(text)


@pytest.mark.parametrize(
    ("values", "heading", "unit", "factor"),
    [
        (["29320 kB", "29324 kB"], "rss", "named", 1024),
        (["1.2GiB", "1.5GiB"], "rss", "named", 2**30 / 29320 * 1.2),
        (["29320", "29324"], "rss_kb", "named", 1024),
        (["29320", "29324"], "rss", "pages of 4 KiB", 1024),
        (["120094720", "120098816"], "rss", "pages of 4096 bytes", 120_094_720 / 29320),
        (['"29,320"', '"29,324"'], "rss", "pages of 4 KiB", 1024),
        (["29321", "29327"], "rss", "", 1),
    ],
)
def test_the_unit_is_read_or_follows_from_whole_pages(
    read: Read, values: list[str], heading: str, unit: str, factor: float
):
    series = read(f"cycle,{heading}\n1,{values[0]}\n2,{values[1]}\n")

    assert series.unit_from == unit
    assert series.pieces[0].values[0] == pytest.approx(29320 * factor, rel=1e-4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,rss\n1764000000,5\n1764000001,-5\n", "line 3: rss is -5; memory is never negative"),
        ("time,rss\n1764000000,5\n1763000001,5\n", "line 3: its time is before that of the row above; sort the rows"),
        ("hello\nworld\n", "has no numbers in columns"),
        ("a\0b", "is not a text file"),
        ('{"status":"error","error":"bad query"}', "is an error of Prometheus: bad query"),
        ('{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"2"]}]}}', "ask Prometheus with"),
        ('{"data":{"resultType":"matrix","result":[{"values":[[1,2,3]]}]}}', "no pairs of a time and a number"),
        ('{"data":{"resultType":"matrix","result":[{"values":[', "is not a whole JSON answer of Prometheus"),
        ("Zeit;rss\n1;29,320\n2;29,324\n", "29,320 may be 29320 or 29.320; say which"),
        ("1,2\n" + "3" * (2**20 + 2), "line 2: longer than 1,048,576 characters"),
    ],
)
def test_what_cannot_be_judged_is_said_in_one_line(read: Read, text: str, message: str):
    with pytest.raises(SoakError, match=message) as refused:
        read(text)

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("device", "message"), [("/dev/zero", "is not a text file"), ("/dev/null", "is empty")])
def test_a_device_is_refused(device: str, message: str):
    with pytest.raises(SoakError, match=message):
        Source(device)


def test_a_pipe_that_nobody_writes_into_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("soak.logs.reading.source.NO_WRITER_S", 0.1)
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(SoakError, match="is empty"):
        Source(str(tmp_path / "pipe"))


def test_of_a_pipe_that_falls_silent_what_came_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("soak.logs.reading.source.SILENCE_S", 0.1)
    receiver, sender = os.pipe()
    os.write(sender, b"cycle,rss\n1,5\n2,6\n")

    series = read_series(Source(f"/dev/fd/{receiver}"), Asked())

    os.close(sender)
    os.close(receiver)
    assert (series.readings, series.is_cut_short) == (2, True)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_of_other_systems_are_read(tmp_path: Path, encoding: str):
    (tmp_path / "a.csv").write_text("cycle,rss\r\n1,5\r\n2,6\r\n", encoding=encoding, newline="")

    assert read_series(Source(str(tmp_path / "a.csv")), Asked()).readings == 2


def test_the_command_draws_a_page_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "rss.csv").write_text(build.many_columns(build.leaking()), encoding="utf-8")
    page = tmp_path / "page.html"

    code = soak.__main__.main(["judge", str(tmp_path / "rss.csv"), "--html", str(page), "--json", str(tmp_path / "v")])

    said = capsys.readouterr().out
    written = json.loads((tmp_path / "v").read_text(encoding="utf-8"))
    assert code == 1
    assert said.startswith("LEAK: Grows by 10.")
    assert " MiB per hour [" in said.partition("\n")[0]
    assert (written["verdict"], written["per"], written["column"]) == ("LEAK", "second", "rss")
    assert "<svg" in page.read_text(encoding="utf-8")
    assert said.partition("\n")[0].removeprefix("LEAK: ") in page.read_text(encoding="utf-8")


def test_a_tolerance_per_hour_needs_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "rss.csv").write_text(build.iterations(build.flat()), encoding="utf-8")
    (tmp_path / "timed.csv").write_text(build.many_columns(build.flat()), encoding="utf-8")

    assert soak.__main__.main(["judge", str(tmp_path / "rss.csv"), "--tolerance", "64KiB/h"]) == 2
    assert "has no times" in capsys.readouterr().err
    assert soak.__main__.main(["judge", str(tmp_path / "timed.csv"), "--tolerance", "64KiB/h"]) == 0
    assert "CLEAN: Grows by no more than" in capsys.readouterr().out
