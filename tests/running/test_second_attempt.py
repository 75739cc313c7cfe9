"""A verdict that ended a check and did not stand at its end: the check is made once more, without an early end."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from soak.results import ComponentResult
from soak.running.check import started
from soak.running.component.result import never_began
from soak.running.component.stopping import VERDICT
from soak.settings import ComponentPlan
from soak.targets import Target
from soak.verdict import Verdict


def check(monkeypatch: pytest.MonkeyPatch, *attempts: tuple[Verdict, str]) -> tuple[ComponentResult, list[bool]]:
    """Check with these verdicts and reasons to stop, one an attempt; return the result and who may end early."""
    may_end_early: list[bool] = []
    left = list(attempts)

    def soak_component(plan: ComponentPlan, *_: Any, **__: Any) -> Any:
        may_end_early.append(plan.early_stop)
        verdict, stopped_by = left.pop(0)
        decision = SimpleNamespace(verdict=verdict, decided_by=None)
        return SimpleNamespace(
            decision=decision, stopped_by=stopped_by, failure=None, is_extended=False, loop_ended_s=None
        )

    def make_result(plan: ComponentPlan, observed: Any, *_: Any) -> ComponentResult:
        return replace(never_began(plan, "scripted", ""), verdict=observed.decision.verdict, messages=())

    monkeypatch.setattr(started, "soak_component", soak_component)
    monkeypatch.setattr(started, "make_result", make_result)
    monkeypatch.setattr(started, "_trace", lambda *_: None)
    monkeypatch.setattr(started, "seconds_since", lambda _: 0.0)
    plan = ComponentPlan(target=Target("decoder", "driver", path="drive_decoder.py", given="decoder"))
    context: Any = SimpleNamespace(interpreter=None)
    process: Any = None
    return started.soak_started(plan, context, process), may_end_early


def test_a_verdict_that_did_not_stand_is_looked_for_once_more(monkeypatch: pytest.MonkeyPatch):
    attempts = (Verdict.INCONCLUSIVE, VERDICT), (Verdict.LEAK, "iterations")

    result, may_end_early = check(monkeypatch, *attempts)

    assert result.verdict is Verdict.LEAK
    assert may_end_early == [True, False]
    assert result.messages == (
        "The verdict that ended the first attempt did not hold; this is a second attempt, without an early end.",
    )


@pytest.mark.parametrize(
    "attempt", [(Verdict.LEAK, VERDICT), (Verdict.CLEAN, VERDICT), (Verdict.INCONCLUSIVE, "iterations")]
)
def test_what_stands_or_ran_to_its_end_is_not_measured_again(
    monkeypatch: pytest.MonkeyPatch, attempt: tuple[Verdict, str]
):
    result, may_end_early = check(monkeypatch, attempt)

    assert (result.verdict, may_end_early, result.messages) == (attempt[0], [True], ())
