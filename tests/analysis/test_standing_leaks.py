"""A call site that was called a leak, at a later look that is not sure of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from soak.analysis.sites.ledger import Suspect
from soak.analysis.sites.standing import StandingLeaks
from soak.verdict import SeriesState, SeriesVerdict, Verdict

LEAK = SeriesVerdict(Verdict.LEAK, SeriesState.STEADY, 100.0, 98.0, 102.0)
UNSURE = replace(LEAK, verdict=Verdict.INCONCLUSIVE, state=SeriesState.UNSTEADY, rate=60.0)


@pytest.mark.parametrize(
    ("recent", "verdict"),
    [(100.0, Verdict.LEAK), (81.0, Verdict.LEAK), (79.0, Verdict.INCONCLUSIVE), (0.0, Verdict.INCONCLUSIVE)],
    ids=["goes on", "nearly as fast", "slower", "a cache that is full"],
)
def test_a_leak_stands_while_the_site_goes_on_at_its_rate(recent: float, verdict: Verdict):
    standing = StandingLeaks()
    standing.keep([Suspect(7, LEAK, 1.0, 100), Suspect(8, UNSURE, 1.0, 100)])

    later = standing.keep([Suspect(7, UNSURE, 1.0, 100, recent), Suspect(8, UNSURE, 1.0, 100, recent)])

    assert [suspect.verdict.verdict for suspect in later] == [verdict, Verdict.INCONCLUSIVE]


def test_the_newest_rate_of_a_leak_is_told():
    standing = StandingLeaks()
    standing.keep([Suspect(7, LEAK, 1.0, 100)])
    newer = replace(LEAK, rate=90.0)

    assert standing.keep([Suspect(7, newer, 1.0, 100)])[0].verdict == newer
    assert standing.keep([Suspect(7, UNSURE, 1.0, 100, 90.0)])[0].verdict == newer
