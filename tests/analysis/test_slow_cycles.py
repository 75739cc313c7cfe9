"""Whether n_min follows from slow cycles: it may be fixed before it is known how long a cycle takes."""

from __future__ import annotations

from soak.analysis.component import ComponentJudge
from soak.measurements import Reading
from soak.verdict import Verdict


def a_judge(*, asked_for: bool = False) -> ComponentJudge:
    judge = ComponentJudge(1.0, {}, frozenset({"tracked"}))
    judge.fix_n_min(256, asked_for=asked_for, are_cycles_slow=False)
    return judge


def read(judge: ComponentJudge, cycles: range, full_at: int = 1000) -> None:
    """Read a cache that holds 100 B a cycle until it is full."""
    for cycle in cycles:
        judge.add(Reading(cycle, float(cycle), {"tracked": 100.0 * min(cycle, full_at)}))


def test_cycles_that_turn_out_slow_before_n_min_make_no_leak_final():
    """A cache that filled until n_min is no leak any more when it is full."""
    judge = a_judge()
    read(judge, range(100))
    judge.take_pace(are_cycles_slow=True)
    read(judge, range(100, 520), 500)

    growing = judge.evidence()
    read(judge, range(520, 4200), 500)

    assert (growing.is_n_min_of_slow_cycles, growing.series["tracked"].verdict) == (True, Verdict.LEAK)
    assert judge.evidence().series["tracked"].verdict is Verdict.CLEAN


def test_after_n_min_the_pace_changes_nothing():
    judge = a_judge()
    read(judge, range(520), 500)
    judge.take_pace(are_cycles_slow=True)
    read(judge, range(520, 4200), 500)

    evidence = judge.evidence()

    assert (evidence.is_n_min_of_slow_cycles, evidence.series["tracked"].verdict) == (False, Verdict.LEAK)


def test_an_n_min_that_was_asked_for_has_nothing_to_do_with_the_pace():
    judge = a_judge(asked_for=True)
    judge.take_pace(are_cycles_slow=True)

    assert not judge.evidence().is_n_min_of_slow_cycles
