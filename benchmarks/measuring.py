"""Code that the measuring scripts share: interleaved calls, figures with their targets, soak run as users run it.

Each script prints a table of its figures, or with `--json -` one JSON document:

    {"benchmark": name, "arguments": [as given], "ok": every target met,
     "figures": [{"name", "value", "unit", "target", "met"}], "details": {…}}

The exit status is 0 if the script could measure: a missed target is a result, not a failure.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from soak.measurements import Reading
from soak.request import Request
from soak.running.component.observations import Observations
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext
from soak.running.interpreter import find_interpreter
from soak.settings import ComponentPlan, make_plan

ROOT = Path(__file__).resolve().parent.parent
DRIVERS = Path(__file__).resolve().parent / "drivers"
KIB, MIB = 1024.0, 1024.0 * 1024.0


@dataclass(frozen=True)
class Figure:
    """One measured value and its target; without a target, ``target`` is empty and ``met`` is None."""

    name: str
    value: float | int | str | None
    unit: str = ""
    target: str = ""
    met: bool | None = None


def at_most(name: str, value: float | None, unit: str, limit: float) -> Figure:
    """Return a figure that should not exceed ``limit``; a missing value misses the target."""
    return Figure(name, value, unit, f"<= {limit:g}", value is not None and value <= limit)


def at_least(name: str, value: float | None, unit: str, limit: float) -> Figure:
    """Return a figure that should reach ``limit``; a missing value misses the target."""
    return Figure(name, value, unit, f">= {limit:g}", value is not None and value >= limit)


def below(name: str, value: float | None, unit: str, limit: float) -> Figure:
    """Return a figure that should stay below ``limit``; a missing value misses the target."""
    return Figure(name, value, unit, f"< {limit:g}", value is not None and value < limit)


def equal(name: str, value: float | str | None, unit: str, expected: float | str) -> Figure:
    """Return a figure that should be exactly ``expected``."""
    text = expected if isinstance(expected, str) else f"{expected:g}"
    return Figure(name, value, unit, f"= {text}", value == expected)


def shown(name: str, value: float | str | None, unit: str = "") -> Figure:
    """Return a figure without a target."""
    return Figure(name, value, unit)


def take_in_turn(calls: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Call all in turn, ``repeats`` times, so that a slow minute affects all alike; return the results of each."""
    values: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            values[name].append(call())
    return values


def medians(values: dict[str, list[float]]) -> dict[str, float]:
    """Return the median of each list."""
    return {name: statistics.median(several) for name, several in values.items()}


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that has ``--json``; ``description`` is the script's docstring."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - is stdout")
    return parser


def say(text: str) -> None:
    """Print progress on stderr."""
    print(text, file=sys.stderr, flush=True)


def publish(benchmark: str, figures: Sequence[Figure], details: dict[str, Any], json_file: str | None) -> int:
    """Print the table or write the JSON; return the exit status."""
    ok = all(figure.met is not False for figure in figures)
    document = {
        "benchmark": benchmark,
        "arguments": arguments_given(sys.argv[1:]),
        "ok": ok,
        "figures": [asdict(figure) for figure in figures],
        "details": details,
    }
    if json_file == "-":
        print(json.dumps(document, indent=2))
        return 0
    print(table(figures))
    if json_file:
        Path(json_file).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


def arguments_given(arguments: Sequence[str]) -> list[str]:
    """Return a script's arguments without ``--json FILE``."""
    before, after = list(arguments), []
    while before:
        argument = before.pop(0)
        if argument == "--json":
            del before[:1]
        elif not argument.startswith("--json="):
            after.append(argument)
    return after


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a text table, one line per figure."""
    rows = [(figure.name, with_unit(figure), figure.target, verdict(figure)) for figure in figures]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return "\n".join(
        f"{name:<{widths[0]}}  {value:>{widths[1]}}  {target:<{widths[2]}}  {met}".rstrip()
        for name, value, target, met in rows
    )


def with_unit(figure: Figure) -> str:
    """Return a figure's value as text: fractions with four significant digits, whole numbers in full."""
    value = figure.value
    if value is None:
        return "not measured"
    if isinstance(value, float):
        whole = value.is_integer() or abs(value) >= 1e4
        value = f"{value:,.0f}" if whole else f"{value:.4g}"
    elif isinstance(value, int):
        value = f"{value:,}"
    return f"{value} {figure.unit}".rstrip()


def verdict(figure: Figure) -> str:
    """Return ``met`` or ``missed``; an empty text for a figure without a target."""
    return {True: "met", False: "missed", None: ""}[figure.met]


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="measuring-") as folder:
        yield Path(folder)


@dataclass(frozen=True)
class CommandRun:
    """The result of one ``soak run``."""

    exit_status: int
    seconds: float
    report: dict[str, Any]
    """report.json; empty when there is none."""
    stderr: str

    def components(self) -> dict[str, dict[str, Any]]:
        """Return the components of the report by name."""
        return {component["name"]: component for component in self.report.get("components", ())}


def soak_command(*arguments: str) -> list[str]:
    """Return the command line of soak with ``arguments``, under this interpreter."""
    return [sys.executable, "-m", "soak", *arguments]


def soak_run(out: Path, *arguments: str, folder: Path = ROOT) -> CommandRun:
    """Run ``soak run ARGUMENTS`` in the project's folder, or another; its results go to ``out``."""
    started_s = time.perf_counter()
    done = subprocess.run(
        soak_command("run", *arguments, "--out", str(out), "--json", "-"),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - started_s
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = {}
    return CommandRun(done.returncode, seconds, report, done.stderr)


def plan_driver(name: str, **request: Any) -> ComponentPlan:
    """Plan one driver of `benchmarks/drivers`: untracked, no early stop; ``request``: further fields of Request."""
    asked = {"track": False, "early_stop": False, **request}
    return make_plan(Request(targets=(f"drive_{name}.py",), **asked), DRIVERS).components[0]


def supervise(
    plan: ComponentPlan, python: str | None, on_readings: Callable[[list[Reading]], None] = lambda _: None
) -> Observations:
    """Soak one planned component in a measured process of its own, without controls and without a database.

    Raises RuntimeError when the component fails, because then nothing was measured.
    """
    context = RunContext(find_interpreter(python), DRIVERS, threading.Event())
    observed = soak_component(plan, context, on_readings=on_readings)
    if observed.failure is not None:
        raise RuntimeError(f"{plan.name} failed: {observed.failure.detail}\n{observed.output}")
    return observed
