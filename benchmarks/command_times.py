"""How long a whole command takes, from the prompt to the prompt, and the processor time of soak and its processes.

python benchmarks/command_times.py
python benchmarks/command_times.py --rounds 9 --json -
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measuring import ROOT, Figure, below, make_parser, publish, scratch_folder, shown

TARGETS = """
import ctypes, json
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
KEPT = []
def clean(): json.loads('{"a": [1, 2, 3]}')
def lost(): libc.malloc(106)
def held(): KEPT.append(bytes(106))
"""
TESTS = """
import pytest, targets
@pytest.mark.soak
def test_clean(): targets.clean()
@pytest.mark.soak
def test_leaking(): targets.lost()
@pytest.mark.soak
@pytest.mark.parametrize("number", range(5))
def test_five(number): targets.clean()
"""
CPU_LIMIT_S = 1.5


@dataclass(frozen=True)
class Command:
    """One command and what is expected of it."""

    name: str
    words: tuple[str, ...]
    exit_code: int
    limit_s: float
    cpu_limit_s: float | None = None


SOAK = ("-m", "soak", "run", "--out", "runs")
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
"""Without the plugin of hypothesis, which this project's own tests need: at the end of each run it imports hypothesis,
which takes as long as all of pytest."""
COMMANDS = (
    Command("clean", (*SOAK, "targets.py:clean"), 0, 1.0, CPU_LIMIT_S),
    Command("lost 106 B", (*SOAK, "targets.py:lost"), 1, 1.5),
    Command("held object", (*SOAK, "targets.py:held"), 1, 2.0),
    Command("marked test, clean", (*PYTEST, "test_targets.py::test_clean"), 0, 1.0),
    Command("marked test, leaking", (*PYTEST, "test_targets.py::test_leaking"), 1, 2.0),
    Command("five marked tests, clean", (*PYTEST, "test_targets.py::test_five"), 0, 5.0),
)
_START = Command("a Python that imports numpy", ("-c", "import numpy"), 0, 0.0)
"""For comparison: what no command can be faster than on this machine, at this moment."""


def main() -> int:
    """Run the commands in turn and print the table."""
    options = parse_arguments()
    with scratch_folder() as folder:
        (folder / "targets.py").write_text(TARGETS, encoding="utf-8")
        (folder / "test_targets.py").write_text(TESTS, encoding="utf-8")
        for command in COMMANDS:
            measure(command, folder)  # the bytecode, the controls and the symbols are kept from here on
        rounds = [[measure(command, folder) for command in (_START, *COMMANDS)] for _ in range(options.rounds)]
    start, *times = ([each[number] for each in rounds] for number in range(1 + len(COMMANDS)))
    figures = [figure for command, found in zip(COMMANDS, times, strict=True) for figure in figures_of(command, found)]
    figures.append(shown(f"{_START.name}, for comparison", statistics.median(wall for wall, _ in start), "s"))
    return publish("command_times", figures, {"rounds": rounds}, options.json)


def figures_of(command: Command, times: Sequence[tuple[float, float]]) -> list[Figure]:
    """Return the medians of a command's wall and processor times."""
    wall_s, cpu_s = (statistics.median(column) for column in zip(*times, strict=True))
    cpu = f"{command.name}: processor time"
    return [
        below(command.name, wall_s, "s", command.limit_s),
        shown(cpu, cpu_s, "s") if command.cpu_limit_s is None else below(cpu, cpu_s, "s", command.cpu_limit_s),
    ]


def measure(command: Command, folder: Path) -> tuple[float, float]:
    """Return the wall time and the processor time of a command and all its processes, in seconds."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before, begun_s = os.times(), time.monotonic()
    done = subprocess.run(
        [sys.executable, *command.words],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    wall_s, after = time.monotonic() - begun_s, os.times()
    if done.returncode != command.exit_code:
        raise RuntimeError(f"{command.name} ended with {done.returncode}: {done.stdout[-800:]}{done.stderr[-800:]}")
    children = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    return wall_s, children


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of all commands, interleaved (5)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
