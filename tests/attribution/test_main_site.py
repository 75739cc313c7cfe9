"""Where only the sum of all call sites is a leak, the site that is nearly all of it is told as its cause."""

from __future__ import annotations

import pytest

from soak.attribution.causes import with_main_site
from soak.results import Cause


def a_site(rate: float, *, confirmed: bool = False) -> Cause:
    return Cause("python-object", confirmed, "unknown", f"{rate}", rate, None, None)


@pytest.mark.parametrize(
    ("rates", "leak", "confirmed"),
    [
        ([7038.0, 197.0, 58.0], 7908.0, [True, False, False]),
        ([4000.0, 3900.0], 7908.0, [False, False]),  # neither of them is it alone
        ([0.7], 56.7, [False]),
        ([], 56.7, []),
        ([0.0], 0.0, [False]),
    ],
)
def test_nearly_all_of_the_sum_is_of_its_main_site(rates: list[float], leak: float, confirmed: list[bool]):
    found = with_main_site(tuple(map(a_site, rates)), leak)

    assert [cause.confirmed for cause in found] == confirmed


def test_beside_a_site_that_is_a_leak_by_itself_nothing_is_added():
    sites = (a_site(90.0), a_site(10.0, confirmed=True))

    assert with_main_site(sites, 100.0) == sites
