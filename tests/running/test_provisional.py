"""A long run says what grows before its own rule can decide, and tells the user's command so."""

from __future__ import annotations

import dataclasses
import functools
import io
import threading
from pathlib import Path

import pytest
from rich.console import Console
from running_builder import a_plan
from supervisor_builder import HOUR_S, ScriptedLedger, Supervised, a_course, supervise

from soak.reporting import words as say
from soak.reporting.formats.terminal import ProgressDisplay
from soak.results import ComponentResult
from soak.running.clock import ScriptedClock
from soak.running.component.observations import ComponentProgress
from soak.running.component.result import make_result
from soak.running.interpreter import Interpreter
from soak.running.run.notices import Notices
from soak.verdict import Verdict


@functools.cache
def a_night(bytes_per_cycle: int, *, longest_s: float = 60.0) -> Supervised:
    """Begin a night at 100 ms a cycle and stop it after so many seconds."""

    def stop(seen: ComponentProgress, clock: ScriptedClock, stopping: threading.Event) -> None:
        if seen.elapsed_s >= longest_s:
            stopping.set()

    return supervise(
        a_course(1_000, cycle_s=0.1, every=2),
        on_progress=stop,
        ledger=ScriptedLedger(bytes_per_cycle=bytes_per_cycle),
        early_stop=False,
        interval_s=0.1,
        budget_s=12 * HOUR_S,
    )


@functools.cache
def results(bytes_per_cycle: int) -> list[ComponentResult]:
    seen = a_night(bytes_per_cycle).so_far
    return [make_result(a_plan(), one, None, Interpreter("python", (3, 11, 0))) for one in seen]


def test_106_bytes_at_100_ms_are_told_of_within_a_minute():
    found = next(result for result in results(106) if result.provisional is not None)

    assert 40 <= found.seconds <= 60
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.provisional is not None
    assert found.provisional.per_iteration == pytest.approx(106)
    sentence = say.provisional_sentence(found) or ""
    assert "has grown since" in sentence
    assert "106 B per call" in sentence
    assert "The run goes on to confirm it. A cache that takes more than about 240 calls to fill would look" in sentence


def test_what_does_not_grow_is_not_told_of():
    found = results(0)

    assert found
    assert all(result.provisional is None for result in found)


def a_result(**changes: object) -> ComponentResult:
    found = next(result for result in results(106) if result.provisional is not None)
    return dataclasses.replace(found, **changes)  # type: ignore[arg-type]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Record the user's commands instead of running them."""
    commands: list[list[str]] = []
    monkeypatch.setattr("subprocess.Popen", lambda command, **_: commands.append(command))
    return commands


@pytest.mark.parametrize(
    ("verdict", "kinds"),
    [(Verdict.LEAK, ["provisional", "confirmed"]), (Verdict.CLEAN, ["provisional", "withdrawn"])],
)
def test_the_command_is_run_once_for_each_kind(told: list[list[str]], verdict: Verdict, kinds: list[str]):
    notices = Notices("mail -s soak", Path("reports/night"))
    at_work = a_result()

    for _ in range(3):
        notices.so_far(at_work)
    notices.done(dataclasses.replace(at_work, verdict=verdict, provisional=None))
    notices.done(dataclasses.replace(at_work, name="other", verdict=Verdict.CLEAN, provisional=None))

    assert told == [["mail", "-s", "soak", "reports/night", kind] for kind in kinds]


def test_what_slows_down_is_withdrawn_while_the_run_goes_on(told: list[list[str]]):
    notices = Notices("tell", Path("night"))

    notices.so_far(a_result())
    notices.so_far(a_result(provisional=None))

    assert [kind for *_, kind in told] == ["provisional", "withdrawn"]


def test_nothing_is_withdrawn_while_another_component_grows(told: list[list[str]]):
    """Who is woken at three has a reason for as long as one of them stands."""
    notices = Notices("tell", Path("night"))

    for name in "ab":
        notices.so_far(a_result(name=name))
    notices.so_far(a_result(name="a", provisional=None))
    assert [kind for *_, kind in told] == ["provisional"]
    notices.done(a_result(name="b", provisional=None, verdict=Verdict.CLEAN))
    assert [kind for *_, kind in told] == ["provisional", "withdrawn"]
    notices.so_far(a_result(name="c"))
    notices.done(a_result(name="c", verdict=Verdict.LEAK))
    notices.done(a_result(name="d", verdict=Verdict.LEAK))

    assert [kind for *_, kind in told] == ["provisional", "withdrawn", "provisional", "confirmed"]


def test_the_command_finds_the_component_in_its_environment(monkeypatch: pytest.MonkeyPatch):
    given: list[str] = []
    monkeypatch.setattr("subprocess.Popen", lambda _, env, **__: given.append(env["SOAK_COMPONENT"]))

    Notices("tell", Path("night")).done(a_result(name="decoder", verdict=Verdict.LEAK))

    assert given == ["decoder"]


def test_what_is_interrupted_before_it_is_decided_is_not_withdrawn(told: list[list[str]]):
    notices = Notices("tell", Path("night"))

    notices.so_far(a_result())
    notices.done(a_result(stopped_by="signal"))

    assert [kind for *_, kind in told] == ["provisional"]


def test_a_night_that_is_interrupted_keeps_what_was_provisional():
    found = make_result(a_plan(), a_night(106).observed, None, Interpreter("python", (3, 11, 0)))

    assert found.stopped_by == "signal"
    assert "The run ended before it could confirm it." in (say.provisional_sentence(found) or "")


def test_a_component_whose_gate_is_off_is_not_told_of(told: list[list[str]]):
    Notices("tell", Path("night")).so_far(a_result(gate=False))

    assert told == []


def test_the_terminal_says_it_once_in_a_line_that_stays():
    out = io.StringIO()
    display = ProgressDisplay(Console(file=out, width=200))

    display.so_far(a_result())
    display.so_far(a_result())

    assert out.getvalue().count("Provisional: ") == 1
