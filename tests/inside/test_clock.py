"""The time that soak's own work may take, on a machine where other programs take turns."""

from __future__ import annotations

import pytest

from soak.inside.clock import RealTime, TimeLimit


class Turns:
    """A processor that gives this thread one second in ``share`` seconds."""

    def __init__(self, share: float) -> None:
        self.share, self.now_s = share, 0.0

    def thread_time(self) -> float:
        return self.now_s / self.share

    def monotonic(self) -> float:
        return self.now_s


@pytest.mark.parametrize(("share", "ends_after_s"), [(1.0, 2.0), (5.0, 10.0), (50.0, 20.0)])
def test_work_has_its_processor_time_and_at_most_ten_times_as_much_by_the_clock(
    share: float, ends_after_s: float, monkeypatch: pytest.MonkeyPatch
):
    turns = Turns(share)
    for name in ("thread_time", "monotonic"):
        monkeypatch.setattr(RealTime, name, getattr(turns, name))
    limit = TimeLimit(2.0)

    turns.now_s = ends_after_s
    before = limit.is_over()
    turns.now_s += 0.5
    turns.now_s *= 1.01

    assert (before, limit.is_over()) == (False, True)
