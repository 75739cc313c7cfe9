"""Run programs and test suites that nobody here wrote, plainly and under the tracker, and compare what they do.

python benchmarks/transparency.py
python benchmarks/transparency.py --only programs
python benchmarks/transparency.py --only packages --packages lxml h5py
python benchmarks/transparency.py --only suites --interpreter python3.12 --tests test_subprocess test_mmap

Under the tracker means that the library is in the program and in all that it starts, with Python's domains hooked. A
program must end with the same status and the same output; a suite must have the same result for each test. A test that
differs is run once more plainly: where that differs as well, the test is not stable, and that is said.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

from measuring import Figure, equal, make_parser, publish, say, scratch_folder, shown

from soak.native.build import NotBuilt, built_library
from soak.native.layout import TABLES
from soak.native.preload import EVERYBODY, WATCH_VARIABLE, preloading

PROGRAMS = Path(__file__).with_name("programs.toml")
INTERPRETERS = ("python3.9", "python3.10", "python3.11", "python3.12", "python3.13")
TESTS = (
    *("test_subprocess", "test_multiprocessing_fork", "test_multiprocessing_spawn", "test_fork1", "test_wait4"),
    *("test_mmap", "test_resource", "test_os", "test_posix", "test_signal", "test_threading", "test_faulthandler"),
    *("test_gc", "test_tracemalloc", "test_weakref", "test_dict", "test_list", "test_json", "test_ctypes", "test_sys"),
)
"""What starts processes, maps memory, sets limits or counts what is allocated."""
PACKAGES = {
    "numpy": ("numpy", "--pyargs numpy._core numpy.lib numpy.linalg numpy.fft numpy.random numpy.ma -m 'not slow'"),
    "scipy.stats": ("scipy", "--pyargs scipy.stats.tests.test_stats scipy.stats.tests.test_mstats_basic"),
    "h5py": ("h5py", "--pyargs h5py"),
    "lxml": ("lxml", "--pyargs lxml.tests"),
    "Pillow": ("pillow", "Tests"),
}
"""By suite: the package, and the arguments of pytest. The tests of the last two are in their sources only."""
TESTS_IN_SOURCES = {"lxml": "src/lxml/tests", "Pillow": "Tests"}
TEST_REQUIREMENTS = ("pytest", "hypothesis", "pytest-timeout", "pytest-mpi", "setuptools")
TIMEOUT_S = 1800


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int | str
    output: str


def main() -> int:
    """Run everything twice and print what differs."""
    parser = make_parser(__doc__)
    parser.add_argument("--only", choices=("programs", "suites", "packages"))
    parser.add_argument("--packages", nargs="+", default=tuple(PACKAGES), choices=tuple(PACKAGES), metavar="PACKAGE")
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
    if options.only in (None, "packages"):
        figures += compare_packages(built.path, options.packages, details)
    for name, lines in details.items():
        print(f"{name}:", *lines, sep="\n    ")
    return publish("transparency", figures, details, options.json)


@contextmanager
def tracked(library: Path, folder: Path) -> Iterator[Mapping[str, str]]:
    """Give an environment in which every process is recorded."""
    places = folder / "places"
    places.touch()
    places.chmod(0o666)  # servers append to it as another user
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
    """Return where a library is; nothing for no name, and None if it is not installed."""
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
        return outcome, (folder / "places").stat().st_size // TABLES.itemsize


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
            counted += compare_tests(partial(run_suite, interpreter, test), library, differing, unstable)
        figures.append(shown(f"{command}: tests", counted))
        figures.append(equal(f"{command}: tests that differ", len(differing), "", 0))
        details.update({f"{command}, differing": differing} if differing else {})
        details.update({f"{command}, not stable": unstable} if unstable else {})
    return figures


def compare_tests(
    run_tests: Callable[[Path | None], dict[str, str]], library: Path, differing: list[str], unstable: list[str]
) -> int:
    """Run tests plainly and under the tracker; note those that differ; return how many there are."""
    plain, under = (run_tests(found) for found in (None, library))
    different = sorted(name for name in {*plain, *under} if plain.get(name) != under.get(name))
    if different:
        again = run_tests(None), run_tests(library)
        for name in different:
            results = {outcome.get(name) for outcome in (plain, again[0])}
            same = plain.get(name) == again[1].get(name) or len(results) > 1
            (unstable if same else differing).append(f"{name}: {plain.get(name)} / {under.get(name)}")
    return len(plain)


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
    """Return the result of each test of a module of CPython's, by its name."""
    return run_reporting([interpreter, "-m", "test", "--timeout", "300", test, "--junit-xml"], test, None, library)


def run_reporting(command: Sequence[str], suite: str, place: Path | None, library: Path | None) -> dict[str, str]:
    """Return the result of each test of a command that takes the name of a JUnit file as its last argument."""
    with scratch_folder() as folder:
        report = folder / "report.xml"
        command = [*command, str(report)]
        if library is None:
            outcome = run(command, os.environ, place or folder)
        else:
            with tracked(library, folder) as environment:
                outcome = run(command, environment, place or folder)
        results = read_report(report) if report.exists() else {}
    return {**results, f"{suite} as a whole": str(outcome.status)}


def read_report(report: Path) -> dict[str, str]:
    """Return what a JUnit file of regrtest says of each test."""
    results = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        results[f"{case.get('classname', '')}.{case.get('name', '')}"] = (
            kinds[0] if kinds else case.get("result", "passed")
        )
    return results


# --- packages -------------------------------------------------------------------------------------------------------


def compare_packages(library: Path, suites: Sequence[str], details: dict[str, list[str]]) -> list[Figure]:
    """Run the tests of packages from their wheels, plainly and under the tracker."""
    figures = []
    with scratch_folder() as folder:
        python = str(folder / "venv" / "bin" / "python")
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        packages = [PACKAGES[suite][0] for suite in suites]
        subprocess.run([*pip, "install", *TEST_REQUIREMENTS, *packages], check=True)
        for suite in suites:
            say(suite)
            package, arguments = PACKAGES[suite]
            place = fetch_tests(pip, suite, package, folder) if suite in TESTS_IN_SOURCES else folder
            options = ["-q", "-p", "no:cacheprovider", "--timeout", "300", *shlex.split(arguments), "--junit-xml"]
            differing: list[str] = []
            unstable: list[str] = []
            run_tests = partial(run_reporting, [python, "-m", "pytest", *options], suite, place)
            count = compare_tests(run_tests, library, differing, unstable)
            say(f"{suite}: {count} tests, {len(differing)} differ")
            figures.append(shown(f"{suite}: tests", count))
            figures.append(equal(f"{suite}: tests that differ", len(differing), "", 0))
            details.update({f"{suite}, differing": differing} if differing else {})
            details.update({f"{suite}, not stable": unstable} if unstable else {})
    return figures


def fetch_tests(pip: Sequence[str], suite: str, package: str, folder: Path) -> Path:
    """Fetch the sources of a package and put its tests where they run with the installed one; return that place."""
    sources = folder / "sources"
    subprocess.run([*pip, "download", "--no-deps", "--no-binary", package, "-d", sources, package], check=True)
    (archive,) = sources.glob(f"{package}-*.tar.gz")
    shutil.unpack_archive(archive, sources, filter="data")
    unpacked = archive.with_suffix("").with_suffix("")
    if suite == "Pillow":
        shutil.rmtree(unpacked / "src")  # else its tests would take the package that is not built
        return unpacked
    (installed,) = folder.glob(f"venv/lib/*/site-packages/{package}")
    shutil.copytree(unpacked / TESTS_IN_SOURCES[suite], installed / "tests", dirs_exist_ok=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
