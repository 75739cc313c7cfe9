"""Writes readings as further tools write them, most of them copied from what the tools print."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta

from logs_builder import EPOCH, START, Pages, rows

_PIDSTAT = "      UID       PID  minflt/s  majflt/s     VSZ     RSS   %MEM  Command\n"
_PS = "USER       PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND\n"
_TOP = "    PID USER      PR  NI    VIRT    RES    SHR S  %CPU  %MEM     TIME+ COMMAND\n"
_JSTAT = "Timestamp    S0C    S1C    S0U    S1U      EC       EU        OC         OU       MC     MU     YGC   YGCT\n"
_OTHERS = 9000
"""Pages of a second process that does not grow."""


def psrecord_csv(pages: Pages) -> str:
    head = "elapsed_time,nproc,cpu,mem_real,mem_virtual\n"
    return rows(pages, lambda n, p, t: f"{n + 0.02},1,{n % 90}.0,{p / 256},{p / 256 + 200}", head)


def pidstat_in_colours(pages: Pages) -> str:
    def row(n: int, page: int) -> str:
        fields = f"\x1b[32;22m     0\x1b[0m\x1b[32;22m     22576\x1b[0m\x1b[34;22m      0.0{n % 9}\x1b[0m  0.00"
        return f"\x1b[0m{{t:%H:%M:%S}}   {fields}\x1b[34;1m    5004\x1b[0m\x1b[34;1m    {page * 4}\x1b[0m   0.02  bash"

    head = f"Linux 6.1.0 (host) \t11/24/25 \t_x86_64_\t(2 CPU)\n\n16:00:00{_PIDSTAT}"
    return rows(pages, lambda n, p, t: row(n, p).replace("{t:%H:%M:%S}", f"{t:%H:%M:%S}"), head)


def pidstat_for_humans(pages: Pages) -> str:
    head = f"Linux 6.1.0 (host) \t11/24/25 \t_x86_64_\t(2 CPU)\n\n# Time  {_PIDSTAT}"
    return rows(pages, lambda n, p, t: f"{EPOCH + n}  0  22576  0.00  0.00  4.9M  {p / 256:.1f}M  0.0%  bash", head)


def ps_of_two(pages: Pages) -> str:
    def row(pid: int, page: int, command: str) -> str:
        return f"me    {pid:8d}  0.3  0.1 228633 {page * 4:6d} pts/0    Sl+  16:00   0:01 {command}\n"

    return "".join(_PS + row(1, _OTHERS, "/sbin/init splash") + row(4711, page, "python app.py") for page in pages)


def ps_elapsed(pages: Pages) -> str:
    """``ps -o etime,rss``: after an hour the times have hours."""
    head = "    ELAPSED   RSS\n"
    hour = 3600
    return rows(pages, lambda n, p, t: f"{_elapsed(n + hour - 300)} {p * 4}", head)


def _elapsed(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{f'{hours:02d}:' if hours else ''}{rest // 60:02d}:{rest % 60:02d}"


def top_that_scales(pages: Pages) -> str:
    """From 100,000 KiB on top prints MiB."""

    def row(page: int) -> str:
        kib = page * 4 + 70_500
        resident = f"{kib}" if kib < 100_000 else f"{kib / 1024:.1f}m"
        return f"   4711 root      20   0  293452 {resident:>6}  13624 R  73.3   1.2   0:43.98 python"

    return rows(pages, lambda n, p, t: f"{t:%Y-%m-%dT%H:%M:%S}\n{_TOP}{row(p)}")


def vmstat(pages: Pages) -> str:
    head = (
        "procs -----------memory---------- ---swap-- -----io---- -system-- ------cpu----- -----timestamp-----\n"
        " r  b   swpd   free   buff  cache   si   so    bi    bo   in   cs us sy id wa st                 UTC\n"
    )
    machine = " 353804 9728540    0    0   807  4004  509  951 61  9 29  0  0"
    return rows(pages, lambda n, p, t: f" {n % 3}  0      0 {13165128 - p * 4}{machine} {t:%Y-%m-%d %H:%M:%S}", head)


def promtool(pages: Pages) -> str:
    head = 'process_resident_memory_bytes{instance="localhost:9090", job="prometheus"} =>\n'
    return rows(pages, lambda n, p, t: f"{p * 4096} @[{EPOCH + n}]", head)


def prometheus_list(pages: Pages) -> str:
    values = [[EPOCH + n, str(page * 4096)] for n, page in enumerate(pages)]
    return json.dumps([{"metric": {"__name__": "process_resident_memory_bytes"}, "values": values}])


def openmetrics(pages: Pages) -> str:
    """Write the times in seconds, with decimals."""
    series = 'process_resident_memory_bytes{job="web"}'
    return rows(
        pages, lambda n, p, t: f"{series} {p * 4096} {EPOCH + n}.000", "# TYPE process_resident_memory_bytes gauge\n"
    )


def status_below_a_rule(pages: Pages) -> str:
    fields = "Name:\tpython\nVmPeak:\t  228633 kB\nVmRSS:\t  {} kB\nThreads:\t9"
    return rows(pages, lambda n, p, t: f"=== {t:%Y-%m-%d %H:%M:%S} ===\n{fields.format(p * 4)}")


def log_of_celery(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"[{t:%Y-%m-%d %H:%M:%S},000: INFO/MainProcess] worker maxrss: {p * 4}")


def systemd(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"{t:%Y-%m-%dT%H:%M:%S}+00:00 MemoryCurrent={p * 4096}")


def scraped_metrics(pages: Pages) -> str:
    return rows(
        pages,
        lambda n, p, t: (
            f"{t:%Y-%m-%dT%H:%M:%SZ}\n# HELP python_gc_objects_collected_total Objects collected during gc\n"
            "# TYPE python_gc_objects_collected_total counter\n"
            'python_gc_objects_collected_total{generation="0"} 241.0\n'
            'python_gc_objects_collected_total{generation="1"} 163.0\n'
            "# TYPE process_virtual_memory_bytes gauge\nprocess_virtual_memory_bytes 1.91156224e+08\n"
            f"# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes {p * 4096:.7e}\n"
            "# TYPE process_open_fds gauge\nprocess_open_fds 6.0"
        ),
    )


def metric_of_two_pods(pages: Pages) -> str:
    def sample(pod: str, page: int, n: int) -> str:
        return f'container_memory_working_set_bytes{{pod="{pod}"}} {page * 4096} {(EPOCH + n) * 1000}'

    return rows(pages, lambda n, p, t: f"{sample('a', _OTHERS, n)}\n{sample('b', p, n)}")


def docker_json_on_a_terminal(pages: Pages) -> str:
    return rows(
        pages,
        lambda n, p, t: "\x1b[2J\x1b[H" + json.dumps({"MemUsage": f"{p / 256:.2f}MiB / 7.7GiB", "Name": "web"}),
    )


def docker_that_begins_later(pages: Pages) -> str:
    heading = "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT     MEM %     NET I/O       BLOCK I/O   PIDS\n"
    nothing = "0f3a1b2c3d4e   web       --        -- / --               --        --            --          --\n"
    row = "0f3a1b2c3d4e   web       0.50%     {:.2f}MiB / 1.944GiB   1.47%     876B / 0B     0B / 0B     4\n"
    return (heading + nothing) * 5 + "".join(heading + row.format(page / 256) for page in pages)


def kubectl_that_fails_at_first(pages: Pages) -> str:
    rest = rows(pages, lambda n, p, t: f"NAME      CPU(cores)   MEMORY(bytes)\nweb-5d9   12m          {p * 4}Ki")
    return "error: metrics not available yet\n" * 3 + rest


def memory_stat(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"anon {p * 4096}\nfile 8192000\nkernel 1024000\nslab {307200 + n}\npgfault {n}")


def node_printed(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"{{\n  rss: {p * 4096},\n  heapTotal: 4169728,\n  external: {1193051 + n}\n}}")


def node_printed_in_one_line(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"{{ rss: {p * 4096}, heapTotal: 4169728, external: {1193051 + n} }}")


def jstat(pages: Pages) -> str:
    return rows(
        pages,
        lambda n, p, t: (
            f"{n + 3.6:9.1f}    0.0  2048.0    0.0  2048.0  26624.0  {n % 9}.0  36864.0  {p * 4}.0  9472.0  929  3  0.1"
        ),
        _JSTAT,
    )


def java_8(pages: Pages) -> str:
    def row(n: int, page: int) -> str:
        young = f"[PSYoungGen: {65536 + n % 5}K->10720K(76288K)]"
        return f"{n + 2}.345: [GC (Allocation Failure) {young} {page * 4 + 60000}K->{page * 4}K(251392K), 0.0210 secs]"

    return rows(pages, lambda n, p, t: f"{row(n, p)} [Times: user=0.0{n % 9} sys=0.01, real=0.02 secs]\ntick {n}")


def trace_gc_of_node(pages: Pages) -> str:
    def row(n: int, page: int) -> str:
        kind = "Mark-sweep (reduce)" if n % 7 == 0 else "Scavenge"
        heap = f"{page / 256 + 9:.1f} (60.5) -> {page / 256:.1f} (60.5) MB, 3.27 / 0.00 ms"
        return f"[4825:0x19672c00] {n * 1000 + 79:8} ms: {kind} {heap}  (average mu = 0.9, current mu = 1.000) task; "

    return rows(pages, lambda n, p, t: row(n, p))


def gctrace_of_go(pages: Pages) -> str:
    """Write a page as a MiB, because it prints no less."""

    def row(n: int, page: int) -> str:
        times = "0.026+0.39+0.10 ms clock, 0.20+0.12/0.28/0.33+0.8 ms cpu"
        heap = f"{page + 30}->{page + 34}->{page} MB, {page * 2} MB goal, 0 MB stacks, 0 MB globals, 8 P"
        return f"gc {n + 1} @{n}.512s 2%: {times}, {heap}"

    return rows(pages, lambda n, p, t: f"2025/11/24 served {n}\n{row(n, p)}")


def gc_log_of_java(pages: Pages) -> str:
    """Write whole MiB as well, beside lines that are no collections or no totals."""

    def row(n: int, page: int) -> str:
        begin = f"[{n}.853s][5034][gc"
        return (
            f"{begin},start    ] GC({n}) Pause Young (Normal) (G1 Evacuation Pause)\n"
            f"{begin},metaspace] GC({n}) Metaspace: 9279K(9472K)->9279K(9472K) Class: 1128K(1216K)->1128K(1216K)\n"
            f"{begin}          ] GC({n}) Pause Young (Normal) (G1 Preventive) {page + 99}M->{page}M(9000M) 6.6ms\n"
            f"{begin},cpu      ] GC({n}) User=0.01s Sys=0.00s Real=0.01s"
        )

    return rows(pages, lambda n, p, t: row(n, p))


def gc_log_of_zgc(pages: Pages) -> str:
    def row(n: int, page: int) -> str:
        return f"[info][gc] GC({n}) Garbage Collection (Warmup) {page + 80}M(32%)->{page}M(27%)"

    return rows(pages, lambda n, p, t: f"[{t:%Y-%m-%dT%H:%M:%S}.214+0000][{n}.386s]{row(n, p)}")


def numbered_in_brackets(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"[{n}] current={p * 4096} peak={p * 4096 + 999}")


def coloured_log(pages: Pages) -> str:
    level = "[\x1b[32m\x1b[1minfo     \x1b[0m] \x1b[1mtick\x1b[0m"
    return rows(
        pages,
        lambda n, p, t: f"\x1b[2m{t:%Y-%m-%d %H:%M:%S}\x1b[0m {level} \x1b[36mrss\x1b[0m=\x1b[35m{p * 4096}\x1b[0m",
    )


def log_of_two_workers(pages: Pages) -> str:
    def row(n: int, page: int) -> str:
        return f"worker-{n % 2} RSS={(page if n % 2 else _OTHERS) / 256:.2f} MB"

    return rows(pages, lambda n, p, t: f"{t:%Y-%m-%d %H:%M:%S} {row(n, p)}")


def gpus(pages: Pages) -> str:
    head = "timestamp, index, memory.used [MiB]\n"
    return rows(
        pages,
        lambda n, p, t: f"{t:%Y/%m/%d %H:%M:%S.000}, 0, {_OTHERS} MiB\n{t:%Y/%m/%d %H:%M:%S.000}, 1, {p / 256:.3f} MiB",
        head,
    )


def mprof_with_a_child(pages: Pages) -> str:
    return rows(
        pages, lambda n, p, t: f"MEM {_OTHERS / 256:.6f} {EPOCH + n}.3947\nCHLD 438 {p / 256:.6f} {EPOCH + n}.5067"
    )


def k6(pages: Pages) -> str:
    head = "metric_name,timestamp,metric_value,check,error,method,status,url\n"
    return rows(
        pages,
        lambda n, p, t: f"http_reqs,{EPOCH + n},1.0,,,GET,200,http://t/\nmemory,{EPOCH + n},{p * 4096}.0,,,,,",
        head,
    )


def influx_csv(pages: Pages) -> str:
    head = (
        "#group,false,false,true,false,false,true\n#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,double,string\n"
        "#default,_result,,,,,\n,result,table,_start,_time,_value,_field\n"
    )
    return rows(
        pages, lambda n, p, t: f",,0,2025-11-24T15:00:00Z,{t:%Y-%m-%dT%H:%M:%SZ},{p * 4096},memory_rss_bytes", head
    )


def with_comments(pages: Pages) -> str:
    head = "# made by a script\n# host, a\ntime,rss_bytes\n"
    return rows(pages, lambda n, p, t: f"{f'# note {n}{chr(10)}' if n % 50 == 5 else ''}{EPOCH + n},{p * 4096}", head)


def markdown(pages: Pages) -> str:
    head = "| time     | rss       |\n|----------|-----------|\n"
    return rows(pages, lambda n, p, t: f"| {t:%H:%M:%S} | {p * 4} kB |", head)


def psql(pages: Pages) -> str:
    head = "        time         | rss_bytes\n---------------------+----------\n"
    return rows(pages, lambda n, p, t: f" {t:%Y-%m-%d %H:%M:%S} | {p * 4096}", head) + f"({len(pages)} rows)\n"


def dots_in_thousands(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"{n};{p * 4:,} KB".replace(",", "."), "cycle;rss\n")


def exports_one_after_another(pages: Pages) -> str:
    head = '"Time","process_resident_memory_bytes"\n'
    half = len(pages) // 2
    later = rows(pages[half:], lambda n, p, t: f"{(EPOCH + half + n) * 1000},{p * 4096}", head)
    return rows(pages[:half], lambda n, p, t: f"{(EPOCH + n) * 1000},{p * 4096}", head) + later


def sadf(pages: Pages) -> str:
    head = "# hostname;interval;timestamp;kbmemfree;kbavail;kbmemused;%memused;kbbuffers;kbcached\n"
    return rows(pages, lambda n, p, t: f"a;1;{t:%Y-%m-%d %H:%M:%S} UTC;{_OTHERS};9100000;{p * 4};40.12;1024;2048", head)


def sadf_json(pages: Pages) -> str:
    readings = [
        {"timestamp": {"date": f"{t:%Y-%m-%d}", "time": f"{t:%H:%M:%S}"}, "memory": {"memfree": 9, "memused": p * 4}}
        for t, p in ((START + timedelta(seconds=n), p) for n, p in enumerate(pages))
    ]
    host = {"nodename": "a", "statistics": readings, "restarts": []}
    return json.dumps({"sysstat": {"sysdata-version": 3, "hosts": [host]}}, indent=1)


def docker_in_csv(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f"{t:%Y-%m-%d %H:%M:%S},web,{p / 256:.2f}MiB / 1.944GiB,1.2%")


def typeperf(pages: Pages) -> str:
    head = '\r\n"(PDH-CSV 4.0)","\\\\HOST\\Process(python)\\Private Bytes"\r\n'
    end = "\r\nThe command completed successfully.\r\n"
    return rows(pages, lambda n, p, t: f'"{t:%m/%d/%Y %H:%M:%S.123}","{p * 4096}.000000"\r', head) + end


def top_of_macos(pages: Pages) -> str:
    return rows(
        pages,
        lambda n, p, t: (
            f"Processes: 400 total, 2 running\n{t:%Y/%m/%d %H:%M:%S}\nPhysMem: 15G used (2000M wired), 500M unused.\n\n"
            "PID    COMMAND  %CPU TIME     #TH #WQ #PORT MEM    PURG\n"
            f"4711   my app   0.{n % 9}  00:01.23 4   0   30    {p * 4}K{'+' if n % 2 else ''} 0B"
        ),
    )


def tasklist_in_csv(pages: Pages) -> str:
    return rows(pages, lambda n, p, t: f'"python.exe","4711","Console","1","{p * 4:,} K"')


def crictl(pages: Pages) -> str:
    heading = "CONTAINER           NAME      CPU %               MEM                 DISK                INODES"
    return rows(
        pages,
        lambda n, p, t: f"{heading}\n0f3a1b2c3d4e5       web       0.12      {p / 256:.3f}MB    12.3kB      14",
    )


def powershell(pages: Pages) -> str:
    heading = (
        "Handles  NPM(K)    PM(K)      WS(K)     CPU(s)     Id  SI ProcessName\n-------  ------    -----      -----"
    )
    return rows(
        pages, lambda n, p, t: f"\n{heading}\n{500 + n % 3}  30  {_OTHERS}  {p * 4}  {n / 10:.2f}   4711   1 python\n"
    )


def two_of_typeperf(pages: Pages) -> str:
    head = '"(PDH-CSV 4.0)","\\\\A\\Process(a)\\Private Bytes","\\\\A\\Process(a)\\Working Set"\n'
    return rows(pages, lambda n, p, t: f'"{t:%m/%d/%Y %H:%M:%S.123}","{p * 4096}.0","{_OTHERS}.0"', head)


def time_verbose(pages: Pages) -> str:
    return rows(
        pages,
        lambda n, p, t: (
            '\tCommand being timed: "python app.py"\n\tUser time (seconds): 0.01\n'
            f"\tMaximum resident set size (kbytes): {p * 4}\n\tAverage resident set size (kbytes): 0"
        ),
    )


def redis(pages: Pages) -> str:
    return rows(
        pages,
        lambda n, p, t: (
            f"# Memory\r\nused_memory:{p * 4096}\r\nused_memory_rss:{_OTHERS}\r\nmem_fragmentation_ratio:1.2\r"
        ),
    )


def jemalloc(pages: Pages) -> str:
    return rows(
        pages,
        lambda n, p, t: (
            f"___ Begin jemalloc statistics ___\nVersion: 5.3.0\nAllocated: {p * 4096}, active: {p * 4096 + n % 3}, "
            f"metadata: 2883584 (n_thp 0), resident: {_OTHERS}, mapped: {_OTHERS}, retained: 4000000\nnarenas: 16"
        ),
    )


def glibc(pages: Pages) -> str:
    return rows(
        pages,
        lambda n, p, t: (
            f"Arena 0:\nsystem bytes     = {_OTHERS}\nin use bytes     = {_OTHERS}\nTotal (incl. mmap):\n"
            f"system bytes     = {_OTHERS}\nin use bytes     = {p * 4096}\nmax mmap regions =     0"
        ),
    )


def nmon(pages: Pages) -> str:
    head = "AAA,progname,nmon\nMEM,Memory MB a,memtotal,memfree,active\n"
    return rows(
        pages,
        lambda n, p, t: (
            f"ZZZZ,T{n:04d},{t:%H:%M:%S},{t:%d-%b-%Y}".upper() + f"\nMEM,T{n:04d},15912.3,{9000 - p / 256:.3f},-1.0"
        ),
        head,
    )


def vm_stat(pages: Pages) -> str:
    head = "Mach Virtual Memory Statistics: (page size of 4096 bytes)\n    free   active   wired  faults\n"
    return rows(pages, lambda n, p, t: f"  {90000 - p}   200000    60000     {n % 100}", head)


def comma_of_decimals_between_tabs(pages: Pages) -> str:
    def row(n: int, page: int, t: datetime) -> str:
        return f"{t:%d.%m.%Y\t%H:%M:%S}\t" + f"{page / 256:.3f}".replace(".", ",")

    return rows(pages, row, "Datum\tZeit\tSpeicher (MB)\n")


def timed(write: Callable[[int], str]) -> Callable[[Pages], str]:
    """Return a writer of a CSV whose times are written so."""
    return lambda pages: rows(pages, lambda n, p, t: f"{write(n)},{p * 4096}", "time,rss_bytes\n")


def _moment(form: str) -> Callable[[int], str]:
    return lambda n: f"{START + timedelta(seconds=n):{form}}"


def _minutes(seconds: int) -> str:
    return f"{seconds // 60:02d}:{seconds % 60:02d}"


TIMES = {
    "minutes and seconds": lambda n: _minutes(n + 1200),
    "minutes and seconds that come round": lambda n: _minutes((n + 3400) % 3600),
    "minutes, then hours": lambda n: _minutes(n + 3400) if n < 200 else f"1:{_minutes(n - 200)}",
    "minutes, seconds and tenths": lambda n: f"{_minutes(n)}.5",
    "compact": _moment("%Y%m%d%H%M%S"),
    "of a file's name": _moment("%Y-%m-%d-%H-%M-%S"),
    "day, month, year": _moment("%d %b %Y %H:%M:%S"),
    "with dashes": _moment("%d-%b-%Y %H:%M:%S"),
    "of a web server": _moment("%d/%b/%Y:%H:%M:%S +0000"),
    "month first": _moment('"%B %d, %Y %H:%M:%S"'),
    "half of the day": _moment("%d %b %Y %I:%M:%S %p"),
    "seconds with their unit": lambda n: f"{n}s",
    "days and hours": lambda n: f"1-{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}",
    "in two columns": _moment("%Y-%m-%d,%H:%M:%S"),
}
PER_SECOND = (
    psrecord_csv, pidstat_in_colours, pidstat_for_humans, ps_elapsed, top_that_scales, promtool, prometheus_list,
    scraped_metrics, java_8, trace_gc_of_node, sadf, sadf_json, docker_in_csv, typeperf, top_of_macos,
    coloured_log, influx_csv, with_comments, markdown, psql, exports_one_after_another, openmetrics,
    status_below_a_rule, log_of_celery, systemd,
)  # fmt: skip
PER_STEP = (docker_json_on_a_terminal, docker_that_begins_later, kubectl_that_fails_at_first, dots_in_thousands,
            node_printed, node_printed_in_one_line, tasklist_in_csv, crictl, numbered_in_brackets)  # fmt: skip
OF_WHOLE_MIB = (gctrace_of_go, gc_log_of_java, gc_log_of_zgc)
"""They write a page as a MiB."""
ASKED = (
    (ps_of_two, "several in column PID: 1, 4711; choose one with --only 'PID=1'", {"only": [("PID", "4711")]}),
    (vmstat, "several columns that could be judged: r, .*free", {"column": "free"}),
    (metric_of_two_pods, 'could be judged: container_memory_working_set_bytes{pod="a"}', {"column": 'pod="b"'}),
    (memory_stat, "could be judged: anon, file", {"column": "anon"}),
    (jstat, "could be judged: S0C, .*OU", {"column": "OU"}),
    (log_of_two_workers, "several in column worker: worker-0, worker-1", {"only": [("worker", "worker-1")]}),
    (gpus, "several in column index: 0, 1", {"only": [("index", "1")]}),
    (mprof_with_a_child, "several in column process: main, child 438", {"only": [("process", "child 438")]}),
    (powershell, "could be judged: Handles, .*WS.K., ", {"column": "WS"}),
    (two_of_typeperf, "could be judged: .*Private Bytes, .*Working Set", {"column": "Private"}),
    (time_verbose, "could be judged: Maximum resident .*, Average", {"column": "Maximum"}),
    (redis, "could be judged: used_memory, used_memory_rss", {"column": "used_memory"}),
    (jemalloc, "could be judged: allocated memory, resident memory", {"column": "allocated"}),
    (glibc, "could be judged: system bytes, in use bytes", {"column": "in use"}),
    (nmon, "could be judged: memtotal, memfree", {"column": "memfree"}),
    (comma_of_decimals_between_tabs, "28,6.. may be", {"decimal": ","}),
    (k6, "several in column metric_name: http_reqs, memory", {"only": [("metric_name", "memory")]}),
)
"""Logs of which soak must ask what to judge, its question, and an answer to it."""
