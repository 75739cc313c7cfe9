"""Run soak and its peers, each on one case in a process of its own."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from peers.cases import ROOT, Case
from peers.environments import Environment

INSIDE = Path(__file__).resolve().parent / "inside"
TIMEOUT_S = 240.0
STACKS = 30
"""Frames that pytest-memray prints of a place; with its default of five, native frames hide the Python line."""
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True)
class Answer:
    """A tool's answer to a case, and its cost."""

    verdict: str
    """LEAK, CLEAN, SETTLING or INCONCLUSIVE; FAILED for no answer, with the reason in ``told``."""
    cycles: int | None = None
    seconds: float | None = None
    """From the start of the command to its end."""
    rate: float | None = None
    """Bytes per call, or descriptors if ``unit`` says so."""
    unit: str = "bytes"
    place: str = ""
    """The place that the tool names first, with the stack that it shows."""
    told: str = ""
    peak_bytes: int | None = None
    """Peak resident memory of all its processes together."""
    file_bytes: int | None = None
    seconds_of_loop: float | None = None
    """The part of ``seconds`` in soak's measured loop until the verdict, without controls, second pass and reports."""


@dataclass(frozen=True)
class Finished:
    """A process that ended."""

    output: str
    seconds: float
    peak_bytes: int
    timed_out: bool


def ask_soak(case: Case, environment: Environment, folder: Path) -> Answer:
    """Run ``soak run`` with its defaults; the drivers with this project's settings."""
    report_file = folder / "report.json"
    command = [sys.executable, "-m", "soak", "run", _target(case, folder), "--out", str(folder / "runs")]
    command += ["--json", str(report_file)]
    if case.requires or case.python:
        command += ["--python", str(environment.python)]
    finished = run(command, ROOT if case.function is None else folder, case.environment)
    try:
        report = json.loads(report_file.read_text(encoding="utf-8"))
        component = report["components"][0]
    except (OSError, ValueError, LookupError):
        return _no_answer(finished)
    return read_component(component, finished, _bytes_below(folder / "runs"))


def read_component(component: dict[str, Any], finished: Finished, file_bytes: int) -> Answer:
    """Read soak's answer from a component of report.json."""
    growth = component["growth"] or {}
    rate = growth.get("bytes_per_iteration")
    unit = "bytes"
    if rate is None:
        rate, unit = growth.get("per_iteration"), growth.get("unit", "bytes")
    causes = [cause for cause in component["causes"] if cause["where"] or cause["python_where"]]
    causes.sort(key=lambda cause: not cause["confirmed"])
    return Answer(
        component["verdict"],
        component["iterations_to_verdict"] or component["iterations"],
        finished.seconds,
        rate if component["verdict"] == "LEAK" else None,
        unit,
        _place_of(causes[0]) if causes else "",
        component["why"],
        finished.peak_bytes,
        file_bytes,
        component["seconds_to_verdict"] or component["seconds"],
    )


def ask_psleak(case: Case, environment: Environment, folder: Path) -> Answer:
    """Run one test with ``execute``, in the environment its README recommends."""
    command = [str(environment.python), "-m", "pytest", *_plain_pytest(), "test_psleak.py"]
    return _ask_peer(case, command, folder, {"PYTHONMALLOC": "malloc", "PYTHONUNBUFFERED": "1"})


def ask_memray(case: Case, environment: Environment, folder: Path) -> Answer:
    """Run one test with ``limit_leaks("10 KB")``; its place is the largest location that it prints."""
    bins = folder / "bins"
    command = [str(environment.python), "-m", "pytest", "--memray", "--hide-memray-summary", f"--stacks={STACKS}"]
    command += [f"--memray-bin-path={bins}", *_plain_pytest(), "test_memray.py"]
    answer, finished = _peer(case, command, folder, {})
    if "cycles" not in answer or re.search("^(FAILED|ERROR) ", finished.output, re.MULTILINE):
        return _no_answer(finished)
    leaks = read_memray(finished.output)
    size, place = max(leaks, default=(0.0, ""))
    return Answer(
        "LEAK" if leaks else "CLEAN",
        answer["cycles"],
        finished.seconds,
        size / answer["cycles"] if leaks else None,
        place=place,
        told=f"{len(leaks)} locations",
        peak_bytes=finished.peak_bytes,
        file_bytes=_bytes_below(bins),
    )


def read_memray(output: str) -> list[tuple[float, str]]:
    """Return size in bytes and stack of every leaked location that pytest-memray prints."""
    found: list[tuple[float, str]] = []
    for line in output.splitlines():
        head = re.fullmatch(r" +- ([\d.]+)([KMG]?i?B) allocated here:", line)
        if head:
            found.append((float(head.group(1)) * UNITS[head.group(2)], ""))
        elif found and line.startswith(" " * 8):
            found[-1] = (found[-1][0], f"{found[-1][1]}{line.strip()}\n")
        elif line.startswith("=") and found:
            break
    return found


def ask_tracemalloc(case: Case, environment: Environment, folder: Path) -> Answer:
    """Compare two snapshots."""
    return _ask_peer(case, [str(environment.python), "run_tracemalloc.py"], folder, {})


ASK: dict[str, Callable[[Case, Environment, Path], Answer]] = {
    "soak": ask_soak,
    "psleak": ask_psleak,
    "pytest-memray": ask_memray,
    "tracemalloc": ask_tracemalloc,
}


def run(command: list[str], folder: Path, environment: dict[str, str]) -> Finished:
    """Run a command to its end, or to TIMEOUT_S; watch the memory of all its processes together."""
    started_s = time.perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200", **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        watch = _MemoryWatch(process.pid)
        try:
            process.wait(TIMEOUT_S)
            timed_out = False
        except subprocess.TimeoutExpired:
            timed_out = True
            process.terminate()
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        seconds = time.perf_counter() - started_s
        peak_bytes = watch.stop()
        output.seek(0)
        return Finished(output.read(), seconds, peak_bytes, timed_out)


class _MemoryWatch:
    """Reads resident memory of a process and its descendants, twenty times a second."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._peak_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> int:
        self._ended.set()
        self._thread.join()
        return self._peak_bytes

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            try:
                family = [self._process, *self._process.children(recursive=True)]
            except psutil.Error:
                continue
            self._peak_bytes = max(self._peak_bytes, sum(_resident(process) for process in family))


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _target(case: Case, folder: Path) -> str:
    """Copy a case to a name that does not show where it leaks; a driver keeps its name."""
    if case.function is None:
        return str(case.file)
    copy = folder / "case.py"
    copy.write_bytes(case.file.read_bytes())
    for source in case.file.parent.glob("*.c"):
        (folder / source.name).write_bytes(source.read_bytes())
    return f"{copy}:{case.function}"


def _ask_peer(case: Case, command: list[str], folder: Path, environment: dict[str, str]) -> Answer:
    answer, finished = _peer(case, command, folder, environment)
    if "verdict" not in answer:
        return _no_answer(finished)
    return Answer(
        answer["verdict"].upper(),
        answer["cycles"],
        finished.seconds,
        answer["rate"],
        place=_with_function(answer["place"]),
        told=answer["told"],
        peak_bytes=finished.peak_bytes,
        file_bytes=0,
    )


def _peer(case: Case, command: list[str], folder: Path, environment: dict[str, str]) -> tuple[dict[str, Any], Finished]:
    answer_file = folder / "answer.json"
    variables = {
        "SUSPECT": _target(case, folder),
        "ANSWER": str(answer_file),
        **({"PYTHONPATH": str(ROOT)} if case.function is None else {}),
        **case.environment,
        **environment,
    }
    finished = run(command, INSIDE, variables)
    try:
        return json.loads(answer_file.read_text(encoding="utf-8")), finished
    except (OSError, ValueError):
        return {}, finished


def _plain_pytest() -> list[str]:
    """Keep this project's pytest settings out of the peers' tests."""
    return ["-c", os.devnull, f"--rootdir={INSIDE}", "-p", "no:cacheprovider"]


def _no_answer(finished: Finished) -> Answer:
    if finished.timed_out:
        told = f"no answer within {TIMEOUT_S:.0f} s"
    else:
        lines = [line.strip() for line in finished.output.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("E  ") or "Error" in line]
        told = (errors or lines or ["no output"])[-1][:200]
    return Answer("FAILED", None, finished.seconds, told=told, peak_bytes=finished.peak_bytes)


def _place_of(cause: dict[str, Any]) -> str:
    places = [place for place in (cause["where"], cause["python_where"]) if place]
    lines = [" ".join(str(value) for value in place.values() if value is not None) for place in places]
    return "\n".join([*lines, *cause["stack"], *cause["held_by"], cause["type"] or ""])


def _with_function(place: str) -> str:
    """Add to ``file:line: text`` the name of the function that contains the line, which a reader would see at once."""
    match = re.match(r"(.+?):(\d+):", place)
    if match is None:
        return place
    try:
        tree = ast.parse(Path(match.group(1)).read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return place
    line = int(match.group(2))
    names = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return f"{place} in {names[-1]}" if names else place


def _bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
