"""Give soak mutated files of each kind that it reads, and check that it refuses or reads each in order.

A short run of a leaking driver makes the files: run.db, report.json, a .prof, a CSV and a pyproject.toml. Each case
changes one of them: bytes, values, the tables of the database. Then soak reads it as its commands do, and writes
what it has read in one of its formats. A fault is any exception but soak's own (one line for a person), a case that
takes more processor time than --longest, or a reader that crashes. Memory must not grow by more than 16 MiB over the
later half of the cases.
Each case is made from --seed, its kind and its number.

  python benchmarks/fuzz.py                        10^5 cases, 20,000 of each kind
  python benchmarks/fuzz.py --cases 60             the short form
  python benchmarks/fuzz.py --kind profile --first 4711 --cases 1
"""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
import io
import json
import marshal
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from measuring import ROOT, at_most, equal, make_parser, publish, say, shown

from soak.errors import SoakError, shortened

CASE = """
kept = []
def leak():
    kept.append(bytearray(100))
"""
DRIVER = """
def setup(size=0, name="", when=""): return []
def cycle(state): pass
"""
CONFIGURATION = """[tool.soak]
targets = ["drive_leak.py"]
budget = "6s"
interval = "10ms"
tolerance = "2B"
n_min = 512
known = ["0123456789abcdef"]

[tool.soak.component.leak]
iterations = 2000
cycle_timeout = "60s"
gate = false
settings = {size = 3, name = "text", when = 2026-11-20}
"""
MOST_GROWTH_BYTES = 16 * 2**20
_TELL_EVERY = 1000
_CLOCK_PER_CPU = 30
"""How much longer a case may take by the clock than of the processor: other programs take turns on a busy machine."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_HOSTILE: tuple[Any, ...] = (
    *(None, True, [], {}, [[[[1]]]], {"a": {}}),
    *("", "text", "-1", "9e999", "=1+1", "../../etc/passwd", "\ud800", "\x1b[31m\r\n\0", "a" * 5000),
    *(0, -1, 1, 2**31, 2**63, -(2**63), 10**40, 1e-320, 1e308, -1e308, float("inf"), float("nan")),
)
_ENDLESS = "with recursive n(x) as (select 1 union all select x + 1 from n) select x as name, x as value from n"
_PLAIN = tuple(value for value in _HOSTILE if not isinstance(value, dict | list))
_BYTES = (b"\0", b"\xff", b"\x7f", b"-", b'"', b"[", b"{", b"9" * 30, b"\n", b",", b"1e999", b"\xed\xa0\x80", b"'" * 3)

Reader = Callable[[Path], object]
Mutation = Callable[[random.Random, Path], None]


class TooLongError(BaseException):
    """A case took too long. No reader may catch it."""


# --- how files are changed ---


def change_bytes(chance: random.Random, content: bytes) -> bytes:
    """Change a few places: flip, overwrite, insert, remove, repeat, cut."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at, length = chance.randrange(len(changed) + 1), chance.choice((1, 1, 4, 64, 4096))
        kind = chance.randrange(6)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            changed[at : at + 1] = chance.choice(_BYTES)
        elif kind == 2:
            changed[at:at] = chance.choice(_BYTES) * chance.choice((1, 3, 200))
        elif kind == 3:
            del changed[at : at + length]
        elif kind == 4:
            changed[at:at] = changed[at : at + length]
        elif chance.random() < 0.2:
            del changed[at:]
    return bytes(changed)


def change_value(chance: random.Random, document: Any) -> Any:
    """Change a few values of a JSON document: replace, remove or add them."""
    document = json.loads(json.dumps(document))
    for _ in range(chance.choice((1, 1, 2, 5))):
        inner = document
        while isinstance(inner, dict | list) and inner:
            key = chance.choice(list(inner)) if isinstance(inner, dict) else chance.randrange(len(inner))
            if isinstance(inner[key], dict | list) and inner[key] and chance.random() < 0.85:
                inner = inner[key]
                continue
            if chance.random() < 0.2:
                del inner[key]
            else:
                inner[key] = copy.deepcopy(chance.choice(_HOSTILE))
            break
    return document


def change_text(chance: random.Random, text: str) -> str:
    """Change a few words or lines of a text."""
    lines = text.splitlines(keepends=True)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(lines))
        kind = chance.randrange(4)
        if kind == 0:
            lines.insert(at, chance.choice(lines))
        elif kind == 1 and len(lines) > 1:
            del lines[at]
        else:
            words = lines[at].replace(",", " , ").replace("=", " = ").split(" ")
            words[chance.randrange(len(words))] = str(chance.choice(_HOSTILE))
            lines[at] = "".join(words) if chance.random() < 0.5 else " ".join(words)
    return "".join(lines)


def mutate_database(chance: random.Random, file: Path) -> None:
    """Change bytes of a database, or its values and tables by SQL."""
    if chance.random() < 0.4:
        file.write_bytes(change_bytes(chance, file.read_bytes()))
        return
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for _ in range(chance.choice((1, 1, 3))):
            with contextlib.suppress(sqlite3.Error, ValueError, LookupError, TypeError, OverflowError):
                _change_rows(chance, connection)


def _change_rows(chance: random.Random, connection: sqlite3.Connection) -> None:
    kind = chance.randrange(6)
    hostile = chance.choice((*_PLAIN, b"\xff\0"))
    if kind == 0:
        column = chance.choice([row[1] for row in connection.execute("pragma table_info(reading)")])
        connection.execute(f"update reading set {column} = ? where cycle % ? = 0", (hostile, chance.choice((1, 64))))
    elif kind == 1:
        column = chance.choice(("name", "started", "n_min", "result"))
        connection.execute(f"update component set {column} = ?", (hostile,))
    elif kind in (2, 3):
        table, key, value = chance.choice((("fact", "name", "value"), ("component", "id", "result")))
        name, text = chance.choice(connection.execute(f"select {key}, {value} from {table}").fetchmany(16))
        changed = json.dumps(change_value(chance, json.loads(text)))
        if chance.random() < 0.2:
            changed = changed.replace("}", "}" * chance.choice((0, 2)), 1) + "[" * chance.choice((0, 100_000))
        connection.execute(f"update {table} set {value} = ? where {key} = ?", (changed, name))
    elif kind == 4:
        connection.execute(chance.choice(("delete from fact", "delete from reading", "pragma user_version = 7")))
    else:
        table = chance.choice(("fact", "component", "reading"))
        made = chance.choice(("view {} as {}", "table {} as {} limit 100", "table {} (id, name, value, cycle, result)"))
        connection.execute(f"drop table {table}")
        connection.execute(f"create {made.format(table, _ENDLESS)}")


def mutate_bytes(chance: random.Random, file: Path) -> None:
    """Change bytes of a file."""
    file.write_bytes(change_bytes(chance, file.read_bytes()))


def mutate_report(chance: random.Random, file: Path) -> None:
    """Change values of a report, or its bytes."""
    if chance.random() < 0.3:
        mutate_bytes(chance, file)
    else:
        text = json.dumps(change_value(chance, json.loads(file.read_bytes())))
        file.write_text(text.replace("1e+308", chance.choice(("1e999", "Infinity", "9" * 5000)), 1))


def mutate_text(chance: random.Random, file: Path) -> None:
    """Change words and lines of a text, or its bytes."""
    if chance.random() < 0.3:
        mutate_bytes(chance, file)
    else:
        text = change_text(chance, file.read_text(encoding="utf-8"))
        file.write_text(text, encoding="utf-8", errors="surrogatepass")


def mutate_profile(chance: random.Random, file: Path) -> None:
    """Change bytes of a profile, or numbers and names in it."""
    if chance.random() < 0.5:
        mutate_bytes(chance, file)
        return
    statistics = marshal.loads(file.read_bytes())
    for _ in range(chance.choice((1, 3))):
        key = chance.choice(list(statistics))
        entry = list(statistics.pop(key))
        entry[chance.randrange(5)] = chance.choice([*_HOSTILE, {key: (1, 1, 0.0, 0.0)}, {key: chance.choice(_HOSTILE)}])
        named = list(key)
        if chance.random() < 0.3:
            named[chance.randrange(3)] = chance.choice(_PLAIN)
        statistics[tuple(named)] = tuple(entry)
    file.write_bytes(marshal.dumps(statistics))


# --- how soak reads them ---


def database_reader(_: Path) -> Reader:
    """Read a run and write it in every format in turn."""
    from soak.documents import FAULTS
    from soak.reporting.formats.csv_export import write_csv
    from soak.settings import plan_from_document
    from soak.store.runs import open_run, read_as_it_stands
    from soak.web.live import LiveRun

    render = renderer()

    def read(file: Path) -> None:
        result = read_as_it_stands(file.parent)
        with open_run(file.parent) as store:
            with contextlib.suppress(*FAULTS):
                plan_from_document(store.read_fact("plan"))
            store.cycles_read()
            names = store.component_names()
            write_csv(names, store.read_readings, io.StringIO())
            readings = {name: store.read_readings(name) for name in names}
        LiveRun(file.parent).look()
        render(result, readings)

    return read


def renderer() -> Callable[..., object]:
    """Return a function that writes a result in one format after the other."""
    from rich.console import Console

    from soak.reporting.figures.component_figure import component_figure
    from soak.reporting.formats.html import render_html
    from soak.reporting.formats.json_report import render_json
    from soak.reporting.formats.junit import render_junit
    from soak.reporting.formats.markdown import render_markdown
    from soak.reporting.formats.metrics import render_metrics
    from soak.reporting.formats.terminal import print_result

    def draw(result: Any, readings: dict[str, Any]) -> object:
        figures = {
            component.name: figure
            for component in result.components
            if (figure := component_figure(component, readings.get(component.name, []), points=100)) is not None
        }
        return render_html(result, figures)

    ways: tuple[Callable[[Any, Any], object], ...] = (
        lambda result, _: print_result(result, Console(file=io.StringIO(), width=100)),
        lambda result, _: render_json(result),
        lambda result, _: render_markdown(result),
        lambda result, _: render_junit(result),
        lambda result, _: render_metrics([("run", component) for component in result.components]),
        draw,
    )
    turn = 0

    def render(result: Any, readings: dict[str, Any]) -> object:
        nonlocal turn
        turn += 1
        return ways[turn % len(ways)](result, readings)

    return render


def report_reader(folder: Path) -> Reader:
    """Read a report and compare it with the one that it was."""
    from soak.analysis.comparison import compare_runs
    from soak.reporting.commands.compare import render_json, render_markdown, render_text
    from soak.reporting.formats.sarif import render_sarif
    from soak.store.reports import read_report

    original = read_report(folder / "report.json")

    def read(file: Path) -> None:
        result = read_report(file)
        for before, after in ((original, result), (result, original)):
            changes = compare_runs(before, after)
            render_text(before, after, changes)
            render_json(before, after, changes)
            render_markdown(before, after, changes, Path())
            render_sarif(after, Path(), changes)

    return read


def log_reader(_: Path) -> Reader:
    """Judge a log."""
    from soak.logs.choice import Asked
    from soak.logs.judging import judge_log
    from soak.logs.reading.source import Source
    from soak.logs.series import read_series
    from soak.reporting.words.logs import log_sentences

    def read(file: Path) -> None:
        series = read_series(Source(str(file)), Asked())
        log_sentences(series, judge_log(series))

    return read


def configuration_reader(_: Path) -> Reader:
    """Plan a run by a configuration."""
    from soak.request import Request
    from soak.settings import make_plan

    return lambda file: make_plan(Request(), file.parent)


def profile_reader(_: Path) -> Reader:
    """Read a profile, in a process of its own as `soak view` does, and take the part that is drawn."""
    from soak.profiles import largest_part, summarise
    from soak.store import profile_reader as reading
    from soak.store.profile_files import statistics_of

    def read(file: Path) -> None:
        with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as reason:
            child = os.fork()
            if child == 0:
                _read_in_child(reading.main, file, answer.fileno(), reason.fileno())
            _, status = os.waitpid(child, 0)
            if status == 0:
                answer.seek(0)
                statistics = statistics_of(answer.read())
                summarise(statistics)
                largest_part(statistics, most_functions=100, most_characters=10_000)
            elif os.WIFEXITED(status):
                reason.seek(0)
                words = reason.read().decode("utf-8", "replace")
                assert os.WEXITSTATUS(status) == 1, words
                raise SoakError(words)
            else:
                raise SoakError("its reader was ended by a limit")

    return read


def _read_in_child(main: Callable[[], int], file: Path, answer: int, reason: int) -> NoReturn:
    with contextlib.suppress(BaseException):
        os.dup2(os.open(file, os.O_RDONLY), 0)
        os.dup2(answer, 1)
        os.dup2(reason, 2)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        try:
            status = main()
        except Exception:
            traceback.print_exc()
            status = 3
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    os._exit(4)


KINDS: dict[str, tuple[str, Callable[[Path], Reader], Mutation]] = {
    "database": ("run.db", database_reader, mutate_database),
    "report": ("report.json", report_reader, mutate_report),
    "profile": ("leak.prof", profile_reader, mutate_profile),
    "log": ("log.csv", log_reader, mutate_text),
    "configuration": ("pyproject.toml", configuration_reader, mutate_text),
}


# --- the cases of one kind, in a process of their own ---


def run_kind(kind: str, folder: Path, first: int, cases: int, seed: int, longest_s: float) -> dict[str, Any]:
    """Run cases and return what happened."""
    name, make_reader, mutate = KINDS[kind]
    read = make_reader(folder)
    for exceeded in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(exceeded, _too_long)
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    slowest_s, half_bytes = 0.0, 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        place = Path(scratch)
        (place / "drive_leak.py").write_text(DRIVER, encoding="utf-8")
        for number in range(first, first + cases):
            shutil.copyfile(folder / name, place / name)
            for beside in place.glob(f"{name}-*"):
                beside.unlink()
            mutate(random.Random(f"{seed}/{kind}/{number}"), place / name)
            _limit_time(longest_s)
            begun_s = time.process_time()
            try:
                read(place / name)
                outcomes["read"] += 1
            except SoakError as error:
                outcomes["refused"] += 1
                if "\n" in shortened(error).strip():
                    faults.append(f"{kind} {number}: not one line: {shortened(error)!r}")
                    say(faults[-1])
            except (Exception, TooLongError):
                faults.append(f"{kind} {number}: {traceback.format_exc(limit=-4)}")
                say(faults[-1])
            finally:
                _limit_time(0.0)
            slowest_s = max(slowest_s, time.process_time() - begun_s)
            if number % _TELL_EVERY == _TELL_EVERY - 1:
                say(f"{kind}: {number + 1:,} cases, {len(faults)} faults, slowest {slowest_s:.2g} s")
            if number == first + cases // 2:
                half_bytes = _rss_bytes()
    return {
        **outcomes,
        "faults": faults,
        "slowest_s": slowest_s,
        "growth_bytes": _rss_bytes() - half_bytes,
    }


def _limit_time(longest_s: float) -> None:
    """Limit the processor time of a case, and its time by the clock in case it waits. 0 ends both limits."""
    signal.setitimer(signal.ITIMER_PROF, longest_s)
    signal.setitimer(signal.ITIMER_REAL, longest_s * _CLOCK_PER_CPU)


def _too_long(*_: object) -> NoReturn:
    raise TooLongError


def _rss_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


# --- all kinds ---


def make_files(folder: Path) -> None:
    """Make a file of each kind, by a run of a leaking driver."""
    (folder / "case.py").write_text(CASE, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "soak",
        "run",
        "case.py:leak",
        "--iterations",
        "1500",
        "--n-min",
        "256",
        "--no-track",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    (run,) = (folder / "reports").glob("*/run.db")
    shutil.copyfile(run, folder / "run.db")
    shutil.copyfile(run.parent / "report.json", folder / "report.json")
    import cProfile

    profile = cProfile.Profile()
    profile.runcall(functools.partial(sorted, map(str, range(1000)), key=lambda text: text[::-1]))
    profile.dump_stats(folder / "leak.prof")
    rows = "".join(f"2026-11-20T14:{n // 60:02}:{n % 60:02},{n % 3},{29_320_000 + 4096 * n}\n" for n in range(300))
    (folder / "log.csv").write_text(
        f"time,pid,rss\n{rows.replace(',0,', ',1,').replace(',2,', ',1,')}", encoding="utf-8"
    )
    (folder / "pyproject.toml").write_text(CONFIGURATION, encoding="utf-8")


def run_all(
    kinds: list[str], first: int, cases: int, seed: int, longest_s: float
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run the cases of each kind, one kind after the other."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        make_files(folder)
        for kind in kinds:
            arguments = [kind, str(folder), *map(str, (first, cases, seed, longest_s))]
            ended = subprocess.run(
                [sys.executable, __file__, "--of", *arguments], stdout=subprocess.PIPE, text=True, check=False
            )
            if ended.returncode:
                yield kind, {"faults": [f"{kind}: the reader ended with {ended.returncode}"], "slowest_s": 0.0}
            else:
                yield kind, json.loads(ended.stdout)


def main() -> int:
    """Run the cases of the command line; return 1 when there was a fault."""
    if sys.argv[1:2] == ["--of"]:
        kind, folder, first, cases, seed, longest_s = sys.argv[2:]
        print(json.dumps(run_kind(kind, Path(folder), int(first), int(cases), int(seed), float(longest_s))))
        return 0
    parser = make_parser(__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="of each kind")
    parser.add_argument("--kind", choices=list(KINDS), help="only this kind")
    parser.add_argument("--first", type=int, default=0, help="the number of the first case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=20.0, help="seconds of processor time that a case may take")
    options = parser.parse_args()
    figures, details, faults = [], {}, 0
    kinds = [options.kind] if options.kind else list(KINDS)
    for kind, found in run_all(kinds, options.first, options.cases, options.seed, options.longest):
        faults += len(found["faults"])
        details[kind] = {**found, "faults": len(found["faults"])}
        figures.append(shown(f"{kind}: read, refused", f"{found.get('read', 0):,}, {found.get('refused', 0):,}"))
        figures.append(
            at_most(f"{kind}: growth", found.get("growth_bytes", 0) / 2**20, "MiB", MOST_GROWTH_BYTES / 2**20)
        )
        figures.append(at_most(f"{kind}: slowest case", found["slowest_s"], "s", options.longest))
        say(f"{kind}: {details[kind]}")
    figures.append(equal("faults", faults, "", 0))
    return max(publish("fuzz", figures, details, options.json), int(faults > 0))


if __name__ == "__main__":
    sys.exit(main())
