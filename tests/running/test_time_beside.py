"""What a component takes beside its cycles: bounded by its budget, and shown while it lasts."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from running_builder import a_plan, context

from soak.measurements import Reading
from soak.running.child.child import ScriptedChild
from soak.running.clock import ScriptedClock
from soak.running.component.observations import ComponentProgress
from soak.running.component.second_pass import cycles_s_of_second_pass
from soak.running.component.stopping import BUDGET, StopRules
from soak.running.component.supervisor import Supervisor

NEVER = None


def supervise(clock: ScriptedClock, child: ScriptedChild, folder: Path, **more: Any) -> list[ComponentProgress]:
    """Supervise a child to its end; return the progress that was shown."""
    shown: list[ComponentProgress] = []
    plan = replace(a_plan(), checkpoint_every=None)
    Supervisor(child, clock, plan, context(folder), on_progress=shown.append, audits=False, **more).run()
    return shown


@pytest.mark.parametrize(
    ("elapsed_s", "looked_at_s", "reason"),
    [(19.9, 0.0, ""), (20.0, 0.0, BUDGET), (19.9, 10.0, ""), (19.9, 10.2, BUDGET), (2.0, 28.0, BUDGET)],
)
def test_looks_at_a_large_memory_take_no_more_than_half_of_the_budget(elapsed_s, looked_at_s, reason):
    """They are no part of it, but a process of many blocks must not make two minutes of twenty seconds."""
    rules = StopRules(replace(a_plan(), budget_s=20.0, iterations=None), threading.Event())

    assert rules.reason(elapsed_s, {}, {}, None, looked_at_s=looked_at_s) == reason


def test_without_a_budget_in_time_they_take_what_they_take():
    rules = StopRules(replace(a_plan(), budget_s=None), threading.Event())

    assert rules.reason(5.0, {}, {}, None, looked_at_s=500.0) == ""


@pytest.mark.parametrize(
    ("budget_s", "cycle_s", "expected"),
    [
        (60.0, 0.001, 6.0),
        (20.0, 0.001, 5.0),
        (1.2, 0.001, 2.0),
        (None, 0.001, 6.0),
        (60.0, 1.4, 6.0),
        (60.0, 1.6, 0.0),
        (20.0, 1.4, 0.0),
        (None, 30.0, 0.0),
    ],
)
def test_the_second_pass_takes_a_quarter_of_the_budget_or_is_left_out(budget_s, cycle_s, expected):
    """Where fewer than four cycles fit into that, it would show nothing."""
    first: Any = SimpleNamespace(iterations=100, seconds=100 * cycle_s)

    assert cycles_s_of_second_pass(replace(a_plan(), budget_s=budget_s), first) == expected


@pytest.mark.parametrize(("longest_s", "ends_after_s"), [(5.0, 5.0), (math.inf, 60.0)])
def test_a_pass_that_takes_longer_than_it_may_is_ended(tmp_path: Path, longest_s: float, ends_after_s: float):
    """Long before its cycle counts as hung, which takes a minute."""
    clock = ScriptedClock()
    child = ScriptedChild(clock, [Reading(0, 0.0), Reading(1, 0.5)], exit_status=NEVER)
    begun_s = clock.now_s()

    supervise(clock, child, tmp_path, longest_s=longest_s)

    assert child.was_aborted
    assert clock.now_s() - begun_s == pytest.approx(ends_after_s, abs=1)


def test_what_follows_the_cycles_is_shown(tmp_path: Path):
    """The line on the screen does not stand still with the verdict in it."""
    clock = ScriptedClock()

    shown = supervise(clock, ScriptedChild(clock, [Reading(n, 0.125 * n) for n in range(20)]), tmp_path)

    assert "finding what holds the blocks" in [progress.note for progress in shown]
