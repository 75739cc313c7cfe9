"""The ledger decides if it is complete and was read often enough; otherwise the counters decide."""

from __future__ import annotations

from soak.analysis.component import ComponentJudge
from soak.analysis.decision.decide import decide
from soak.analysis.decision.outcome import Decision
from soak.analysis.evidence import LEDGER, REQUIRED_IN_A_RUN
from soak.measurements import Reading
from soak.verdict import Verdict

CYCLES, N_MIN, EVERY = 4096, 512, 16


def judged(tracked_per_cycle: float = 0.0, ledger_each: int = 1, *, complete: bool = True) -> Decision:
    """Judge flat counters beside a ledger of which each so many-th checkpoint was read."""
    judge = ComponentJudge(1.0, {}, REQUIRED_IN_A_RUN)
    judge.fix_n_min(N_MIN)
    for number, cycle in enumerate(range(0, CYCLES + 1, EVERY)):
        values = dict.fromkeys(REQUIRED_IN_A_RUN, 1000.0)
        if number % ledger_each == 0:
            values |= {"tracked": 5000.0 + tracked_per_cycle * cycle, "tracked_blocks": 50.0}
        judge.add(Reading(cycle, cycle / 1000, values))
    if not complete:
        judge.distrust(LEDGER)
    return decide(judge.evidence(is_last=True))


def test_a_complete_ledger_that_was_read_decides() -> None:
    """It is exact where the heap counter is not."""
    decision = judged()

    assert (decision.verdict, decision.decided_by) == (Verdict.CLEAN, "tracked")


def test_a_ledger_that_lost_something_leaves_clean_to_the_counters() -> None:
    """The lost part may be the part that grows."""
    decision = judged(complete=False)

    assert (decision.verdict, decision.decided_by) == (Verdict.CLEAN, "heap")
    assert not set(LEDGER) & decision.series.keys()


def test_growth_in_a_ledger_that_lost_something_is_still_growth() -> None:
    """The recorded part is still valid."""
    decision = judged(tracked_per_cycle=106.0, complete=False)

    assert (decision.verdict, decision.decided_by) == (Verdict.LEAK, "tracked")


def test_a_ledger_that_was_read_too_seldom_leaves_clean_to_the_counters() -> None:
    """Soak was delayed; the counters are in the ring, which keeps them."""
    decision = judged(ledger_each=40)

    assert (decision.verdict, decision.decided_by) == (Verdict.CLEAN, "heap")


def test_a_counter_that_must_be_read_and_was_not_is_no_reason_for_clean() -> None:
    """The twin of the test above: without the heap nothing is proven."""
    judge = ComponentJudge(1.0, {}, REQUIRED_IN_A_RUN)
    judge.fix_n_min(N_MIN)
    for cycle in range(0, CYCLES + 1, EVERY):
        judge.add(Reading(cycle, cycle / 1000, dict.fromkeys(REQUIRED_IN_A_RUN - {"heap"}, 1.0)))

    assert decide(judge.evidence(is_last=True)).verdict is Verdict.INCONCLUSIVE
