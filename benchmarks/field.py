"""Soak small programs of the kinds that people have, quiet and on a busy machine, on several interpreters.

    python benchmarks/field.py                                   five runs of each on 3.9, 3.11 and 3.13: an hour
    python benchmarks/field.py --repeat 1 --python 3.11 --busy 4
    python benchmarks/field.py --clean --repeat 20 --busy 4      ten clean programs, twenty runs each
    python benchmarks/field.py --only pipes --only threads

`benchmarks/field/` has the programs; ``EXPECT`` in each has the verdicts that are right, the words that the first
sentence must have and the bytes per call, ``REPAIRED`` the same of the functions whose name begins so. A program with
``COMMANDS`` is watched (`soak watch -- ...`); one that ``NEEDS`` a module is left out where the interpreter has none.
Of the clean programs none may be LEAK, and at most 5 % anything but CLEAN or SETTLING.
"""

from __future__ import annotations

import argparse
import ast
import functools
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
MOST_RATE_ERROR = 0.02
_SPIN = "while True: pass"
_LONGEST_S = 600.0


@dataclass(frozen=True)
class Program:
    """A function to soak, and what is right."""

    target: str
    name: str
    verdicts: tuple[str, ...]
    says: tuple[str, ...] = ()
    bytes_per_call: float | None = None
    needs: str = ""
    """A module that the program imports."""
    arguments: tuple[str, ...] | None = None
    """Of the command that is watched; None of a function that is soaked."""

    def command(self, interpreter: str) -> list[str]:
        """Return what follows ``soak``."""
        if self.arguments is None:
            return ["run", self.target, "--python", interpreter]
        return ["watch", "--", interpreter, self.target, *self.arguments]


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
                    if program.needs and not has_module(python, program.needs):
                        say(f"{program.name} left out: Python {python} has no {program.needs}")
                        continue
                    runs.append(soak(program, python))
                    say(f"{program.name} on {python}: {runs[-1]['wrong'] or runs[-1]['verdict'] + ', right'}")
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
    """Return the programs whose right answer is known, one for each public function or command."""
    return [program for path in sorted(PROGRAMS.glob("*.py")) for program in programs_in(path)]


def programs_in(path: Path) -> Iterator[Program]:
    """Give what is soaked of one file; nothing of one that does not say what is right."""
    said = {name: value for name, value in assigned(path) if name in ("EXPECT", "REPAIRED", "NEEDS", "COMMANDS")}
    facts = {name: ast.literal_eval(value) for name, value in said.items()}
    if "EXPECT" not in facts:
        return
    commands = facts.get("COMMANDS", {})
    for function in commands or functions_soaked(path):
        expected = facts["REPAIRED" if function.startswith("repaired") else "EXPECT"]
        yield Program(
            str(path) if commands else f"{path}:{function}",
            path.stem if function == "cycle" else f"{path.stem}.{function}",
            tuple(expected["verdicts"]),
            tuple(expected.get("says", ())),
            expected.get("bytes_per_call"),
            facts.get("NEEDS", ""),
            tuple(commands[function]) if commands else None,
        )


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


def functions_soaked(path: Path) -> list[str]:
    """Return the names of the functions of a program that are soaked."""
    return [node.name for node in functions(path) if not node.args.args and not node.decorator_list]


@functools.cache
def has_module(python: str, name: str) -> bool:
    """Tell whether an interpreter has a module."""
    command = [find_interpreter(python), "-c", f"import {name}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextmanager
def busy(number: int) -> Iterator[None]:
    """Let this many processes compute."""
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
    verb, *arguments = program.command(find_interpreter(python))
    command = [sys.executable, "-m", "soak", verb, "--out", str(folder / "runs"), *arguments]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_LONGEST_S, env=environment, cwd=folder
        )
        reports = sorted(folder.glob("runs/*/report.json"))
        if not reports:
            return {"name": program.name, "python": python, "verdict": "none", "wrong": done.stderr[-500:]}
        component = json.loads(reports[-1].read_text(encoding="utf-8"))["components"][0]
        lines = done.stdout.splitlines()
        # Of a watch the places stand below its table.
        sentence = " ".join(lines) if verb == "watch" else next((line for line in lines if line.startswith("  ")), "")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    missing = [words for words in program.says if words not in sentence]
    rate = (component["growth"] or {}).get("bytes_per_iteration")
    is_rate_right = program.bytes_per_call is None or abs((rate or 0.0) / program.bytes_per_call - 1) <= MOST_RATE_ERROR
    is_right = component["verdict"] in program.verdicts and not missing and is_rate_right
    wrong = "" if is_right else f"{component['verdict']}, {rate} B, without {missing}: {sentence.strip()}"
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
