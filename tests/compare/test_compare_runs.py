"""What is new, gone, worse or better between two runs that never ran."""

from __future__ import annotations

import dataclasses

import pytest

from soak.analysis.comparison import Change, Kind, Rate, compare_runs
from soak.results import ComponentResult, Growth
from soak.verdict import Verdict
from tests.reporting.builder import a_component, a_leak, a_run


def a_rate(rate: float, half_width: float = 1.0, measures: str = "requested") -> Growth:
    requested, allocated = (rate, None) if measures == "requested" else (None, rate)
    return Growth("heap", measures, rate, rate - half_width, rate + half_width, requested, allocated, "bytes", rate)


def leaking(rate: float, half_width: float = 1.0, fingerprint: str = "f1", **changes) -> ComponentResult:
    leak = a_leak("decoder", growth=a_rate(rate, half_width))
    cause = dataclasses.replace(leak.causes[0], fingerprint=fingerprint, bytes_per_iteration=rate)
    return dataclasses.replace(leak, causes=(cause,), **changes)


CLEAN = a_component("decoder")


def compare(before: ComponentResult | None, after: ComponentResult | None, known=()) -> tuple[Change, ...]:
    old, new = (a_run(*([] if c is None else [c]), settings={"known": list(known)}) for c in (before, after))
    return compare_runs(old, new)


def kinds(changes: tuple[Change, ...]) -> list[tuple[str | None, str]]:
    return [(change.fingerprint, str(change.kind)) for change in changes]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (CLEAN, CLEAN, [(None, "same")]),
        (CLEAN, leaking(106), [(None, "new"), ("f1", "new")]),
        (leaking(106), CLEAN, [(None, "gone"), ("f1", "gone")]),
        (leaking(106), leaking(120), [(None, "worse"), ("f1", "worse")]),
        (leaking(120), leaking(106), [(None, "better"), ("f1", "better")]),
        (leaking(106), leaking(106), [(None, "same"), ("f1", "same")]),
        (leaking(106), leaking(106, fingerprint="f2"), [(None, "same"), ("f2", "new"), ("f1", "gone")]),
        (None, leaking(106), [(None, "new"), ("f1", "new")]),
        (None, CLEAN, [(None, "added")]),
        (CLEAN, None, [(None, "removed")]),
    ],
)
def test_a_component_and_its_places_are_new_gone_worse_or_better(before, after, expected):
    assert kinds(compare(before, after)) == expected


def test_intervals_that_overlap_are_no_change_however_far_the_rates_lie_apart():
    assert kinds(compare(leaking(100, 30), leaking(150, 30))) == [(None, "same"), ("f1", "same")]


def test_a_difference_below_the_tolerance_is_no_change_however_sure():
    assert kinds(compare(leaking(106, 0.0), leaking(106.5, 0.0)))[0] == (None, "same")


def test_requested_bytes_are_never_set_against_allocated_ones():
    """106 B requested are 128 B allocated: the same leak."""
    allocated = a_leak("decoder", growth=a_rate(128, measures="allocated"))

    assert compare(leaking(106), allocated)[0].kind is Kind.SAME


@pytest.mark.parametrize("verdict", [Verdict.INCONCLUSIVE, Verdict.SETTLING])
def test_an_undecided_verdict_is_neither_new_nor_gone(verdict: Verdict):
    opened = a_component("decoder", verdict=verdict)

    assert kinds(compare(CLEAN, opened)) == [(None, "undecided")]
    assert kinds(compare(leaking(106), opened)) == [(None, "undecided")]


def test_a_failure_is_new_once_and_gone_when_it_passes():
    failed = a_component("decoder", verdict=Verdict.FAILED)

    assert [compare(*pair)[0].kind for pair in ((CLEAN, failed), (failed, failed), (failed, CLEAN))] == [
        Kind.NEW,
        Kind.SAME,
        Kind.GONE,
    ]


def test_a_suspect_is_no_change():
    leak = leaking(106)
    suspected = dataclasses.replace(leak.causes[0], fingerprint="f9", confirmed=False)

    changes = compare(leak, dataclasses.replace(leak, causes=(*leak.causes, suspected)))

    assert kinds(changes) == [(None, "same"), ("f1", "same")]


def test_known_growth_and_components_without_a_gate_are_shown_and_do_not_fail():
    known, ungated = compare(CLEAN, leaking(106), known=["f1"]), compare(CLEAN, leaking(106, gate=False))

    assert [change.kind for change in known + ungated] == [Kind.NEW] * 4
    assert not any(change.is_failing for change in known + ungated)
    assert all(change.is_failing for change in compare(CLEAN, leaking(106)))


def test_a_place_whose_items_have_no_size_is_compared_by_their_count():
    """For descriptors, for example, the text shows the number per cycle."""

    def opening(count: float) -> ComponentResult:
        growth = Growth("fds", None, None, None, None, None, None, "fds", count)
        leak = leaking(0)
        cause = dataclasses.replace(
            leak.causes[0], kind="file-descriptor", bytes_per_iteration=None, count_per_iteration=count
        )
        return dataclasses.replace(leak, growth=growth, causes=(cause,))

    new, same, worse = compare(None, opening(1)), compare(opening(1), opening(1)), compare(opening(1), opening(2))

    assert [change.after for change in new] == [Rate(1, 1, 1, "fds", "fds"), Rate(1, 1, 1, "fds", None)]
    assert [str(change.kind) for change in (*same, *worse)] == ["same", "same", "worse", "worse"]
