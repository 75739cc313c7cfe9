"""The code that the measuring scripts share, without measuring: figures, tables, the page, and each script's help."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the scripts on the path, as when they are run."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def component(name: str, verdict: str = "CLEAN", **fields: Any) -> dict[str, Any]:
    """Return a component as in report.json, with what the scripts read."""
    return {
        "name": name,
        "verdict": verdict,
        "decided_by": None,
        "growth": None,
        "signals": {},
        "seconds_to_verdict": 1.0,
        **fields,
    }


def test_a_figure_says_whether_its_target_is_met():
    import measuring

    assert measuring.at_most("a", 3.0, "µs", 3.0).met is True
    assert measuring.below("a", 3.0, "s", 3.0).met is False
    assert measuring.equal("a", 0, "", 0).met is True
    assert measuring.shown("a", 3.0).met is None


def test_what_could_not_be_measured_misses_its_target():
    import measuring

    assert measuring.at_most("a", None, "s", 3.0).met is False
    assert measuring.below("a", None, "s", 3.0).met is False


def test_calls_are_taken_in_turn():
    import measuring

    order: list[str] = []
    values = measuring.take_in_turn(
        {"a": lambda: order.append("a") or 1.0, "b": lambda: order.append("b") or 2.0},  # type: ignore[func-returns-value]
        3,
    )

    assert order == ["a", "b"] * 3
    assert measuring.medians(values) == {"a": 1.0, "b": 2.0}


def test_the_table_has_value_target_and_verdict_side_by_side():
    import measuring

    lines = measuring.table([measuring.at_most("growth", 1.25, "MiB", 1.0), measuring.shown("cycles", 20000)])

    assert lines.splitlines() == ["growth  1.25 MiB  <= 1  missed", "cycles    20,000"]


def test_a_missed_target_is_published_and_no_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    import measuring

    monkeypatch.setattr(sys, "argv", ["script", "--json", "-", "--runs", "3"])
    status = measuring.publish("name", [measuring.at_most("growth", 2.0, "MiB", 1.0)], {"n": 1}, "-")

    assert status == 0
    assert json.loads(capsys.readouterr().out) == {
        "benchmark": "name",
        "arguments": ["--runs", "3"],
        "ok": False,
        "figures": [{"name": "growth", "value": 2.0, "unit": "MiB", "target": "<= 1", "met": False}],
        "details": {"n": 1},
    }


def test_the_ring_is_found_among_the_mappings():
    import child_cost

    smaps = (
        "10000-20000 rw-p 00000000 00:00 0 \nRss:  8 kB\n"
        "7f0000000000-7f0000026000 rw-s 00000000 00:19 7  /memfd:soak-ring (deleted)\nSize: 152 kB\nRss: 148 kB\n"
    )

    assert child_cost.find_ring(smaps) == (152, 148)
    assert child_cost.find_ring(smaps.replace("ring", "other")) is None


def test_steadiness_compares_with_the_first_reading():
    import child_cost

    from soak.measurements import Reading

    steadiness = child_cost.Steadiness()
    steadiness.take([Reading(0, 0.0, {"heap": 100.0}), Reading(1, 0.1, {"heap": 60.0})])
    steadiness.take([Reading(2, 0.2, {"heap": 100.0})])

    assert child_cost.change_of(steadiness, "heap") == 0.0
    assert (steadiness.farthest, steadiness.changed_at) == ({"heap": -40.0}, {"heap": 1})
    assert child_cost.change_of(steadiness, "rss") is None


def test_a_pace_that_adds_to_each_sleep_drifts():
    """A kept grid has no drift, however late single starts are."""
    import pacing

    kept = 0.1 * np.arange(600) + np.where(np.arange(600) % 50 == 7, 0.004, 0.0)
    figures = {figure.name: figure for figure in pacing.judge_starts(kept, 0.1)}
    assert figures["drift"].met is True
    assert figures["mean period off by"].met is True
    assert figures["worst lateness of a start"].value == pytest.approx(4.0)

    drifting = {figure.name: figure for figure in pacing.judge_starts(0.1002 * np.arange(600), 0.1)}
    assert drifting["drift"].met is False
    assert drifting["mean period off by"].met is False


def test_a_planted_leak_must_be_found_where_it_is_and_nowhere_else():
    import injections
    import measuring

    planted = injections.PLANTED[0]
    found = component(
        "decoder",
        "LEAK",
        decided_by="counter:heap",
        growth={"allocated_bytes_per_iteration": 128.1},
        signals={"heap": {"low": 127.5, "high": 128.5}},
    )

    right = measuring.CommandRun(1, 60.0, {"components": [found, component("get")]}, "")
    assert all(figure.met is not False for figure in injections.judge_run(right, (planted,)))

    wrong = measuring.CommandRun(1, 60.0, {"components": [found, component("get", "LEAK")]}, "")
    missed = [figure for figure in injections.judge_run(wrong, (planted,)) if figure.met is False]
    assert [(figure.name, figure.value) for figure in missed] == [("native: others flagged", "get")]


def test_components_that_do_not_gate_may_be_what_they_are():
    import repeat_soak

    report = {"components": [component("a"), component("b", "SETTLING"), component("c", "LEAK", gate=False)]}

    assert repeat_soak.not_clean(report) == {"b": "SETTLING"}


def test_the_watched_stretch_is_the_longest_with_the_same_children():
    import sizes_and_starts

    samples = [(0.0, "", 1), (1.0, "7", 2), (2.0, "8", 3), (3.0, "8", 4), (4.0, "8", 5), (5.0, "", 6)]

    assert sizes_and_starts.longest_watch(samples) == [(3.0, 4)]
    assert sizes_and_starts.longest_watch([]) == []


def test_the_page_names_missed_targets_first():
    import all as everything
    import measuring

    outcomes = [
        everything.Outcome(
            "pacing", "How well", "python benchmarks/pacing.py", 61.0, [measuring.at_most("drift", 2.0, "%", 1.0)]
        ),
        everything.Outcome("broken", "What", "python benchmarks/broken.py", 1.0, [], "no compiler"),
    ]

    page = everything.render(outcomes, date(2026, 1, 2))

    assert "0 of 1 targets met." in page
    assert page.index("- drift: 2 %, target <= 1") < page.index("## How well")
    assert "| drift | 2 % | <= 1 | missed |" in page
    assert "Not measured: no compiler" in page


def test_the_figures_of_scripts_with_documents_of_their_own_are_read():
    import all as everything

    ratios = everything.read_decode_speed(
        {
            "jpeg": [{"format": "JPEG", "ratio": 1.1, "target": 1.05}],
            "raw": [{"format": "GRAY8", "ratio": 1, "target": 2}],
        }
    )
    assert [figure.met for figure in ratios] == [False, True]

    tracker = everything.read_tracker_overhead(
        {"targets": {"churn": 1.1}, "cpu_ratio_to_plain": {"churn": {"soak": {"median": 1.05}, "plain": {}}}}
    )
    assert [(figure.value, figure.met) for figure in tracker] == [(1.05, True)]

    gates = everything.read_calibrate({"failures": {"ramp": ["power"]}, "families": [1, 2], "seconds_per_look": 0.001})
    assert [figure.value for figure in gates] == [2, 1, "power", 1.0]


SHARED_MODULES = (
    "measuring",
    "calibrate_counts",
    "calibrate_keepers",
    "calibrate_memory",
    "calibrate_services",
    "loopback_htcondor",
    "loopback_slurm",
    "serving",
)


HELP_OF_ALL = """
import os, runpy, sys
import numpy, soak.settings, soak.running.component.supervisor
for script in sys.argv[1:]:
    print("\\0" + script, flush=True)
    child = os.fork()
    if not child:
        sys.argv[:], sys.path[0] = [script, "--help"], os.path.dirname(script)
        runpy.run_path(script, run_name="__main__")
        os._exit(1)
    print("\\0", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Runs each script in a fork of one process, which has imported what most of them import."""


@pytest.mark.long
def test_every_script_has_help():
    scripts = sorted(path for path in BENCHMARKS.glob("*.py") if path.stem not in SHARED_MODULES)

    answer = subprocess.run(
        [sys.executable, "-c", HELP_OF_ALL, *scripts], cwd=ROOT, capture_output=True, text=True, check=True
    )

    said = [part.partition("\n") for part in answer.stdout.split("\0")[1:]]
    helped = {Path(script).name: text for (script, _, text) in said[::2]}
    assert {script: code.strip() for (script, _, _), (code, _, _) in zip(said[::2], said[1::2], strict=True)} == {
        str(script): "0" for script in scripts
    }, answer.stderr
    assert {name for name, text in helped.items() if "--json" not in text} <= {"all.py", "torture.py"}
