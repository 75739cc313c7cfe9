"""Run programs and test suites that nobody here wrote, plainly and under the tracker, and compare what they do.

python benchmarks/transparency.py
python benchmarks/transparency.py --only programs
python benchmarks/transparency.py --only suites --interpreter python3.12 --tests test_subprocess test_mmap

Under the tracker means that the library is in the program and in all that it starts, with Python's domains hooked. A
program must end with the same status and the same output; a suite must have the same result for each test. A test that
differs is run once more plainly: where that differs as well, the test is not stable, and that is said.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from measuring import Figure, equal, make_parser, publish, say, scratch_folder, shown

from soak.native.build import NotBuilt, built_library
from soak.native.preload import EVERYBODY, WATCH_VARIABLE, preloading

PROGRAMS = Path(__file__).with_name("programs.toml")
INTERPRETERS = ("python3.9", "python3.10", "python3.11", "python3.12", "python3.13")
TESTS = (
    *("test_subprocess", "test_multiprocessing_fork", "test_multiprocessing_spawn", "test_fork1", "test_wait4"),
    *("test_mmap", "test_resource", "test_os", "test_posix", "test_signal", "test_threading", "test_faulthandler"),
    *("test_gc", "test_tracemalloc", "test_weakref", "test_dict", "test_list", "test_json", "test_ctypes", "test_sys"),
)
"""What starts processes, maps memory, sets limits or counts what is allocated."""
TIMEOUT_S = 900


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int | str
    output: str


def main() -> int:
    """Run everything twice and print what differs."""
    parser = make_parser(__doc__)
    parser.add_argument("--only", choices=("programs", "suites"))
    parser.add_argument("--interpreter", nargs="+", default=INTERPRETERS, metavar="PYTHON")
    parser.add_argument("--tests", nargs="+", default=TESTS, metavar="TEST")
    options = parser.parse_args()
    built = built_library()
    if isinstance(built, NotBuilt):
        print(built.reason, file=sys.stderr)
        return 1
    figures: list[Figure] = []
    details: dict[str, list[str]] = {}
    if options.only in (None, "programs"):
        figures += compare_programs(built.path, details)
    if options.only in (None, "suites"):
        figures += compare_suites(built.path, options, details)
    for name, lines in details.items():
        print(f"{name}:", *lines, sep="\n    ")
    return publish("transparency", figures, details, options.json)


@contextmanager
def tracked(library: Path, folder: Path) -> Iterator[Mapping[str, str]]:
    """Give an environment in which every process is recorded."""
    places = folder / "places"
    places.mkdir(exist_ok=True)
    with preloading(library, os.environ) as environment:
        yield {**environment, WATCH_VARIABLE: f"{EVERYBODY}:{places}"}


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Outcome:
    """Run a command in a folder of its own."""
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(f"no end within {TIMEOUT_S} s", "")
    return Outcome(done.returncode, done.stdout.decode("utf-8", "replace").replace(str(folder), ""))


# --- programs -------------------------------------------------------------------------------------------------------


def compare_programs(library: Path, details: dict[str, list[str]]) -> list[Figure]:
    """Run each program that is installed plainly and under the tracker."""
    count, recorded, differing, missing = 0, 0, [], []
    for name, program in tomllib.loads(PROGRAMS.read_text(encoding="utf-8")).items():
        preload = find_library(program.get("preload", ""))
        if shutil.which(program.get("needs", name)) is None or preload is None:
            missing.append(name)
            continue
        say(name)
        count += 1
        plain, _ = run_script(program["script"], preload, None)
        under, processes = run_script(program["script"], preload, library)
        recorded += processes
        if plain != under and run_script(program["script"], preload, None)[0] == plain:
            differing.append(name)
            details[name] = [f"plain: {plain}", f"under the tracker: {under}"]
    if missing:
        details["not installed here"] = [", ".join(missing)]
    return [
        shown("programs", count),
        shown("processes of them that were recorded", recorded),
        equal("programs that differ", ", ".join(differing) or "none", "", "none"),
    ]


def find_library(name: str) -> str | None:
    """Return where a library is; nothing for no name, and None where it is not installed."""
    found = next(Path("/usr/lib").glob(f"*/{name}"), None) if name else ""
    return None if found is None else str(found)


def run_script(script: str, preload: str, library: Path | None) -> tuple[Outcome, int]:
    """Run a script, with the tracker where there is a library; return also how many processes were recorded."""
    others = {"LD_PRELOAD": preload} if preload else {}
    with scratch_folder() as folder:
        work = folder / "work"
        work.mkdir()
        if library is None:
            return run(["sh", "-c", script], {**os.environ, **others}, work), 0
        with tracked(library, folder) as environment:
            both = ":".join(filter(None, (environment["LD_PRELOAD"], preload)))
            outcome = run(["sh", "-c", script], {**environment, "LD_PRELOAD": both}, work)
        return outcome, len(list((folder / "places").iterdir()))


# --- suites ---------------------------------------------------------------------------------------------------------


def compare_suites(library: Path, options: argparse.Namespace, details: dict[str, list[str]]) -> list[Figure]:
    """Run CPython's own tests with each interpreter that has them, plainly and under the tracker."""
    figures = []
    for command in options.interpreter:
        interpreter = find_interpreter(command)
        if interpreter is None:
            details[command] = ["it is not installed here, or has no tests"]
            continue
        counted = 0
        differing: list[str] = []
        unstable: list[str] = []
        for test in options.tests:
            say(f"{command} {test}")
            plain, under = (run_suite(interpreter, test, found) for found in (None, library))
            counted += len(plain)
            different = sorted(name for name in {*plain, *under} if plain.get(name) != under.get(name))
            if not different:
                continue
            again = run_suite(interpreter, test, None), run_suite(interpreter, test, library)
            for name in different:
                results = {outcome.get(name) for outcome in (plain, again[0])}
                same = plain.get(name) == again[1].get(name) or len(results) > 1
                (unstable if same else differing).append(f"{name}: {plain.get(name)} / {under.get(name)}")
        figures.append(shown(f"{command}: tests", counted))
        figures.append(equal(f"{command}: tests that differ", len(differing), "", 0))
        details.update({f"{command}, differing": differing} if differing else {})
        details.update({f"{command}, not stable": unstable} if unstable else {})
    return figures


def find_interpreter(command: str) -> str | None:
    """Return an interpreter that has the tests: on the path, or installed by pyenv."""
    version = command.removeprefix("python")
    installed = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/{command}"))
    for found in (*map(str, installed), shutil.which(command)):
        if (
            found
            and not subprocess.run([found, "-c", "import test.test_os"], capture_output=True, check=False).returncode
        ):
            return found
    return None


def run_suite(interpreter: str, test: str, library: Path | None) -> dict[str, str]:
    """Return the result of each test of a module, by its name."""
    with scratch_folder() as folder:
        report = folder / "report.xml"
        command = [interpreter, "-m", "test", "--junit-xml", str(report), "--timeout", "300", test]
        if library is None:
            outcome = run(command, os.environ, folder)
        else:
            with tracked(library, folder) as environment:
                outcome = run(command, environment, folder)
        results = read_report(report) if report.exists() else {}
    return {**results, f"{test} as a whole": str(outcome.status)}


def read_report(report: Path) -> dict[str, str]:
    """Return what a JUnit file of regrtest says of each test."""
    results = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        results[case.get("name", "")] = kinds[0] if kinds else case.get("result", "passed")
    return results


if __name__ == "__main__":
    sys.exit(main())
