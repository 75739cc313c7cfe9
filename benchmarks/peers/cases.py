"""The cases of the bench and the right answer for each: planted leaks, their repaired twins, look-alikes, drivers."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PLANTED = ROOT / "benchmarks" / "cases"
DRIVERS = ROOT / "standalone_tests"
UNGATED = ("display_new_figure",)
"""Drivers that are allowed to grow (pyproject.toml)."""
REPAIRED = ", repaired"
BYTE_RATES = ("bytes_per_iter", "heap_per_iter", "malloc_per_iter", "tracemalloc_per_iter")


@dataclass(frozen=True)
class Case:
    """One suspected call."""

    name: str
    group: str
    file: Path
    function: str | None
    """None for a driver."""
    expect: dict[str, Any]
    python: str | None = None
    """Version, such as 3.8; None for the version that runs the bench."""
    requires: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def leaks(self) -> bool:
        """Whether LEAK is right."""
        return bool(self.expect["verdict"] == "leak")

    @property
    def byte_rates(self) -> list[float]:
        """The bytes that a call loses: requested, allocated, and traced. A tool that reports one of them is right.

        Empty when the case loses no bytes, or when the number is not known.
        """
        return [self.expect[key] for key in BYTE_RATES if self.expect.get(key)] if self.leaks else []


def all_cases(real_leaks: Path | None) -> list[Case]:
    """Return every case, by group."""
    cases = [*planted_cases(PLANTED), *driver_cases(DRIVERS)]
    return cases + (real_cases(real_leaks) if real_leaks else [])


def planted_cases(folder: Path) -> list[Case]:
    """Return planted leaks, the repaired twin of each, and clean cases that look like leaks."""
    cases = []
    for file in sorted(folder.glob("planted_*.py")):
        case = read_case(file, "planted", file.stem.removeprefix("planted_"))
        cases.append(case)
        cases.append(
            replace(
                case, group="repaired", name=f"{case.name}{REPAIRED}", function="repaired", expect={"verdict": "clean"}
            )
        )
    cases += [
        read_case(file, "look-alike", file.stem.removeprefix("clean_")) for file in sorted(folder.glob("clean_*.py"))
    ]
    return sorted(cases, key=lambda case: ("planted", "repaired", "look-alike").index(case.group))


def driver_cases(folder: Path) -> list[Case]:
    """Return those drivers of the decoder whose leak fails a run."""
    files = sorted(folder.glob("drive_*.py"))
    names = {file: file.stem.removeprefix("drive_") for file in files}
    return [
        Case(name.replace("_", " "), "driver", file, None, {"verdict": "clean"})
        for file, name in names.items()
        if name not in UNGATED
    ]


def real_cases(folder: Path) -> list[Case]:
    """Return the cases in a folder of the user: leaks of released packages, and clean ones."""
    cases = [read_case(file, "real", "_".join(file.stem.split("_")[1:])) for file in sorted(folder.glob("case*.py"))]
    cases = [replace(case, group="real leak" if case.leaks else "real clean") for case in cases]
    return sorted(cases, key=lambda case: case.group, reverse=True)


def read_case(file: Path, group: str, name: str) -> Case:
    """Read a case without running it: SETUP and EXPECT are literals. Raises ValueError when there is no EXPECT."""
    tables: dict[str, Any] = {}
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            target = statement.targets[0].id
            if target in ("SETUP", "EXPECT"):
                tables[target] = ast.literal_eval(statement.value)
    if "EXPECT" not in tables:
        raise ValueError(f"{file} has no EXPECT, so its right answer is not known")
    setup = tables.get("SETUP", {})
    return Case(
        name.replace("_", " "),
        group,
        file,
        "iteration",
        tables["EXPECT"],
        setup.get("python"),
        tuple(setup.get("requires", ())),
        dict(setup.get("env", {})),
    )
