"""Soak small programs of the kinds that people have, quiet and on a busy machine, on several interpreters.

    python benchmarks/field.py                                   five runs of each on 3.9, 3.11 and 3.13: an hour
    python benchmarks/field.py --repeat 1 --python 3.11 --busy 4
    python benchmarks/field.py --clean --repeat 20 --busy 4      ten clean programs, twenty runs each
    python benchmarks/field.py --only pipes --only threads

`benchmarks/field/` has the programs; ``EXPECT`` in each has the verdicts that are right and the words that the first
sentence must have. Of the clean ones none may be LEAK, and at most 5 % anything but CLEAN or SETTLING.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import ROOT, Figure, at_most, equal, make_parser, publish, say
from peers.environments import find_interpreter

PROGRAMS = ROOT / "benchmarks" / "field"
CLEAN = PROGRAMS / "clean_programs.py"
MOST_NOT_CLEAN = 0.05
_SPIN = "while True: pass"
_LONGEST_S = 600.0


@dataclass(frozen=True)
class Program:
    """A function to soak, and what is right."""

    target: str
    name: str
    verdicts: tuple[str, ...]
    says: tuple[str, ...] = ()


def main() -> int:
    """Do the runs and print the table."""
    options = parse_arguments()
    programs = clean_programs() if options.clean else field_programs()
    programs = [program for program in programs if not options.only or program.name in options.only]
    runs: list[dict[str, Any]] = []
    with busy(options.busy):
        for number in range(1, options.repeat + 1):
            for python in options.python:
                for program in programs:
                    runs.append(soak(program, python))
                    if runs[-1]["wrong"]:
                        say(f"{program.name} on {python}: {runs[-1]}")
            say(f"round {number} of {options.repeat}")
    figures = clean_figures(runs) if options.clean else field_figures(runs, programs)
    return publish("field", figures, {"runs": runs, "busy": options.busy}, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each program (5)")
    parser.add_argument("--python", action="append", help="interpreter; may be repeated (3.9, 3.11 and 3.13)")
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside the runs (0)")
    parser.add_argument("--clean", action="store_true", help="soak the clean programs instead")
    parser.add_argument("--only", action="append", help="soak this program; may be repeated")
    options = parser.parse_args()
    options.python = options.python or (["3.11"] if options.clean else ["3.9", "3.11", "3.13"])
    return options


def field_programs() -> list[Program]:
    """Return the programs whose right answer is known, each function with a public name that ends in a leak or not."""
    programs = []
    for path in sorted(PROGRAMS.glob("*.py")):
        for name, value in assigned(path):
            if name == "EXPECT":
                expected = ast.literal_eval(value)
                programs += [
                    Program(f"{path}:{function}", label, tuple(expected["verdicts"]), tuple(expected.get("says", ())))
                    for function, label in soaked(path)
                ]
    return programs


def clean_programs() -> list[Program]:
    """Return the ten clean functions."""
    names = [node.name for node in functions(CLEAN) if ast.get_docstring(node)]
    return [Program(f"{CLEAN}:{name}", name, ("CLEAN", "SETTLING", "INCONCLUSIVE")) for name in names]


def assigned(path: Path) -> Iterator[tuple[str, ast.expr]]:
    """Give the names that a program assigns to, with the expressions."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def functions(path: Path) -> list[ast.FunctionDef]:
    """Return the public functions of a program."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return [node for node in body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]


def soaked(path: Path) -> list[tuple[str, str]]:
    """Return the functions of a program that are soaked, and what each is called in the table."""
    names = [node.name for node in functions(path) if not node.args.args and not node.decorator_list]
    return [(name, path.stem if name == "cycle" else f"{path.stem}.{name}") for name in names]


@contextmanager
def busy(number: int) -> Iterator[None]:
    """Let so many processes compute."""
    spinning = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(number)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


def soak(program: Program, python: str) -> dict[str, Any]:
    """Soak a program as a user does, and compare the answer."""
    folder = Path(tempfile.mkdtemp(prefix="soak-field-"))
    temporary = folder / "tmp"
    temporary.mkdir()
    command = [
        sys.executable,
        "-m",
        "soak",
        "run",
        program.target,
        "--python",
        find_interpreter(python),
        "--out",
        str(folder / "runs"),
    ]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_LONGEST_S, env=environment, cwd=folder
        )
        reports = sorted(folder.glob("runs/*/report.json"))
        if not reports:
            return {"name": program.name, "python": python, "verdict": "none", "wrong": done.stderr[-500:]}
        component = json.loads(reports[-1].read_text(encoding="utf-8"))["components"][0]
        sentence = next((line for line in done.stdout.splitlines() if line.startswith("  ")), "")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    missing = [words for words in program.says if words not in sentence]
    is_right = component["verdict"] in program.verdicts
    wrong = "" if is_right and not missing else f"{component['verdict']}, without {missing}: {sentence.strip()}"
    return {"name": program.name, "python": python, "verdict": component["verdict"], "wrong": wrong}


def field_figures(runs: list[dict[str, Any]], programs: list[Program]) -> list[Figure]:
    """Return how many runs of each program were right."""
    return [
        equal(f"{program.name}: wrong runs of {sum(run['name'] == program.name for run in runs)}", wrong, "", 0)
        for program in programs
        for wrong in [sum(run["name"] == program.name and bool(run["wrong"]) for run in runs)]
    ]


def clean_figures(runs: list[dict[str, Any]]) -> list[Figure]:
    """Return how many runs of clean programs were LEAK, and what part was undecided."""
    verdicts = Counter(run["verdict"] for run in runs)
    undecided = len(runs) - verdicts["CLEAN"] - verdicts["SETTLING"]
    return [
        equal(f"LEAK of {len(runs)} runs of clean programs", verdicts["LEAK"], "", 0),
        at_most("neither CLEAN nor SETTLING", undecided / max(len(runs), 1), "", MOST_NOT_CLEAN),
    ]


if __name__ == "__main__":
    sys.exit(main())
