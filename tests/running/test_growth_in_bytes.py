"""A leak of blocks is told in bytes wherever anything tells how many: the ledger, a second pass, or the call sites."""

from __future__ import annotations

import pytest

from soak.reporting.words.growth import growth_words
from soak.results import Cause
from soak.running.component.result import _growth
from soak.verdict import SeriesState, SeriesVerdict, Verdict

BLOCKS = SeriesVerdict(Verdict.LEAK, SeriesState.STEADY, 1.0, 1.0, 1.0, decided_at=512, is_growing=True)
TOO_FEW = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.FEW_READINGS)
BYTES = SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.UNSTEADY, 120.0, 90.0, 150.0, is_growing=True)


def a_cause(rate: float | None, kind: str = "python-object") -> Cause:
    return Cause(kind=kind, confirmed=True, state="held", fingerprint=kind, bytes_per_iteration=rate)


@pytest.mark.parametrize("decided_by", ["tracked_blocks", "python_blocks"])
def test_blocks_of_a_busy_machine_are_told_in_the_bytes_of_their_call_sites(decided_by: str):
    causes = (a_cause(88.0), a_cause(18.0), a_cause(None), a_cause(16_384.0, "mapping"))

    growth = _growth(decided_by, {"tracked": TOO_FEW, decided_by: BLOCKS}, None, causes)

    assert growth is not None
    assert (growth.bytes_per_iteration, growth.requested_bytes_per_iteration, growth.measures) == (
        106,
        106,
        "requested",
    )
    assert (growth.low, growth.high, growth.per_iteration) == (None, None, 1.0)
    assert growth_words(growth) == "grows by 106 B per call"


def test_where_the_ledger_has_a_rate_that_is_told():
    growth = _growth("tracked_blocks", {"tracked": BYTES, "tracked_blocks": BLOCKS}, None, (a_cause(88.0),))

    assert growth is not None
    assert (growth.bytes_per_iteration, growth.low, growth.high) == (120.0, 90.0, 150.0)


def test_blocks_without_any_site_are_told_as_blocks():
    growth = _growth("python_blocks", {"python_blocks": BLOCKS}, None, ())

    assert growth is not None
    assert growth.bytes_per_iteration is None
    assert growth_words(growth) == "grows by 1 Python block per call"
