"""Why and when a component is stopped: which reason comes first, what counts as a hang, and what ends in no failure."""

from __future__ import annotations

import itertools
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from running_builder import a_plan

from soak.inside.ring import PHASE_CYCLES, PHASE_SETUP, PHASE_TEARDOWN
from soak.results import Failure
from soak.running.child.child import ScriptedChild
from soak.running.clock import ScriptedClock
from soak.running.component.stopping import (
    Liveness,
    Patience,
    StopRules,
    guard_of,
    how_it_ended,
    is_in_a_hurry,
    stopped_by_guard,
)
from soak.verdict import Verdict

REASONS = ("signal", "guard:fds", "budget", "verdict")
"""In the order in which they count."""
FAILED = Failure("cycle", 7, "exception", "ValueError: seven")
TIMEOUT_S = 10.0


def a_decision(verdict: Verdict = Verdict.LEAK, *, is_final: bool = True) -> Any:
    return SimpleNamespace(verdict=verdict, is_final=is_final)


def reason(*holding: str, is_scanning: bool = False, decision: Any = None, **plan: Any) -> str:
    """Return why to stop where all of these hold at once."""
    stopping = threading.Event()
    if "signal" in holding:
        stopping.set()
    rules = StopRules(a_plan(**{"budget_s": 60.0, "early_stop": True, "full_budget": False} | plan), stopping)
    return rules.reason(
        60.0 if "budget" in holding else 59.9,
        {"fds": 800.0 if "guard:fds" in holding else 799.0},
        {"fds": 1000.0},
        decision or (a_decision() if "verdict" in holding else None),
        is_scanning=is_scanning,
    )


def test_nothing_to_stop_for():
    assert reason() == ""


@pytest.mark.parametrize("alone", REASONS)
def test_each_reason_stops_by_itself(alone: str):
    assert reason(alone) == alone


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(REASONS, 2)))
def test_of_two_reasons_the_first_counts(first: str, second: str):
    assert reason(second, first) == first


@pytest.mark.parametrize(
    ("decision", "plan", "stops"),
    [
        (a_decision(Verdict.LEAK), {}, True),
        (a_decision(Verdict.CLEAN), {}, True),
        (a_decision(Verdict.LEAK, is_final=False), {}, False),
        (a_decision(Verdict.INCONCLUSIVE, is_final=False), {}, False),
        (a_decision(Verdict.LEAK), {"early_stop": False}, False),
        (a_decision(Verdict.LEAK), {"full_budget": True}, True),
        # Whoever names a budget wants to know whether a leak begins within it.
        (a_decision(Verdict.CLEAN), {"full_budget": True}, False),
    ],
)
def test_a_verdict_stops_when_it_stands(decision: Any, plan: dict[str, Any], stops: bool):
    assert reason(decision=decision, **plan) == ("verdict" if stops else "")


def test_a_scan_that_is_about_to_come_is_waited_for():
    """But nothing else is."""
    assert reason("verdict", is_scanning=True) == ""
    assert reason("budget", "verdict", is_scanning=True) == "budget"


def test_without_a_budget_in_time_none_is_used_up():
    assert reason("budget", budget_s=None) == ""


def test_guards_and_signals_are_in_a_hurry():
    assert [is_in_a_hurry(why) for why in ("signal", "guard:rss", "budget", "verdict", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_guard_is_named_by_its_signal():
    assert guard_of(stopped_by_guard("threads")) == "threads"
    assert guard_of("budget") is None


@pytest.mark.parametrize(
    ("stopped_by", "failure", "exhausted", "ended"),
    [
        ("", None, None, ("budget", None)),
        ("budget", None, None, ("budget", None)),
        ("verdict", None, None, ("verdict", None)),
        ("", FAILED, None, ("failure", FAILED)),
        ("verdict", FAILED, None, ("failure", FAILED)),
        # What was asked to stop for a limit, or ran into it, has leaked: its crash is no fault of the driver.
        ("guard:fds", FAILED, None, ("guard:fds", None)),
        ("", FAILED, "threads", ("guard:threads", None)),
        ("", None, "threads", ("guard:threads", None)),
        ("verdict", FAILED, "threads", ("guard:threads", None)),
        ("signal", FAILED, "threads", ("failure", FAILED)),
    ],
)
def test_how_a_component_ended(
    stopped_by: str, failure: Failure | None, exhausted: str | None, ended: tuple[str, Failure | None]
):
    assert how_it_ended(stopped_by, failure, exhausted) == ended


# --- hangs ----------------------------------------------------------------------------------------------------------


class Still(ScriptedChild):
    """Does nothing by itself."""

    is_held = False

    def is_stopped(self) -> bool:
        return self.is_held


@pytest.fixture
def child() -> Still:
    return Still(ScriptedClock(), [])


def hangs_after(child: Still, liveness: Liveness, since_s: float = 0.0) -> float | None:
    """Return after how many seconds, to a tenth, a child is said to hang that does nothing from now on."""
    for tenth in range(600):
        if liveness.is_hung(child, since_s + tenth / 10):
            return tenth / 10
    return None


@pytest.mark.parametrize("phase", [PHASE_SETUP, PHASE_TEARDOWN])
def test_a_phase_that_does_not_end_has_hung(child: Still, phase: int):
    child.ring.enter(phase)

    assert hangs_after(child, Liveness(TIMEOUT_S)) == pytest.approx(TIMEOUT_S + 0.1)


def test_a_cycle_that_does_not_end_has_hung(child: Still):
    child.ring.begin_loop(1.0)
    child.ring.set_cycles(6, is_in_cycle=True)

    assert hangs_after(child, Liveness(TIMEOUT_S)) == pytest.approx(TIMEOUT_S + 0.1)


def test_each_cycle_has_its_time(child: Still):
    """A slow component is none that hangs."""
    liveness = Liveness(TIMEOUT_S)
    child.ring.begin_loop(1.0)

    for cycle in range(20):
        child.ring.set_cycles(cycle, is_in_cycle=True)
        assert not liveness.is_hung(child, cycle * 0.9 * TIMEOUT_S)


def test_a_pause_between_two_cycles_is_no_hang(child: Still):
    """An interval may be longer than the timeout of a cycle."""
    child.ring.begin_loop(1.0)
    child.ring.set_cycles(6, is_in_cycle=False)

    assert hangs_after(child, Liveness(TIMEOUT_S)) is None


def test_a_child_that_is_held_still_between_two_cycles_has_hung(child: Still):
    """By SIGSTOP it never comes to its next cycle."""
    child.ring.begin_loop(1.0)
    child.ring.set_cycles(6, is_in_cycle=False)
    child.is_held = True

    assert hangs_after(child, Liveness(TIMEOUT_S)) == pytest.approx(TIMEOUT_S + 0.1)


def test_a_child_that_was_told_to_stop_has_nothing_to_wait_for(child: Still):
    child.ring.begin_loop(1.0)
    child.ring.set_cycles(6, is_in_cycle=False)
    child.ring.ask_to_stop()

    assert hangs_after(child, Liveness(TIMEOUT_S)) == pytest.approx(TIMEOUT_S + 0.1)


def test_what_a_child_is_asked_after_its_last_cycle_has_more_time(child: Still):
    """However short its cycles, and their timeout, may be."""
    child.ring.begin_loop(1.0)
    child.ring.set_cycles(6, is_in_cycle=False)
    child.ring.end_loop(2.0)
    child.ring.ask_to_stop()
    assert child.ring.phase == PHASE_CYCLES

    hung_after_s = hangs_after(child, Liveness(0.2))

    assert hung_after_s is not None
    assert 5.0 < hung_after_s < 5.5


def test_a_guard_has_a_cycles_time_to_be_obeyed():
    patience = Patience(TIMEOUT_S)

    assert not patience.is_over("budget", 0.0)
    assert not patience.is_over("guard:rss", 50.0)
    assert not patience.is_over("guard:rss", 50.0 + TIMEOUT_S)
    assert patience.is_over("guard:rss", 50.1 + TIMEOUT_S)


def test_nothing_but_a_guard_needs_patience():
    """A verdict or a signal that is not obeyed shows as a hang."""
    patience = Patience(TIMEOUT_S)

    assert not any(patience.is_over(why, now_s) for why in ("", "signal", "budget", "verdict") for now_s in (0.0, 1e6))
