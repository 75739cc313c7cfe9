"""How long a check takes in a test, for a leaking and a clean call in C; and the cost of the unused plugin.

python benchmarks/pytest_times.py
python benchmarks/pytest_times.py --rounds 15 --json -
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from measuring import ROOT, below, make_parser, publish, scratch_folder, shown

LEAK_S, CLEAN_S, COLLECT_MS = 3.0, 2.0, 20.0
EXTENSION = """
#include <Python.h>
#include <stdlib.h>
static PyObject *leaks(PyObject *module, PyObject *nothing)
{
    volatile char *block = malloc(106);
    block[0] = 1;
    Py_RETURN_NONE;
}
static PyObject *clean(PyObject *module, PyObject *nothing)
{
    volatile char *block = malloc(106);
    block[0] = 1;
    free((void *)block);
    Py_RETURN_NONE;
}
static PyMethodDef functions[] = {{"leaks", leaks, METH_NOARGS, ""}, {"clean", clean, METH_NOARGS, ""}, {NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "calls", NULL, -1, functions};
PyMODINIT_FUNC PyInit_calls(void) { return PyModule_Create(&definition); }
"""
TEST = "import calls\ndef test(soak): soak.check(calls.{name})\n"
_DURATION = re.compile(r"([\d.]+)s (?:setup|call|teardown) ")
_WITHOUT = ("-p", "no:soak")
_ALONE = ("-p", "no:hypothesispytest")
"""Without the plugin of hypothesis, which this project's own tests need: at the end of each run it imports hypothesis,
which takes as long as all of pytest."""


def main() -> int:
    """Measure in turn and print the table."""
    options = parse_arguments()
    with scratch_folder() as folder:
        prepare(folder)
        rounds = [measure(folder) for _ in range(options.rounds)]
    medians = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    figures = [
        below("a leaking call, the test itself (setup, call, teardown)", medians["leaks"], "s", LEAK_S),
        shown("the whole command", medians["leaks, command"], "s"),
        below("a clean call, the test itself (setup, call, teardown)", medians["clean"], "s", CLEAN_S),
        shown("the whole command", medians["clean, command"], "s"),
        below("what the unused plugin adds to --collect-only", medians["added"] * 1e3, "ms", COLLECT_MS),
        shown("--collect-only without it", medians["without"], "s"),
    ]
    return publish("pytest_times", figures, {"rounds": rounds}, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="rounds; each measures everything once (9)")
    return parser.parse_args()


def prepare(folder: Path) -> None:
    """Write the tests, and build the extension module that they call, with debug information."""
    (folder / "calls.c").write_text(EXTENSION, encoding="utf-8")
    built = folder / f"calls{sysconfig.get_config_var('EXT_SUFFIX')}"
    headers = f"-I{sysconfig.get_path('include')}"
    subprocess.run(["cc", "-g", "-shared", "-fPIC", headers, "-o", built, folder / "calls.c"], check=True)
    for name in ("leaks", "clean"):
        (folder / f"test_{name}.py").write_text(TEST.format(name=name), encoding="utf-8")
    (folder / "test_other.py").write_text("def test(): pass\n", encoding="utf-8")


def measure(folder: Path) -> dict[str, float]:
    """Return the seconds of one round: each test, its whole command, and collection with and without the plugin."""
    seconds = {}
    for name, exit_status in (("leaks", 1), ("clean", 0)):
        took_s, output = run_pytest(folder, f"test_{name}.py", "--durations=0", exit_status=exit_status)
        seconds[name] = sum(float(duration) for duration in _DURATION.findall(output))
        seconds[f"{name}, command"] = took_s
    with_s, _ = run_pytest(folder, "test_other.py", "--collect-only")
    without_s, _ = run_pytest(folder, "test_other.py", "--collect-only", *_WITHOUT)
    return {**seconds, "without": without_s, "added": with_s - without_s}


def run_pytest(folder: Path, *arguments: str, exit_status: int = 0) -> tuple[float, str]:
    """Return pytest's time in seconds and its output. Raises RuntimeError on another exit status."""
    begun_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--durations-min=0", *_ALONE, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    took_s = time.perf_counter() - begun_s
    if done.returncode != exit_status:
        raise RuntimeError(f"pytest {' '.join(arguments)} ends with {done.returncode}: {done.stdout[-500:]}")
    return took_s, done.stdout


if __name__ == "__main__":
    sys.exit(main())
