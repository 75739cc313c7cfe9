"""Logs of dstat, massif, pmap, CloudWatch and others, with what the tools print above and between the readings."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from soak.errors import SoakError
from soak.logs.choice import Asked
from soak.logs.judging import judge_log
from soak.logs.reading.source import Source
from soak.logs.series import LogSeries, read_series
from soak.reporting.words.logs import log_sentences
from soak.verdict import Verdict

COUNT = 300
BEGIN = datetime(2025, 11, 24, 16, tzinfo=UTC)
KIB = [60_000 + 4 * n for n in range(COUNT)]
"""The readings, each ten seconds after the one before."""
Read = Callable[..., LogSeries]
Row = Callable[[int, int, datetime], str]


def rows(row: Row, head: str = "") -> str:
    return head + "".join(row(n, kib, BEGIN + timedelta(seconds=10 * n)) + "\n" for n, kib in enumerate(KIB))


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_text(text: str, **asked: Any) -> LogSeries:
        (tmp_path / "log").write_text(text, encoding="utf-8", newline="")
        return read_series(Source(str(tmp_path / "log")), Asked(**asked))

    return read_text


DSTAT = '"pcp-dstat 5.3.7 CSV Output"\n"Author:","PCP team",,,,"URL:","https://pcp.io/"\n"Host:","h",,,,"User:","me"\n'
DSTAT += '"Cmdline:","dstat -tcm --output a.csv",,,,"Date:","24 Nov 2025 16:00:00 UTC"\n'
OF_DSTAT = DSTAT + '"system","total usage",,"memory usage",,,\n"time","usr","idl","used","free","buf","cach"\n'
PRINTED = "----system---- --total-usage- ------memory-usage-----\n     time     |usr idl| used  free  buff  cach\n"
TOP = "Mem: 3911000K used, 8123000K free, 12K shrd, 300K buff, 38K cached\nCPU:   0% usr   0% sys 100% idle\n"
TOP += "Load average: 0.10 0.20 0.15 1/200 4711\n  PID  PPID USER     STAT   VSZ %VSZ CPU %CPU COMMAND\n"
OF_FREE = "        gesamt    benutzt   frei    gemns.  Puffer/Cache verfügbar\n"
MASSIF = (
    "#-----------\nsnapshot={n}\n#-----------\ntime={time}\nmem_heap_B={heap}\nmem_heap_extra_B=8\nmem_stacks_B=0\n"
)
MASSIF += "heap_tree=detailed\nn1: {heap} (heap allocation functions) malloc/new/new[], --alloc-fns, etc.\n"
MASSIF += " n0: 9 0x40: g (a.c:5)\n"
PMAP_X = "4711:   python app.py\nAddress           Kbytes     RSS   Dirty Mode  Mapping\n"
PMAP_X += "000055d0a1b2c000     400     400       0 r---- python3.11\n---------------- ------- ------- -------\n"
PMAP_ALL = "4711:   python app.py\n     Address Perm   Offset Device Inode  Size   Rss Swap Mapping\n"
PMAP_ALL += "55d0a1b2c000 r--p 00000000 fe:00  260104   400   400    0 python3.11\n              ==== ===== ====\n"
PMAP = "4711:   python app.py\n000055d0a1b2c000    400K r---- python3.11\n"
CLOUDWATCH = "Full label,web\nLabel,MemoryUtilized\nPeriod,10\nStatistic,Average\nUnit,Megabytes\n,\n"
LOGS: dict[str, tuple[str, str, str]] = {
    "file of dstat": (
        rows(lambda n, k, t: f"{t:%b-%d %H:%M:%S},1,98,{k * 1024},{9e9:.0f},1000,5000", OF_DSTAT),
        "memory used",
        "second",
    ),
    "dstat, started again": (
        rows(
            lambda n, k, t: (OF_DSTAT if n == 90 else "") + f"{t:%d-%m %H:%M:%S},1,98,{k * 1024},9000,10,50", OF_DSTAT
        ),
        "memory used",
        "second",
    ),
    "dstat on the screen": (
        rows(lambda n, k, t: (PRINTED if n % 50 == 0 else "") + f"{t:%d-%m %H:%M:%S}|  1  98| {k}k 7000M  100M  900M"),
        "memory used",
        "second",
    ),
    "massif": (
        rows(
            lambda n, k, t: MASSIF.format(n=n, time=n * 99_000, heap=k * 1024),
            "desc: (none)\ncmd: ./a\ntime_unit: i\n",
        ),
        "heap",
        "snapshot",
    ),
    "massif by time": (
        rows(
            lambda n, k, t: MASSIF.format(n=n, time=n * 10_000, heap=k * 1024),
            "desc: --time-unit=ms\ncmd: ./a\ntime_unit: ms\n",
        ),
        "heap",
        "second",
    ),
    "pmap -x": (rows(lambda n, k, t: f"{PMAP_X}total kB          228633   {k}   {k - 400}"), "RSS", "reading"),
    "pmap -X": (rows(lambda n, k, t: f"{PMAP_ALL}              8633 {k}    0 KB"), "Rss", "reading"),
    "pmap": (rows(lambda n, k, t: f"{PMAP} total           {k}K"), "address space", "reading"),
    "CloudWatch's console": (
        rows(lambda n, k, t: f"{t:%Y/%m/%d %H:%M:%S},{k / 1024}", CLOUDWATCH),
        "MemoryUtilized (Megabytes)",
        "second",
    ),
    "top without its heading": (
        rows(
            lambda n, k, t: f"   4711 me        20   0  228633  {k}  12345 S   {n % 9}.7   0.2   0:0{n % 9}.23 python"
        ),
        "RES",
        "reading",
    ),
    "ps aux without its heading": (
        rows(lambda n, k, t: f"me     4711  0.3  0.1 228633 {k} pts/0    Sl+  16:00   0:0{n % 9} python app.py"),
        "RSS",
        "reading",
    ),
    "top of busybox": (
        rows(lambda n, k, t: f"{TOP} 4711     1 me       S    {k}   0%   1   0% python"),
        "VSZ",
        "reading",
    ),
    "free in German": (
        rows(lambda n, k, t: f"{OF_FREE}Speicher: 16294195 {k} 8123456 12345 3877000 11599000\nSwap: 0 0 0"),
        "used memory",
        "reading",
    ),
    "free -L": (
        rows(lambda n, k, t: f"SwapUse           0 CachUse     3877000  MemUse     {k} MemFree     8123456"),
        "MemUse",
        "reading",
    ),
    "Monolog": (
        rows(
            lambda n, k, t: (
                f'[{t:%Y-%m-%dT%H:%M:%S.123456+00:00}] app.DEBUG: done {{"id":{n}}} '
                f'{{"memory_usage":"{k} KB","memory_peak_usage":"90000 KB"}}'
            )
        ),
        "memory_usage",
        "second",
    ),
    "tuples": (rows(lambda n, k, t: f"({n}, {k * 1024})"), "column 2", "iteration"),
    "octets": (rows(lambda n, k, t: f"{t:%H:%M:%S};{k} Ko", "Heure;Mémoire\n"), "Mémoire", "second"),
    "tasklist with points": (
        rows(
            lambda n, k, t: f'"python.exe","4711","Console","1","{k:,} K"'.replace(f"{k:,}", f"{k:,}".replace(",", "."))
        ),
        "column 5",
        "reading",
    ),
    "a browser's dates": (
        rows(
            lambda n, k, t: f"{t:%a %b %d %Y %H:%M:%S} GMT+0100 (Central European Standard Time),{k} KiB", "When,web\n"
        ),
        "web",
        "second",
    ),
    "dates with fractions and halves": (
        rows(lambda n, k, t: f'"{t:%m/%d/%Y, %I:%M:%S}.000 {t:%p}",{k} KiB', "Generated [UTC],Average_Memory\n"),
        "Average_Memory",
        "second",
    ),
    "several readings a second": (rows(lambda n, k, t: f"{1764000000 + n // 3} {k} kB"), "column 2", "second"),
}


@pytest.mark.parametrize(("text", "column", "noun"), LOGS.values(), ids=LOGS)
def test_the_right_column_is_read_in_its_unit_over_its_axis(read: Read, text: str, column: str, noun: str):
    series = read(text)

    (piece,) = series.pieces
    assert (series.column, series.noun, series.unit) == (column, noun, "bytes")
    assert piece.values[0] == KIB[0] * 1024
    assert abs(piece.values[-1] - KIB[-1] * 1024) <= 12 * 1024
    # Of several readings at one time the lower one is kept.
    assert len(piece.values) + series.same_time == COUNT
    if noun == "second" and not series.same_time:
        assert piece.at[-1] - piece.at[0] == pytest.approx(10 * (COUNT - 1))


def test_of_massif_growth_is_a_leak_and_a_heap_that_does_not_grow_is_none(read: Read):
    head = "desc: (none)\ncmd: ./a\ntime_unit: i\n"
    leaking = [MASSIF.format(n=n, time=n * 99_000, heap=9000 + 100 * n) for n in range(900)]
    flat = [MASSIF.format(n=n, time=n * 99_000, heap=9000 + 1000 * (n % 2)) for n in range(900)]

    assert judge_log(read(head + "".join(leaking))).verdict is Verdict.LEAK
    assert judge_log(read(head + "".join(flat))).verdict is Verdict.CLEAN


def test_of_sar_in_three_columns_the_first_row_is_no_heading(read: Read):
    text = rows(lambda n, k, t: f"h\t10\t{t:%Y-%m-%d %H:%M:%S} UTC\t-\tkbmemused\t{k}\nh\t10\t{t}\t-\t%memused\t24.01")

    series = read(text, column="column 6", only=[("column 5", "kbmemused")], unit="KiB")

    assert series.readings == COUNT


def test_records_that_stand_in_no_order_are_put_in_order(read: Read):
    times = [f"{BEGIN + timedelta(seconds=10 * n):%Y-%m-%dT%H:%M:%SZ}" for n in range(COUNT)]
    values = {"Label": "m", "Timestamps": times[::-1], "Values": KIB[::-1], "StatusCode": "Complete"}
    shuffled = [{"Timestamp": times[n], "Average": KIB[n]} for n in (*range(1, COUNT, 2), *range(0, COUNT, 2))]

    for document in ({"MetricDataResults": [values], "Messages": []}, {"Datapoints": shuffled}):
        series = read(json.dumps(document, indent=1))
        assert series.pieces[0].values.tolist() == KIB


def test_a_process_that_runs_another_program_goes_on(read: Read):
    text = rows(lambda n, k, t: f" 4711 {k} {'bash -c app' if n < 2 else 'python app.py'}", "  PID   RSS COMMAND\n")

    series = read(text)

    assert [piece.why for piece in series.pieces] == ["", "exec"]
    assert any("the process runs another program" in one for one in log_sentences(series, judge_log(series)))
    with pytest.raises(SoakError, match="choose one with --only 'PID=4711'"):
        read(text + " 4712 9000 python other.py\n 4711 70000 python app.py\n")


def test_pieces_that_are_all_too_short_leave_no_gap_in_the_sentence(read: Read):
    text = "".join(f"{n} {60_000 + 4 * (n % 3)} kB\n" for n in (*range(200), *range(9)))

    series = read(text)

    said = next(one for one in log_sentences(series, judge_log(series)) if one.startswith("Judged in"))
    assert said.startswith("Judged in 2 pieces: 1 piece too short to judge.")


def test_times_behind_the_values_are_no_values(read: Read):
    """Graphite writes the value first; the times were judged, over the values, and a leak was CLEAN."""
    points = [[kib * 1024 + n % 3, 1764000000 + 10 * n] for n, kib in enumerate(KIB)]
    lines = rows(lambda n, k, t: f"app.rss {k * 1024} {1764000000 + 10 * n}")
    of_datadog = {"series": [{"pointlist": [[1000.0 * at, value] for value, at in points], "unit": [{"name": "byte"}]}]}

    assert read(json.dumps([{"target": "app.rss", "datapoints": points}])).column == "column 1"
    assert read(lines).column == "column 2"
    assert read(json.dumps(of_datadog)).column == "column 2"
    with pytest.raises(SoakError, match="could be judged: column 1, column 2"):
        read("".join(f"{5000 + n} {1764000000 + 10 * n}\n" for n in range(COUNT)))


def test_rss_in_small_letters_between_spaces_is_not_of_ps(read: Read):
    series = read(rows(lambda n, k, t: f"{t:%Y-%m-%d %H:%M:%S}  {k * 1024}", "                     rss\ntime\n"))

    assert (series.unit, series.pieces[0].values[0]) == ("bytes", KIB[0] * 1024)


def test_a_list_of_one_object_in_a_record_is_read(read: Read):
    """So the actuator of Spring tells a metric."""
    records = [
        {"name": "jvm.memory.used", "measurements": [{"statistic": "VALUE", "value": 1024 * kib}]} for kib in KIB
    ]

    series = read("".join(f"{json.dumps(record)}\n" for record in records))

    assert (series.column, series.pieces[0].values[-1]) == ("measurements.value", 1024 * KIB[-1])


def test_a_log_with_its_newest_reading_first_is_turned(read: Read):
    head, *lines = rows(lambda n, k, t: f"{t.isoformat()},{4711 + n // 200},{k * 1024}", "time,pid,rss\n").splitlines()

    series = read("\n".join([head, *lines[::-1]]) + "\n")

    assert [piece.why for piece in series.pieces] == ["", "pid"]
    assert [value for piece in series.pieces for value in piece.values.tolist()] == [1024 * kib for kib in KIB]
    assert series.pieces[1].at[0] - series.pieces[0].at[0] == 2000
