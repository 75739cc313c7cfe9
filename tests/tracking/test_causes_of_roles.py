"""Causes of what grows in the processes that a program started."""

from __future__ import annotations

import pytest

from soak.analysis.decision.outcome import Decision
from soak.analysis.sites.ledger import Suspect
from soak.attribution.causes import Call, GrowingSite
from soak.grounds import Ground, GroundKind, ProcessRole
from soak.results import TrackerState
from soak.running.component.reading.ledger_reader import Tracked
from soak.running.processes.report import causes_of_roles
from soak.running.processes.role import SeenRole
from soak.verdict import SeriesState, SeriesVerdict, Verdict

LEAK = SeriesVerdict(Verdict.LEAK, SeriesState.STEADY, 1000.0, 990.0, 1010.0, decided_at=512, since=64)
GROWS = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNSTEADY)
PYTHON_OBJ = 2
LINE = Call(file="/app/jobs.py", function="handle", line=8)


def seen(decided_by: str, *sites: Suspect) -> SeenRole:
    """Give two workers whose sum is a leak by one signal, and their sites."""
    growing = tuple(GrowingSite(site, PYTHON_OBJ, LINE, ((LINE,),)) for site in sites)
    grounds = (Ground(GroundKind.GROWING_SITES, (decided_by,)),)
    decision = Decision(Verdict.LEAK, grounds, decided_by, {"tracked": LEAK, "rss": LEAK}, None, is_final=True)
    tracked = Tracked(TrackerState(True, None), True, growing, "")
    return SeenRole(ProcessRole("python jobs.py", 2, Verdict.LEAK, decided_by, 1000.0), decision, tracked, (), 0)


@pytest.mark.parametrize(("rate", "confirmed"), [(950.0, True), (400.0, False)])
def test_the_site_that_is_nearly_all_of_what_workers_keep_is_confirmed_with_their_sum(rate: float, confirmed: bool):
    """Each of the sites may still be short of readings by itself, as on a busy machine."""
    (cause,) = causes_of_roles([seen("tracked", Suspect(5, GROWS, 1.0, 1000, recent_bytes_per_cycle=rate))])

    assert (cause.confirmed, cause.processes) == (confirmed, "2 × python jobs.py")
    assert cause.python_where is not None
    assert cause.python_where.line == 8


@pytest.mark.parametrize(("rate", "confirmed"), [(950.0, True), (400.0, False)])
def test_where_memory_from_outside_decides_first_the_same_holds(rate: float, confirmed: bool):
    """The ledger may have too few readings by then."""
    (cause,) = causes_of_roles([seen("rss", Suspect(5, GROWS, 1.0, 1000, recent_bytes_per_cycle=rate))])

    assert cause.confirmed is confirmed
