"""When audits are made: a few, at checkpoints, never while a cycle runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from soak.attribution.audit import Breakdown
from soak.results import AuditPart, Place, RssAudit
from soak.running.child.child import ScriptedChild
from soak.running.clock import ScriptedClock
from soak.running.component.reading import auditing
from soak.running.component.reading.auditing import Auditor

BUDGET_S = 0.5


class Clock(ScriptedClock):
    """Each audit takes as long as it is told to."""

    audit_s = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()

    def divide(_auditor: Auditor, _memory: object, cycle: int, *_: object) -> Breakdown:
        clock.advance(clock.audit_s)
        return Breakdown(cycle, cycle * 1000, {})

    monkeypatch.setattr(auditing, "ProcessMemory", lambda pid: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(Auditor, "_divide", divide)
    return clock


@dataclass
class Audited:
    """An auditor of a child that goes on, or not, while it is audited."""

    clock: Clock
    goes_on: bool = False

    def __post_init__(self) -> None:
        self.child = ScriptedChild(self.clock, [])
        self.auditor = Auditor(self.child, self.clock, self.clock.now_s)

    def run(self, cycles: int, cycle_s: float) -> list[int]:
        """Run so many cycles with a checkpoint after each, and return those that were audited."""
        found = []
        for cycle in range(1, cycles + 1):
            self.clock.advance(cycle_s)
            self.child.ring.set_cycles(cycle, is_in_cycle=self.goes_on)
            if self.auditor.is_due(cycle, is_last=cycle == cycles):
                self.auditor.audit(cycle, None, 0)
                found.append(cycle)
        return found


def test_a_short_run_has_a_few_and_the_last_cycle_is_among_them(clock: Clock):
    """The distance doubles each time, while audits are cheap."""
    clock.audit_s = 0.002

    assert Audited(clock).run(200, 1e-3) == [8, 22, 44, 88, 176, 200]


def test_a_run_of_fast_cycles_does_not_wait_for_audits_for_most_of_its_time(clock: Clock):
    """Each rests for seven times as long as it took, so that of a run of half a second six are not half."""
    clock.audit_s = 0.04

    assert Audited(clock).run(2000, 2.5e-4) == [8, 1128, 2000]


def test_a_long_run_has_many_but_keeps_few_at_even_distances(clock: Clock):
    """What is kept is bounded, from an eighth of the run on it is evenly spread, and the last cycle is in it."""
    clock.audit_s = 0.001
    audited = Audited(clock)

    made = audited.run(50_000, 1e-3)

    audit = audited.auditor.finish(str)
    assert audit is not None
    assert len(made) > 24 >= len(audit.cycles) >= 10
    gaps = {later - earlier for earlier, later in zip(audit.cycles[:-2], audit.cycles[1:-1], strict=True)}
    assert max(gaps) <= 2 * min(gaps)
    assert (audit.last_cycle, audit.first_cycle >= 50_000 / 8) == (50_000, True)


def test_audits_take_half_a_second_and_then_a_fiftieth_of_the_time(clock: Clock):
    """For a process that takes long to read; the audit at the end comes on top, once."""
    clock.audit_s = 0.2
    begun_s = clock.now_s()

    made = Audited(clock).run(10_000, 0.01)

    assert made[-1] == 10_000
    assert clock.now_s() - begun_s - 100 <= BUDGET_S + 0.02 * 100 + 0.2


def test_a_process_that_takes_seconds_to_look_through_is_not_audited_again(clock: Clock):
    """Not even at the end."""
    clock.audit_s = 3.0

    assert Audited(clock).run(100, 0.001) == [8]


def test_an_audit_of_a_process_that_went_on_is_dropped(clock: Clock):
    """It would mix two moments."""
    audited = Audited(clock, goes_on=True)

    assert audited.run(100, 0.001) != []
    assert audited.auditor.finish(str) is None


def test_a_process_whose_memory_may_not_be_read_is_not_asked_again(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    def refuse(pid: int) -> None:
        raise PermissionError(pid)

    monkeypatch.setattr(auditing, "ProcessMemory", refuse)
    audited = Audited(clock)

    assert audited.run(100, 0.001) == [8]
    assert audited.auditor.finish(str) is None


@pytest.mark.parametrize(
    ("compared", "is_explained"),
    [
        ({}, True),
        ({"unexplained_bytes": 100_000}, False),
        ({"fragmentation": True}, False),
        ({"parts": (AuditPart("stacks", "stacks", 500_000, 500.0, (0, 500_000)),)}, False),
        (None, False),
    ],
    ids=["all explained", "a part is not", "fragmentation", "stacks", "too few audits"],
)
def test_audits_so_far_explain_what_rss_grew_by(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, compared: dict[str, Any] | None, is_explained: bool
):
    """In 1,000 cycles, of which each may keep 1 B."""
    whole = RssAudit(0, 1000, 600_000, 600.0, (), 0, False, (0, 1000), (0, 600_000), (0, 0))
    monkeypatch.setattr(auditing, "compare", lambda *_: None if compared is None else replace(whole, **compared))
    audited = Audited(clock)
    audited.run(1000, 0.01)

    def explains(cycle: int) -> bool:
        return audited.auditor.explains_so_far(cycle, 1.0, lambda site: Place(None, None, None))

    assert explains(1000) is is_explained
    assert not explains(2000)  # the latest audit says nothing of the later half


def test_nothing_is_explained_before_the_first_audit(clock: Clock):
    assert not Audited(clock).auditor.explains_so_far(0, 1.0, lambda site: Place(None, None, None))
