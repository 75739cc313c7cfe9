"""What processes of a role still grew by when they ended: the sum over those that live does not show it."""

from __future__ import annotations

from typing import cast

import pytest

from soak.probes.descendants import Descendant
from soak.probes.ledgers.tables import LiveTables
from soak.probes.outside import ScriptedReader
from soak.running.processes.role import Count, Member, growth_of_ended


def member(live_bytes: list[float]) -> Member:
    """Make a process that held so much at each of its cycles."""
    process = Descendant(7, 1, 0.0, "worker", "worker", 0)
    found = Member(process, cast(LiveTables, None), ScriptedReader([]))
    for cycle, size in enumerate(live_bytes):
        found.add(Count(cycle, size, 0.0))
    return found


@pytest.mark.parametrize("cycles", [16, 100, 5000])
def test_a_process_that_leaks_up_to_its_end_does_so_at_its_rate(cycles: int):
    leaking = member([5e6 + 1000 * cycle for cycle in range(cycles)])

    assert growth_of_ended([leaking]) == pytest.approx(1000, rel=0.01)


def test_a_process_that_only_warmed_up_has_not_grown():
    assert growth_of_ended([member([1000.0 * min(cycle, 40) for cycle in range(100)])] * 3) == 0


def test_what_is_at_work_at_the_end_is_no_growth():
    """The lowest of each quarter counts."""
    assert growth_of_ended([member([5e6 + 9000 * (cycle % 3) for cycle in range(100)])]) == 0


def test_processes_of_a_moment_say_nothing():
    assert growth_of_ended([member([1.0, 2.0, 3.0])]) is None
    assert growth_of_ended([]) is None
