"""Runs `soak profile` on code written for a test, and reads what it left."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path

from soak.profiles import ComponentProfile, FunctionTime, ProfileRun, Statistics, Totals
from soak.progress import Progress
from soak.request import Request
from soak.running.profile.profiling import ProfilingPlan, run_profiling
from soak.settings import make_plan
from soak.store.profile_files import load_profile

VERSIONS = ("3.8", "3.11", "3.12", "3.13")


class Nobody:
    """Ignores all progress."""

    def begin(self, component: str, position: int, total: int) -> None:
        """Ignore it."""

    def update(self, component: str, progress: Progress) -> None:
        """Ignore it."""


def profile(
    *targets: str,
    out: Path,
    iterations: int | None = 20,
    duration_s: float | None = None,
    function: str | None = None,
    python: str | None = None,
    interval_s: float | None = None,
    warm_up_s: float = 0.0,
) -> ProfileRun:
    request = Request(
        targets=targets,
        iterations=iterations,
        duration_s=duration_s,
        interval_s=interval_s,
        python=python,
        out=out,
    )
    plan = ProfilingPlan(make_plan(request, Path.cwd()), function, warm_up_s)
    return run_profiling(plan, {"command": "soak profile"}, Nobody(), threading.Event())


def only(run: ProfileRun) -> ComponentProfile:
    (component,) = run.components
    return component


def statistics(run: ProfileRun, name: str) -> Statistics:
    return load_profile(Path(run.folder, f"{name}.prof"))


def calls(profile: Statistics) -> dict[str, int]:
    """Map each function's name to how often it was called."""
    return {key[2]: entry[1] for key, entry in profile.items()}


def interpreter(version: str) -> str | None:
    """Return an interpreter of this version: installed by pyenv, or on the path."""
    installed = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
    return str(installed[-1]) if installed else shutil.which(f"python{version}")


def a_profile_run(**changes: object) -> ProfileRun:
    """Give a run that profiled one component; ``changes`` replace its fields."""
    totals = Totals(
        calls=30,
        primitive_calls=30,
        own_s=0.5,
        top=(
            FunctionTime("~", 0, "<built-in method zlib.crc32>", 10, 0.375, 0.375),
            FunctionTime("/place/decoder.py", 7, "decode", 10, 0.125, 0.5),
        ),
    )
    component = ComponentProfile(
        name="decoder",
        target="drive_decoder.py",
        file="decoder.prof",
        cycles=10,
        warm_up_cycles=3,
        cycle_s=0.04,
        profiled_cycle_s=0.05,
        slowdown=1.25,
        pairs=8,
        coverage="The cycle's own thread is covered; it started no other.",
        totals=totals,
    )
    run = ProfileRun(
        schema=1,
        run="2026-01-02T03-04-05",
        folder="reports/2026-01-02T03-04-05",
        started="2026-01-02T03:04:05+00:00",
        finished="2026-01-02T03:04:09+00:00",
        soak="0.1.0",
        environment={"python": "CPython 3.11.4"},
        settings={"command": "soak profile"},
        function=None,
        merged=totals,
        components=(component,),
    )
    return replace(run, **changes)  # type: ignore[arg-type]
