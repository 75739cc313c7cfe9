"""Soak every planted leak of `tests/planted` and its repaired twin, with each binding and interpreter.

    python benchmarks/accept.py                          every id on three interpreters (some minutes)
    python benchmarks/accept.py --only malloc --only fd  some ids
    python benchmarks/accept.py --python 3.13            one interpreter, by version or path

A planted leak must be LEAK. Its cause must have the planted function and line, the planted blocks per cycle and block
size, the right state (lost or held) and the right first holder. Its repaired twin must be CLEAN. A missing DECREF must
be reported as such, and only where it was planted. ``<id>_leak.py`` has the expected values and marks the line with
``planted``. A program with a native function runs twice: as an extension module, and loaded by ctypes.
"""

from __future__ import annotations

import argparse
import ast
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from measuring import Figure, at_least, at_most, equal, make_parser, publish, say, scratch_folder

from soak.reporting.words import held_by, why_words
from soak.results import Cause, ComponentResult
from soak.running.component.result import make_result
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext, find_library
from soak.running.interpreter import find_interpreter
from soak.settings import ComponentPlan
from soak.targets import find_targets

PLANTED = Path(__file__).resolve().parent.parent / "tests" / "planted"
VERSIONS = ("3.8", "3.11", "3.13")
BINDINGS = ("extension", "ctypes")
PURE = "python"
FORGOTTEN = "lost-reference"
CYCLES, CYCLES_OF_TWINS = 500, 2048
"""The defaults. Fewer than 512 cycles cannot prove that the heap counter of a twin grows by less than 1 B."""
MOST_CYCLES = {"malloc": 500, "every_1000": 10_000, "small": 500}
MOST_SECONDS = {"malloc": 3.0}
"""Limits of the time to the verdict, from the first cycle on. The figures also have the rate and the size of these."""


@dataclass(frozen=True)
class Case:
    """One planted program, ``<id>_leak.py`` or ``<id>_repaired.py``, and the expected result."""

    id: str
    file: Path
    is_leak: bool
    cycles: int
    uses_native_code: bool
    needs: str
    """A module that the program requires; empty for none."""
    expected: dict[str, Any]

    def marked_line(self, binding: str) -> tuple[str, int]:
        """Return the file's name and the line on which the leak is marked."""
        marks: tuple[tuple[Path, tuple[str, ...]], ...] = ((self.file, (f"# planted: {binding}", "# planted")),)
        if "function" in self.expected:
            mark = f"/* planted: {self.expected['function']} */"
            marks = tuple((file, (mark,)) for file in sorted(PLANTED.glob("*.c*")))
        for file, texts in marks:
            lines = file.read_text(encoding="utf-8").splitlines()
            for text in texts:
                for number, line in enumerate(lines, 1):
                    if line.rstrip().endswith(text):
                        return file.name, number
        raise ValueError(f"{self.file} marks no line")


@dataclass(frozen=True)
class Outcome:
    """The result of one program with one binding on one interpreter."""

    id: str
    program: str
    binding: str
    python: str
    verdict: str
    verdict_right: bool
    place: str | None
    place_right: bool | None
    blocks: float | None
    size: int | None
    amount_right: bool | None
    state: str | None
    state_right: bool | None
    """Lost or held; None for mappings, descriptors and threads, which are neither."""
    holder: str | None
    holder_right: bool | None
    """The first holder; None if the blocks are not held."""
    has_forgotten_reference: bool
    """Whether a missing DECREF was planted."""
    forgotten_reference_told: bool
    """Whether any cause reports a missing DECREF."""
    every: float | None
    confirmed: bool | None
    cycles: int
    cycles_to_verdict: int | None
    seconds: float
    seconds_to_verdict: float | None
    why: str

    @property
    def right(self) -> bool:
        """Whether the whole result is as planted."""
        told = (self.place_right, self.amount_right, self.state_right, self.holder_right)
        return self.verdict_right and False not in told and not self.is_reference_wrong

    @property
    def is_reference_wrong(self) -> bool:
        """Whether a missing DECREF was not reported, or was reported where none is missing."""
        return self.has_forgotten_reference != self.forgotten_reference_told


def main() -> int:
    """Soak them all and print the table."""
    options = parse_arguments()
    outcomes: list[Outcome] = []
    cases = [case for case in read_cases(PLANTED) if not options.only or case.id in options.only]
    with scratch_folder() as folder:
        for version, installed in interpreters(options.python or VERSIONS).items():
            python = with_packages(installed, {case.needs for case in cases if case.needs}, folder / version / "venv")
            for case, binding in runs(cases, python, folder / version):
                outcomes.append(accept(case, binding, python, folder / version))
                say(line(outcomes[-1]))
    return publish("accept", figures(outcomes), {"runs": [asdict(outcome) for outcome in outcomes]}, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--only", action="append", metavar="ID", help="one id; may be repeated")
    parser.add_argument("--python", action="append", metavar="3.13", help="a version or path; may be repeated")
    return parser.parse_args()


def read_cases(folder: Path) -> list[Case]:
    """Return every planted program in ``folder``, a leak before its repaired twin; none of them is run."""
    cases = []
    for leak in sorted(folder.glob("*_leak.py")):
        name = leak.stem.removesuffix("_leak")
        wanted = _constants(leak)
        for file in (leak, leak.with_name(f"{name}_repaired.py")):
            found = _constants(file)
            cases.append(
                Case(
                    name,
                    file,
                    file is leak,
                    found.get("CYCLES", CYCLES if file is leak else CYCLES_OF_TWINS),
                    "import native_code" in file.read_text(encoding="utf-8"),
                    wanted.get("NEEDS", ""),
                    wanted["EXPECTED"],
                )
            )
    return cases


def _constants(file: Path) -> dict[str, Any]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def interpreters(asked: Sequence[str]) -> dict[str, str]:
    """Map each requested version or path to an interpreter; print which ones do not exist."""
    found = {}
    for text in asked:
        own = text == f"{sys.version_info[0]}.{sys.version_info[1]}"
        installed = sorted((Path.home() / ".pyenv" / "versions").glob(f"{text}.*/bin/python{text}"))
        python = sys.executable if own else str(installed[-1]) if installed else shutil.which(f"python{text}")
        python = text if "/" in text else python
        if python is None:
            say(f"there is no interpreter {text}")
        else:
            found[Path(text).name] = python
    return found


def with_packages(python: str, needed: Iterable[str], folder: Path) -> str:
    """Return an interpreter of the same version with these packages: itself, or that of a virtual environment."""
    missing = [name for name in needed if not _has(python, name)]
    if not missing:
        return python
    own = str(folder / "bin" / "python")
    install = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *missing]
    for command in ([python, "-m", "venv", str(folder)], install):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            say(f"{python}: no {', '.join(missing)}: {done.stderr.strip()[-200:]}")
            return python
    return own


def _has(python: str, module: str) -> bool:
    return subprocess.run([python, "-c", f"import {module}"], check=False, capture_output=True).returncode == 0


def runs(cases: Sequence[Case], python: str, folder: Path) -> Iterator[tuple[Case, str]]:
    """Return each program with each binding that works with this interpreter; build the native code for it."""
    built = []
    for binding in BINDINGS:
        command = [python, str(PLANTED / "native_code.py"), binding, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            say(f"{python}: no {binding}: {done.stderr.strip()[-200:]}")
        else:
            built.append(binding)
    for case in cases:
        if case.needs and not _has(python, case.needs):
            say(f"{python}: {case.id} needs {case.needs}")
            continue
        for binding in built if case.uses_native_code else (PURE,):
            yield case, binding


def accept(case: Case, binding: str, python: str, folder: Path) -> Outcome:
    """Soak one program and compare the result with the planted leak."""
    result = soak(case, binding, python, folder)
    cause, place = None, None
    if case.is_leak:
        cause, place = _find(case, binding, result)
    state, holder = (case.expected.get("state"), case.expected.get("holder")) if case.is_leak else (None, None)
    first_holder = next(iter(held_by(cause)), None) if cause else None
    return Outcome(
        id=case.id,
        program=case.file.stem,
        binding=binding,
        python=result.python,
        verdict=result.verdict.value,
        verdict_right=result.verdict.value == ("LEAK" if case.is_leak else "CLEAN"),
        place=place or (_place_of(result.causes[0]) if result.causes else None),
        place_right=place is not None if case.is_leak else None,
        blocks=cause.blocks_per_iteration if cause else None,
        size=cause.requested_size if cause else None,
        amount_right=_amount_right(case, cause) if case.is_leak else None,
        state=cause.state if cause else None,
        state_right=None if state is None else cause is not None and cause.state == state,
        holder=first_holder,
        holder_right=None if holder is None else first_holder is not None and holder in first_holder,
        has_forgotten_reference=case.is_leak and case.expected["kind"] == FORGOTTEN,
        forgotten_reference_told=any(found.kind == FORGOTTEN for found in result.causes),
        every=cause.every if cause else None,
        confirmed=cause.confirmed if cause else None,
        cycles=result.iterations,
        cycles_to_verdict=result.iterations_to_verdict,
        seconds=round(result.seconds, 3),
        seconds_to_verdict=result.seconds_to_verdict,
        why=why_words(result),
    )


def soak(case: Case, binding: str, python: str, folder: Path) -> ComponentResult:
    """Soak one program as ``soak run --iterations N`` does, without controls and without a second pass."""
    plan = ComponentPlan(
        target=find_targets([str(case.file)], PLANTED)[0],
        iterations=case.cycles,
        settings={"binding": binding, "folder": str(folder)} if case.uses_native_code else {},
    )
    interpreter = find_interpreter(python)
    library, reason = find_library()
    course = soak_component(plan, RunContext(interpreter, folder, threading.Event(), library, reason))
    return make_result(plan, course, None, interpreter)


def _find(case: Case, binding: str, result: ComponentResult) -> tuple[Cause | None, str | None]:
    """Return the cause of the planted kind, and the marked place if a cause has that place."""
    name, number = case.marked_line(binding)
    kinds = case.expected["kind"].split(" or ")
    of_kind = [cause for cause in result.causes if cause.kind in kinds]
    for cause in of_kind:
        where = cause.where if "function" in case.expected else cause.python_where
        right_function = where is not None and (where.function or "").startswith(case.expected.get("function", ""))
        if where is not None and right_function and (Path(where.file or "").name, where.line) == (name, number):
            return cause, f"{name}:{number}"
    return (of_kind[0] if of_kind else None), None


def _amount_right(case: Case, cause: Cause | None) -> bool:
    """Whether blocks per cycle (within 0.005 and 2 %) and size, or the count, are as planted."""
    if cause is None:
        return False
    right = True
    if "blocks" in case.expected:
        blocks = cause.blocks_per_iteration or 0.0
        right = abs(blocks - case.expected["blocks"]) <= min(0.005, 0.02 * case.expected["blocks"])
    if "size" in case.expected:
        right = right and cause.requested_size == case.expected["size"]
    if "count" in case.expected:
        rate = cause.count_per_iteration or 0.0
        right = right and abs(rate - case.expected["count"]) <= 0.05 * case.expected["count"]
    return right


def _place_of(cause: Cause) -> str | None:
    place = cause.where or cause.python_where
    return None if place is None else f"{place.function} {place.file}:{place.line}"


def line(outcome: Outcome) -> str:
    """Return one row of the table."""
    words = {True: "right", False: "WRONG", None: "-"}
    blocks = "-" if outcome.blocks is None else f"{outcome.blocks:.4g}"
    seconds = "-" if outcome.seconds_to_verdict is None else f"{outcome.seconds_to_verdict:.2f} s"
    return (
        f"{outcome.program:<24} {outcome.binding:<9} {outcome.python.split()[-1]:<8} "
        f"{outcome.verdict:<12} {words[outcome.verdict_right]:<6} place {words[outcome.place_right]:<6}"
        f"amount {words[outcome.amount_right]:<6} {outcome.state or '-':<7} {words[outcome.state_right]:<6}"
        f"holder {words[outcome.holder_right]:<6} {blocks:>7} x {outcome.size or '-'!s:<7} "
        f"{outcome.cycles_to_verdict or outcome.cycles:>6} cycles {seconds:>8}"
        + ("" if outcome.right else _wrong(outcome))
    )


def _wrong(outcome: Outcome) -> str:
    reference = (
        "; a missing DECREF was not reported, or reported where none is missing" if outcome.is_reference_wrong else ""
    )
    return f"   {outcome.place or 'no place'}; held by {outcome.holder}{reference}; {outcome.why}"


def figures(outcomes: Sequence[Outcome]) -> list[Figure]:
    """Count the right results by interpreter and binding, and the right states and holders of all together."""
    found = []
    for python, binding in dict.fromkeys((outcome.python, outcome.binding) for outcome in outcomes):
        here = [outcome for outcome in outcomes if (outcome.python, outcome.binding) == (python, binding)]
        leaks = [outcome for outcome in here if outcome.place_right is not None]
        repaired = [outcome for outcome in here if outcome.place_right is None]
        name = f"{python}, {binding}"
        found += [
            equal(f"{name}: planted, LEAK", sum(o.verdict_right for o in leaks), "", len(leaks)),
            equal(f"{name}: planted, place", sum(bool(o.place_right) for o in leaks), "", len(leaks)),
            equal(f"{name}: planted, blocks and size", sum(bool(o.amount_right) for o in leaks), "", len(leaks)),
            equal(f"{name}: repaired, CLEAN", sum(o.verdict_right for o in repaired), "", len(repaired)),
            *(figure for outcome in leaks if outcome.id in MOST_CYCLES for figure in how_soon(name, outcome)),
        ]
    states = [outcome.state_right for outcome in outcomes if outcome.state_right is not None]
    holders = [outcome.holder_right for outcome in outcomes if outcome.holder_right is not None]
    references = [outcome.forgotten_reference_told for outcome in outcomes if outcome.has_forgotten_reference]
    claimed = sum(o.forgotten_reference_told and not o.has_forgotten_reference for o in outcomes)
    return [
        *found,
        *_share("lost or held, right", states, 0.95),
        *_share("first holder, right", holders, 0.90),
        *_share("missing DECREF, called so", references, 0.90),
        equal("programs without one of which it is claimed", claimed, "", 0),
    ]


def how_soon(name: str, outcome: Outcome) -> list[Figure]:
    """Return size, rate and time of each planted leak as found; leave out leaks that were not found at their place."""
    is_found = outcome.verdict_right and outcome.place_right
    size, blocks, cycles, seconds = (
        (outcome.size, _rounded(outcome.blocks), outcome.cycles_to_verdict, outcome.seconds_to_verdict)
        if is_found
        else (None, None, None, None)
    )
    at = f"{name}, {outcome.id}"
    planted = next(case for case in read_cases(PLANTED) if case.id == outcome.id).expected
    figures = [
        equal(f"{at}: bytes of a block", size, "B", planted["size"]),
        equal(f"{at}: blocks per cycle", blocks, "", planted["blocks"]),
        at_most(f"{at}: cycles to the verdict", cycles, "", MOST_CYCLES[outcome.id]),
    ]
    if outcome.id in MOST_SECONDS:
        figures.append(at_most(f"{at}: time to the verdict", seconds, "s", MOST_SECONDS[outcome.id]))
    return figures


def _rounded(blocks: float | None) -> float | None:
    """Round to three digits, because the run may end within a period of a rare leak."""
    return None if blocks is None else float(f"{blocks:.3g}")


def _share(name: str, right: Sequence[bool], least: float) -> list[Figure]:
    """Return the figure of the right share in percent; no figure when no program expects one."""
    if not right:
        return []
    return [at_least(f"{name} ({sum(right)} of {len(right)})", 100 * sum(right) / len(right), "%", 100 * least)]


if __name__ == "__main__":
    sys.exit(main())
