"""Writes the same readings as each of the tools whose logs people have would write them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

START = datetime(2025, 11, 24, 16, 0, tzinfo=UTC)
EPOCH = int(START.timestamp())
GROWTH_BYTES = 3000
"""Per reading, and so per second, of a leaking series."""

Pages = Sequence[int]
"""Resident pages of 4 KiB, one reading a second."""


def leaking(count: int = 3000, seed: int = 1) -> list[int]:
    noise = random.Random(seed)
    return [7330 + n * GROWTH_BYTES // 4096 + noise.randint(-4, 4) for n in range(count)]


def flat(count: int = 3000, seed: int = 1) -> list[int]:
    noise = random.Random(seed)
    return [7330 + noise.randint(-4, 4) for _ in range(count)]


def rows(pages: Pages, row: Callable[[int, int, datetime], str], head: str = "") -> str:
    return head + "".join(row(n, page, START + timedelta(seconds=n)) + "\n" for n, page in enumerate(pages))


def psrecord(pages: Pages) -> str:
    head = "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n"
    return rows(pages, lambda n, p, t: f"{n:12.3f} {66.687:12.3f} {p / 256:12.3f} {p / 256 + 200:12.3f}", head)


def mprof(pages: Pages) -> str:
    lines = rows(pages, lambda n, p, t: f"MEM {p / 256:.6f} {EPOCH + n}.0000", "CMDLINE python app.py\n")
    return lines + f"FUNC app.work 28.0000 {EPOCH}.0000 30.0000 {EPOCH + 5}.0000\n"


def pidstat(pages: Pages) -> str:
    heading = "04:00:00 PM   UID       PID  minflt/s  majflt/s     VSZ     RSS   %MEM  Command\n"
    lines = ["Linux 6.1.0-18-amd64 (host) \t11/24/2025 \t_x86_64_\t(4 CPU)\n"]
    for n, page in enumerate(pages):
        lines += ["\n", heading] if n % 20 == 0 else []
        when = (START + timedelta(seconds=n)).strftime("%I:%M:%S %p")
        lines.append(f"{when}  1000      4711    {n % 7}.00      0.00  228633   {page * 4}   0.18  python app.py\n")
    return "".join(lines) + "Average:     1000      4711    100.00      0.00  228633   29320   0.18  python app.py\n"


def pidstat_h(pages: Pages) -> str:
    head = "Linux 6.1.0 (host) \t11/24/2025 \t_x86_64_\t(4 CPU)\n\n"
    heading = "# Time        UID       PID  minflt/s  majflt/s     VSZ     RSS   %MEM  Command\n"
    return rows(
        pages, lambda n, p, t: f" {EPOCH + n}  1000  4711  1.0  0.0  228633  {p * 4}  0.18  python", head + heading
    )


def ps_bare(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"{EPOCH + n} {p * 4}")


def ps_with_headings(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"  PID   RSS    VSZ COMMAND\n 4711 {p * 4} 228633 python app.py --port 80")


def ps_with_dates(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"{t:%a %b %e %H:%M:%S UTC %Y}\n  {p * 4}")


def ps_aux(pages: Pages) -> str:
    return rows(
        pages,
        lambda n, p, t: f"{t:%H:%M:%S} me   4711  0.3  0.1 228633 {p * 4} pts/0  Sl+ 16:00 0:0{n % 9} python app.py -v",
    )


def top(pages: Pages) -> str:
    blocks = []
    for n, page in enumerate(pages):
        when = START + timedelta(seconds=n)
        blocks.append(
            f"top - {when:%H:%M:%S} up 3 days,  1:02,  1 user,  load average: 0.10, 0.20, 0.15\n"
            "Tasks:   1 total,   0 running,   1 sleeping,   0 stopped,   0 zombie\n"
            "%Cpu(s):  1.0 us,  0.5 sy,  0.0 ni, 98.5 id,  0.0 wa,  0.0 hi,  0.0 si,  0.0 st\n"
            "MiB Mem :  15912.3 total,   8123.1 free,   3912.0 used,   3877.2 buff/cache\n"
            "MiB Swap:      0.0 total,      0.0 free,      0.0 used.  11599.3 avail Mem\n\n"
            "    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND\n"
            f"   4711 me        20   0  228633  {page * 4}  12345 S   0.7   0.2   0:01.23 python\n\n"
        )
    return "".join(blocks)


def free(pages: Pages) -> str:
    heading = "               total        used        free      shared  buff/cache   available\n"
    return rows(
        pages,
        lambda n, p, t: (
            f"{heading}Mem:        16293996     {p * 4}     8123456       12345     3877212    11599312\n"
            "Swap:              0           0           0\n"
        ),
    )


def docker_stats(pages: Pages) -> str:
    heading = "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT     MEM %     NET I/O       BLOCK I/O   PIDS"
    return rows(
        pages,
        lambda n, p, t: (
            f"{heading}\n\x1b[0m0f3a1b2c3d4e   web       0.{n % 90 + 10}%     {p / 256:.4g}MiB / 1.944GiB   1.47%"
            "     876B / 0B     0B / 0B     4"
        ),
    )


def docker_format(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"{EPOCH + n} {p / 256:.2f}MiB / 1.944GiB")


def cgroup(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"{p * 4096}")


def cgroup_with_dates(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"{t:%Y-%m-%d %H:%M:%S} {p * 4096}")


def proc_status(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"{t:%Y-%m-%dT%H:%M:%S+00:00} VmRSS:\t   {p * 4} kB")


def smaps_rollup(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"Rss:    {p * 4} kB\nSize:   228633 kB\nSwap:  0 kB")


def prometheus(pages: Pages) -> str:
    labels = {"__name__": "process_resident_memory_bytes", "instance": "app:8000", "job": "app"}
    values = [[EPOCH + n, str(page * 4096)] for n, page in enumerate(pages)]
    values[7][1] = "NaN"
    return json.dumps(
        {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": labels, "values": values}]}}
    )


def grafana(pages: Pages) -> str:
    head = '"Time","process_resident_memory_bytes{instance=""app:8000"", job=""app""}"\n'
    return rows(pages, lambda n, p, t: f"{(EPOCH + n) * 1000},{p * 4096}", head)


def grafana_with_units(pages: Pages) -> str:
    head = 'sep=;\n"Series";"Time";"Value"\n'
    return rows(pages, lambda n, p, t: f'"app";"{t:%Y-%m-%dT%H:%M:%S+00:00}";"{p / 256:.3f} MiB"', head)


def soak_export(pages: Pages) -> str:
    head = "component,cycle,at_s,rss,fds\n"
    return rows(pages, lambda n, p, t: f"decoder,{n + 1},{n / 50:.6f},{p * 4096},7", head)


def iterations(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"{n},{p * 4096}", "iteration,rss\n")


def spreadsheet(pages: Pages) -> str:
    head = "Datum;RSS [MB]\r\n"
    return rows(
        pages,
        lambda n, p, t: (
            f"{t:%d.%m.%Y %H:%M:%S};{p / 256:.4f}".replace(".", ",").replace(f"{t:%d,%m,%Y}", f"{t:%d.%m.%Y}") + "\r"
        ),
        head,
    )


def json_lines(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: json.dumps({"ts": t.isoformat(), "level": "info", "mem": {"rss": p * 4096}}))


def named_values(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"{t:%Y-%m-%d %H:%M:%S},{n % 1000:03d} INFO app: requests={n * 3} rss={p * 4}kB")


def many_columns(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"{EPOCH + n},4711,{200_000_000},{p * 4096}", "ts,pid,vms,rss\n")


def date_and_time(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"{t:%Y-%m-%d}\t{t:%H:%M:%S}\t{p * 4:,} K", "date\ttime\tmemory\n")


def sar(pages: Pages) -> str:
    head = "Linux 6.1.0 (host) \t11/24/25 \t_x86_64_\t(2 CPU)\n\n"
    heading = "04:00:00 PM kbmemfree   kbavail kbmemused  %memused kbbuffers  kbcached  kbcommit   %commit\n"
    return rows(
        pages,
        lambda n, p, t: (
            f"{heading if n % 50 == 0 else ''}"
            f"{t:%I:%M:%S %p}  {9000000 - p * 4}  9100000  {p * 4}  40.12  1024  2048  3072  9.9"
        ),
        head,
    )


def text(pages: Pages) -> str:
    def row(n: int, page: int, t: datetime) -> str:
        other = f"{t:%Y-%m-%d %H:%M:%S},123 DEBUG app.web: GET /orders/{n}, 200 in 17 ms\n"
        return f"{other}{t:%Y-%m-%d %H:%M:%S},123 INFO app.web: memory usage {page / 256:.3f} MB after {n} requests"

    return rows(pages, row)


def text_of_resident_memory(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"[{t:%H:%M:%S}] worker 3 holds {p * 4} kB of resident memory")


def json_document(pages: Pages) -> str:
    rows = [{"t": EPOCH + n, "host": "a", "rss_bytes": page * 4096} for n, page in enumerate(pages)]
    return json.dumps(rows, indent=1)


def json_lists(pages: Pages) -> str:
    times = [EPOCH + n for n in range(len(pages))]
    return json.dumps({"run": "night", "time": times, "rss": [page * 4096 for page in pages]})


def influx(pages: Pages) -> str:
    return rows(
        pages, lambda n, p, t: f"procstat,host=a memory_vms=900000000i,memory_rss={p * 4096}i {EPOCH + n}000000000"
    )


def cloudwatch(pages: Pages) -> str:
    head = "Label,app memory\n\nTimestamp,Memory (MB)\n"
    return rows(pages, lambda n, p, t: f"{t:%Y/%m/%d %H:%M:%S},{p / 256:.4f}", head)


def in_another_language(pages: Pages) -> str:
    head = "Zeit,Arbeitsspeicher (MB)\n"
    return rows(pages, lambda n, p, t: f"{t:%Y-%m-%d %H:%M:%S},{p / 256:.4f}", head)


def smem(pages: Pages) -> str:
    heading = "  PID User     Command                         Swap      USS\n"
    return rows(pages, lambda n, p, t: f"{heading} 4711 me       python app.py -v                   0    {p * 4}")


def whole_status(pages: Pages) -> str:
    return rows(
        pages,
        lambda n, p, t: (
            f"VmPeak:\t  900000 kB\nVmSize:\t  {900000 - n % 3} kB\nVmHWM:\t  {p * 4} kB\n"
            f"VmRSS:\t  {p * 4} kB\nThreads:\t4"
        ),
    )


def docker_json(pages: Pages) -> str:
    return rows(
        pages,
        lambda n, p, t: json.dumps(
            {"MemPerc": f"{p / 900:.2f}%", "MemUsage": f"{p / 256:.2f}MiB / 7.7GiB", "Name": "web"}
        ),
    )


PER_SECOND = (
    psrecord, mprof, pidstat, pidstat_h, ps_bare, ps_with_dates, ps_aux, top, docker_format, cgroup_with_dates,
    proc_status, prometheus, grafana, grafana_with_units, spreadsheet, json_lines, named_values, many_columns,
    date_and_time, sar, text, text_of_resident_memory, json_document, json_lists, influx, cloudwatch,
    in_another_language,
)  # fmt: skip
"""Logs with times."""
PER_STEP = (
    ps_with_headings, free, docker_stats, cgroup, smaps_rollup, soak_export, iterations, smem, whole_status,
    docker_json,
)  # fmt: skip
"""Logs with a counter of cycles or nothing but readings."""
